//go:build race

package wasm

// racing says that the race detector is on: it makes pools forget and memory grow.
const racing = true
