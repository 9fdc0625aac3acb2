package demo

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// The command carries the model in every binary, so its size is a promise.
func TestGGUFIsSmallAndWhole(t *testing.T) {
	if len(GGUF) > 3_000_000 {
		t.Errorf("demo.gguf has %d bytes, want at most 3,000,000", len(GGUF))
	}
	if !bytes.HasPrefix(GGUF, []byte("GGUF")) {
		t.Fatalf("demo.gguf starts with %q, want the GGUF magic", GGUF[:4])
	}
	if v := binary.LittleEndian.Uint32(GGUF[4:]); v != 3 {
		t.Errorf("demo.gguf has GGUF version %d, want 3", v)
	}
	const blocks, perBlock, global = 6, 9, 2
	if n := binary.LittleEndian.Uint64(GGUF[8:]); n != blocks*perBlock+global {
		t.Errorf("demo.gguf has %d tensors, want %d", n, blocks*perBlock+global)
	}
}
