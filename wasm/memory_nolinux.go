//go:build !linux

package wasm

// backing is an image's memory as something that instances map; see the Linux one.
// Elsewhere images are copied.
type backing struct{}

func newBacking(int, []block) *backing { return nil }

func (*backing) attach(*linear) bool { return false }
func (*backing) rewind(*linear) bool { return false }
func (*backing) close()              {}

func (*linear) written(func(off, n uint32)) bool { return false }
