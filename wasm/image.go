package wasm

import (
	"bytes"

	"github.com/sandwarp/sandwarp/abi"
)

// image is an instance's state after configuration: memory without its zero
// blocks, and mutable globals. All instances of a plugin start from it.
type image struct {
	pages   uint32
	blocks  []block
	globals []uint64
	names   []string
}

// block is a piece of memory that is not zero.
type block struct {
	off  uint32
	data []byte
}

const blockSize = 4096

var zeros [blockSize]byte

// capture copies the state of raw.
func capture(raw Instance, globals []string) *image {
	im := &image{pages: raw.MemSize() / abi.WindowAlign, names: globals}
	mem, _ := raw.Mem(0, raw.MemSize())
	for off := 0; off < len(mem); off += blockSize {
		end := off
		for end < len(mem) && !bytes.Equal(mem[end:end+blockSize], zeros[:]) {
			end += blockSize
		}
		if end > off {
			im.blocks = append(im.blocks, block{uint32(off), bytes.Clone(mem[off:end])})
			off = end - blockSize
		}
	}
	for _, name := range globals {
		im.globals = append(im.globals, raw.Global(name).Get())
	}
	return im
}

// restore writes the state into a fresh instance.
func (im *image) restore(raw Instance) bool {
	fresh := raw.MemSize()
	if have := fresh / abi.WindowAlign; have > im.pages || have < im.pages && !raw.Grow(im.pages-have) {
		return false
	}
	mem, _ := raw.Mem(0, raw.MemSize())
	clean(mem[:fresh], im.blocks)
	for _, b := range im.blocks {
		copy(mem[b.off:], b.data)
	}
	for i, name := range im.names {
		raw.Global(name).Set(im.globals[i])
	}
	return true
}

// clean zeroes what is not covered by blocks. Memory that is zero is only read,
// so that it stays without pages of its own.
func clean(mem []byte, blocks []block) {
	off := 0
	wipe := func(end int) {
		for ; off < end; off += blockSize {
			if b := mem[off : off+blockSize]; !bytes.Equal(b, zeros[:]) {
				clear(b)
			}
		}
	}
	for _, b := range blocks {
		wipe(min(int(b.off), len(mem)))
		off = max(off, int(b.off)+len(b.data))
	}
	wipe(len(mem))
}

// size is the memory the image takes.
func (im *image) size() (n int) {
	for _, b := range im.blocks {
		n += len(b.data)
	}
	return n
}
