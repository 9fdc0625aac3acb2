// Package demo carries the demonstration model that the sandwarp command runs when no model is named.
//
// It is a Llama-shaped model of 2.6 million parameters, trained by tools/demomodel on little stories and simple questions
// that a grammar of ours writes. It tells such stories and answers what it was taught ("What is the capital of France?",
// "What is 3 plus 4?"); it knows nothing else and is no measure of what a real model does. Its tokenizer, its weights and
// its corpus are part of this project and under the same licence.
//
// Only the command imports this package, so a program that embeds the runtime does not carry the model.
package demo

import _ "embed"

// GGUF is the model file, a complete GGUF version 3 image of less than 3,000,000 bytes: architecture llama, Q8_0 matrices,
// byte-level BPE vocabulary of 1,280 tokens, ChatML template, context of 1,024 positions. A text ends with <|endoftext|>
// (the eos token), a turn of a conversation with <|im_end|> (the eot token). Callers must not modify it.
//
//go:embed demo.gguf
var GGUF []byte
