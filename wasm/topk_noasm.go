//go:build noasm || !amd64

package wasm

func blocksAbove(logits []float32, limit float32, found *[256]uint32) (n, seen int) {
	return blocksAboveGo(logits, limit, found)
}
