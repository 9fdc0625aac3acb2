// Package sandwarp runs large language models inside a Go program: it opens a
// GGUF file and generates text on the CPU, without cgo, Python or a server, or on an
// NVIDIA GPU in a program that imports package ptxbackend as well.
//
//	m, err := sandwarp.Open(ctx, "model.gguf", sandwarp.Options{})
//	...
//	defer m.Close()
//	for tok, err := range m.Generate(ctx, "Once upon a time", sandwarp.GenerateOptions{}) {
//		...
//		fmt.Print(tok.Text)
//	}
//
// A Model is safe for concurrent use: one goroutine of its own batches the
// requests of all sessions. A Session is one conversation and answers one request
// at a time. LogitProcessor, Tokenizer and Filter are the extension points;
// package wasm has plugins that satisfy them from inside a sandbox.
package sandwarp
