package wasm

import (
	"bytes"

	"github.com/sandwarp/sandwarp/abi"
)

// image is the state of an instance: memory without its zero blocks, and mutable
// globals. All instances of a plugin start from one, and a reset goes back to it.
// Where the system can, instances map its memory and own only what they write.
type image struct {
	pages   uint32
	blocks  []block
	globals []uint64
	names   []string
	bytes   int      // of memory that is not zero
	file    *backing // instead of blocks; nil where images are copied

	// What the host knows of an instance in this state.
	scratch, scratchCap uint32
	frame               uint32
	layout              *abi.Layout
}

// block is a piece of memory that is not zero.
type block struct {
	off  uint32
	data []byte
}

const blockSize = 4096

var zeros [blockSize]byte

// capture copies the state of in. What its frame holds is of no account.
func capture(in *instance, globals []string) *image {
	raw := in.raw
	im := &image{pages: raw.MemSize() / abi.WindowAlign, names: globals}
	im.scratch, im.scratchCap, im.frame, im.layout = in.scratch, in.scratchCap, in.frame, in.layout
	mem, _ := raw.Mem(0, raw.MemSize())
	from, to := len(mem), len(mem)
	if in.layout != nil {
		from, to = int(in.frame), int(in.frame+in.layout.Size())&^(blockSize-1)
	}
	for off := 0; off < len(mem); off += blockSize {
		if off >= from && off < to {
			off = to
		}
		end := off
		for end < len(mem) && (end < from || end >= to) && !bytes.Equal(mem[end:end+blockSize], zeros[:]) {
			end += blockSize
		}
		if end > off {
			im.blocks = append(im.blocks, block{uint32(off), bytes.Clone(mem[off:end])})
			im.bytes += end - off
			off = end - blockSize
		}
	}
	for _, name := range globals {
		im.globals = append(im.globals, raw.Global(name).Get())
	}
	return im
}

// share makes the image a file that instances map, beginning with the one it was
// captured from.
func (im *image) share(in *instance) *image {
	in.image = im
	m := linearOf(in.raw)
	if m == nil {
		return im
	}
	if im.file = newBacking(int(im.pages)*abi.WindowAlign, im.blocks); im.file == nil {
		return im
	}
	if !im.file.attach(m) {
		im.file.close()
		im.file = nil
		return im
	}
	im.blocks = nil
	return im
}

// restore gives a fresh instance the state.
func (im *image) restore(raw Instance) bool {
	fresh := raw.MemSize()
	if have := fresh / abi.WindowAlign; have > im.pages || have < im.pages && !raw.Grow(im.pages-have) {
		return false
	}
	if im.file != nil {
		if m := linearOf(raw); m == nil || !im.file.attach(m) {
			return false
		}
	} else {
		mem, _ := raw.Mem(0, raw.MemSize())
		clean(mem[:fresh], im.blocks)
		for _, b := range im.blocks {
			copy(mem[b.off:], b.data)
		}
	}
	for i, name := range im.names {
		raw.Global(name).Set(im.globals[i])
	}
	return true
}

// rewind puts an instance that was restored back to the state. It says whether that
// was possible: memory that has grown since cannot shrink.
func (im *image) rewind(raw Instance, globals []Global) bool {
	if m := linearOf(raw); m == nil || im.file == nil || !im.file.rewind(m) {
		return false
	}
	for i, g := range globals {
		g.Set(im.globals[i])
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

func (im *image) close() {
	if im.file != nil {
		im.file.close()
	}
}
