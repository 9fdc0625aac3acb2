// Package wasm runs plugins: WebAssembly modules that choose tokens, filter text
// or tokenize, without being trusted.
//
//	p, err := wasm.LoadFile(ctx, "redact.wasm", wasm.Options{})
//	defer p.Close()
//
// A *Plugin has the methods of the runtime's LogitProcessor, Tokenizer and
// Filter, so it goes wherever a Go one goes; its manifest says which of them it
// is, and the others' methods return ErrKind.
//
// Before a plugin runs, its module is scanned, because engines trust what
// modules declare; rewritten, so that it counts its own instructions and stack
// and stops itself; compiled; and configured. It sees its own memory, a virtual
// clock, seeded random numbers and a log: no files, no network, no real time.
// A plugin that traps, runs out of fuel, answers nonsense or points outside its
// memory is put back to the state after configuration, its sequences are
// rebuilt, and Options.OnFault decides what the request gets. After repeated
// faults it is left alone for a while.
package wasm
