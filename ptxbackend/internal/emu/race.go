package emu

import (
	"fmt"
	"math/bits"
)

// race finds accesses to shared memory that nothing orders. It keeps vector clocks
// (FastTrack: Flanagan and Freund, 2009): a warp's clock advances when it
// synchronises, known[v] is how far it knows warp v's past, and each word of
// memory remembers who wrote it last and when each warp last read it. The copies
// of cp.async.bulk are one more "warp", the last.
//
// Words are 4 bytes; accesses of less remember which bytes, so that neighbours do
// not disturb each other (an access to one half forgets an older one to the other:
// something may be missed, nothing is invented).
type race struct {
	n     int      // warps, and one more for the copies
	base  uint32   // clocks up to it are of blocks before this one
	top   uint32   // highest clock used
	write []uint64 // word: clock<<32 | flags<<16 | bytes<<12 | lane<<7 | warp
	read  []uint32 // (word, n): clock<<4 | bytes
	held  []uint16 // word: what asynchronous work does with it
	agent uint32   // clock of the copies
}

// Flags of held words.
const (
	heldCopy  = 1 << 15   // cp.async or cp.async.bulk will write it
	heldMbar  = 1 << 14   // part of an mbarrier
	heldReads = 1<<14 - 1 // how many wgmma read it
)

const maxClock = 1 << 27

func (r *race) begin(warps, bytes, _ int) {
	n := warps + 1
	words := (bytes + 3) / 4
	if r.n != n || r.top > maxClock || len(r.write) < words {
		r.base, r.top = 0, 0
		r.write = grow(r.write, words)
		r.read = grow(r.read, words*n)
		clear(r.write)
		clear(r.read)
		r.n = n
	} else {
		r.base = r.top + 1
	}
	r.held = grow(r.held, words)
	clear(r.held)
	r.agent = r.base + 1
	r.top = r.base + 1
}

// tick begins a new time of the warp: what it does from now on is after what it
// has told others of.
func (w *warp) tick() {
	w.clock++
	w.known[w.id] = w.clock - 1
	w.blk.race.top = max(w.blk.race.top, w.clock)
}

const (
	laneShift, byteShift = 7, 12
	warpBits             = 1<<laneShift - 1
)

// byteMask is the bytes of a word an access of size bytes at addr touches.
func byteMask(at uint32, size int) uint32 {
	if size >= 4 {
		return 15
	}
	return (1<<size - 1) << (at & 3) & 15
}

// checkRead notes that lane l of w reads size bytes of shared memory at at.
func (w *warp) checkRead(l int, at uint32, size int) {
	r := &w.blk.race
	bm := byteMask(at, size)
	g := at / 4
	for end := (at + uint32(size) + 3) / 4; g < end; g++ {
		if h := r.held[g]; h&^heldReads != 0 {
			w.heldFault(l, g, h, "read")
		}
		e := r.write[g]
		if c := uint32(e >> 32); c > r.base && uint32(e)>>byteShift&bm != 0 {
			v := int(e & warpBits)
			if v == w.id {
				if c == w.clock && int(e>>laneShift&31) != l {
					w.raceFault(l, g, "reads", "lane %d of this warp wrote", int(e>>laneShift&31))
				}
			} else if c > w.known[v] {
				w.raceFault(l, g, "reads", "%s wrote", w.blk.agentName(v))
			}
		}
		p := &r.read[int(g)*r.n+w.id]
		if *p>>4 == w.clock {
			*p |= bm
		} else {
			*p = w.clock<<4 | bm
		}
	}
}

// checkWrite likewise for a write.
func (w *warp) checkWrite(l int, at uint32, size int) {
	r := &w.blk.race
	bm := byteMask(at, size)
	g := at / 4
	for end := (at + uint32(size) + 3) / 4; g < end; g++ {
		if r.held[g] != 0 {
			w.heldFault(l, g, r.held[g], "written")
		}
		e := r.write[g]
		mask := bm
		if c := uint32(e >> 32); c > r.base {
			v := int(e & warpBits)
			if v == w.id {
				if c == w.clock && int(e>>laneShift&31) != l && uint32(e)>>byteShift&bm != 0 {
					w.raceFault(l, g, "writes", "lane %d of this warp wrote", int(e>>laneShift&31))
				}
				if c == w.clock {
					mask |= uint32(e) >> byteShift & 15
				}
			} else if c > w.known[v] && uint32(e)>>byteShift&bm != 0 {
				w.raceFault(l, g, "writes", "%s wrote", w.blk.agentName(v))
			}
		}
		w.checkReaders(l, g, bm)
		r.write[g] = uint64(w.clock)<<32 | uint64(mask)<<byteShift | uint64(l)<<laneShift | uint64(w.id)
	}
}

// checkReaders wants every other warp's reads of word g to lie before w's next access.
func (w *warp) checkReaders(l int, g, bm uint32) {
	r := &w.blk.race
	for v, x := range r.read[int(g)*r.n : int(g)*r.n+r.n] {
		if x>>4 > w.known[v] && v != w.id && x&bm != 0 {
			w.raceFault(l, g, "writes", "%s read", w.blk.agentName(v))
		}
	}
}

func (w *warp) raceFault(l int, g uint32, does, other string, args ...any) {
	w.fault(l, "race: it "+does+" shared memory at %#x, which "+other+" without an order between them",
		append([]any{sharedBase + 4*g}, args...)...)
}

func (w *warp) heldFault(l int, g uint32, h uint16, what string) {
	why := "wgmma or a copy is still reading it"
	switch {
	case h&heldCopy != 0:
		why = "an asynchronous copy is under way there: nothing has waited for it"
	case h&heldMbar != 0:
		why = "an mbarrier lies there"
	}
	w.fault(l, "shared memory at %#x is %s, but %s", sharedBase+4*g, what, why)
}

func (b *block) agentName(v int) string {
	if v == b.n {
		return "a bulk copy"
	}
	return fmt.Sprintf("warp %d", v)
}

func lowest(m uint32) int { return bits.TrailingZeros32(m) & 31 }
