package emu

import (
	"sort"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// alloc is a piece of device memory.
type alloc struct {
	base uint64
	mem  []byte
	// wrote, made at the first write by a kernel, says for each word (4 bytes) who
	// wrote it last.
	wrote atomic.Pointer[[]writer]
}

const (
	heapBase = 0x7_0000_0000
	gap      = 4096 // between allocations, so that an access past the end hits nothing
)

// heap is the device's memory. Addresses are not used again: what has been freed
// stays invalid.
type heap struct {
	allocs []*alloc // by base
	next   uint64
	used   int64
}

func (h *heap) alloc(bytes int64) *alloc {
	if h.next == 0 {
		h.next = heapBase
	}
	a := &alloc{base: h.next, mem: make([]byte, bytes)}
	fill(a.mem, 0xFF)
	h.next += (uint64(bytes)+255)/256*256 + gap
	h.allocs = append(h.allocs, a)
	h.used += bytes
	return a
}

// fill sets all bytes, doubling what is set.
func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// find is the allocation addr lies in, nil if in none.
func (h *heap) find(addr uint64) *alloc {
	i := sort.Search(len(h.allocs), func(i int) bool { return h.allocs[i].base > addr })
	if i == 0 {
		return nil
	}
	if a := h.allocs[i-1]; addr-a.base < uint64(len(a.mem)) {
		return a
	}
	return nil
}

func (h *heap) free(p driver.Ptr) bool {
	for i, a := range h.allocs {
		if a.base == uint64(p) {
			h.used -= int64(len(a.mem))
			h.allocs = append(h.allocs[:i], h.allocs[i+1:]...)
			return true
		}
	}
	return false
}

// bytes is the memory at [p, p+n), nil if that is not all of one allocation.
func (h *heap) bytes(p driver.Ptr, n int64) (*alloc, []byte) {
	a := h.find(uint64(p))
	if a == nil {
		return nil, nil
	}
	off := uint64(p) - a.base
	if n < 0 || uint64(n) > uint64(len(a.mem))-off {
		return nil, nil
	}
	return a, a.mem[off : off+uint64(n)]
}

// hostWrote forgets which launch wrote the n bytes at off.
func (a *alloc) hostWrote(off, n uint64) {
	if s := a.wrote.Load(); s != nil && n > 0 {
		clear((*s)[off/4 : (off+n+3)/4])
	}
}

// words is the table of writers, made if there is none.
func (a *alloc) words() []writer {
	if s := a.wrote.Load(); s != nil {
		return *s
	}
	n := make([]writer, (len(a.mem)+3)/4)
	if a.wrote.CompareAndSwap(nil, &n) {
		return n
	}
	return *a.wrote.Load()
}
