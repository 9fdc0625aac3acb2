//go:build !noasm

package wasm

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:noescape
func blocksAboveAVX2(logits *float32, blocks int, limit float32, found *[256]uint32) (n, seen int)

func blocksAbove(logits []float32, limit float32, found *[256]uint32) (n, seen int) {
	if cpu.X86.HasAVX2 {
		return blocksAboveAVX2(unsafe.SliceData(logits), len(logits)/blockFloats, limit, found)
	}
	return blocksAboveGo(logits, limit, found)
}
