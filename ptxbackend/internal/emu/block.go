package emu

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// block is a block of threads being executed. A worker keeps one and uses it again
// for the next block.
type block struct {
	wk     *worker
	dev    *device
	prog   *program
	l      *launch
	ctaid  [3]uint32
	warps  []*warp
	n      int // warps in use
	live   int // that have not ended
	at     int32
	shared []byte // from sharedBase
	bars   [16]barrier
	race   race
	mbars  []*mbarrier
	nmbars int
	bulk   []bulkCopy
	rnd    uint64
	lanes  uint64 // lane-instructions executed
	steps  int64  // left before the block is taken to hang
	read   uint64 // bytes of global memory
	wrote  uint64
	free   []*copyOp // see async.go
	grid   gridOrder
}

// barrier is a named barrier.
type barrier struct {
	want    int // threads
	come    int
	waiting []*warp
	known   []uint32 // joined clocks of those that came
	fenced  []uint32
}

// specials are the special registers. lane is the lane of the warp; x, y, z are the
// thread's place in its block.
var specials = map[string]func(w *warp, lane, x, y, z uint32) uint32{
	"%tid.x":             func(_ *warp, _, x, _, _ uint32) uint32 { return x },
	"%tid.y":             func(_ *warp, _, _, y, _ uint32) uint32 { return y },
	"%tid.z":             func(_ *warp, _, _, _, z uint32) uint32 { return z },
	"%ntid.x":            func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.block[0] },
	"%ntid.y":            func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.block[1] },
	"%ntid.z":            func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.block[2] },
	"%ctaid.x":           func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.ctaid[0] },
	"%ctaid.y":           func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.ctaid[1] },
	"%ctaid.z":           func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.ctaid[2] },
	"%nctaid.x":          func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.grid[0] },
	"%nctaid.y":          func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.grid[1] },
	"%nctaid.z":          func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.grid[2] },
	"%laneid":            func(_ *warp, l, _, _, _ uint32) uint32 { return l },
	"%warpid":            func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.id) },
	"%nwarpid":           func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.n) },
	"%smid":              func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.grid.self % uint32(w.blk.dev.info.SMs) },
	"%nsmid":             func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.dev.info.SMs) },
	"%dynamic_smem_size": func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.l.shared) },
	"%lanemask_eq":       func(_ *warp, l, _, _, _ uint32) uint32 { return 1 << l },
	"%lanemask_lt":       func(_ *warp, l, _, _, _ uint32) uint32 { return 1<<l - 1 },
	"%lanemask_le":       func(_ *warp, l, _, _, _ uint32) uint32 { return 2<<l - 1 },
	"%lanemask_gt":       func(_ *warp, l, _, _, _ uint32) uint32 { return ^uint32(2<<l - 1) },
	"%lanemask_ge":       func(_ *warp, l, _, _, _ uint32) uint32 { return ^uint32(1<<l - 1) },
	// Clocks count instructions; a mov reads them anew.
	"%gridid":          func(w *warp, _, _, _, _ uint32) uint32 { return w.blk.l.serial32 },
	"%total_smem_size": func(w *warp, _, _, _, _ uint32) uint32 { return uint32(len(w.blk.shared)) },
	"%clock":           func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.lanes) },
	"%clock64":         func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.lanes) },
	"%globaltimer":     func(w *warp, _, _, _, _ uint32) uint32 { return uint32(w.blk.lanes) },
}

// random is a number below n (xorshift64*: Vigna, "An experimental exploration of
// Marsaglia's xorshift generators", 2016).
func (b *block) random(n int) int {
	b.rnd ^= b.rnd >> 12
	b.rnd ^= b.rnd << 25
	b.rnd ^= b.rnd >> 27
	return int((b.rnd * 2685821657736338717 >> 33) % uint64(n))
}

// begin readies the block for a place in the grid.
func (b *block) begin(l *launch, n uint64, ctaid [3]uint32) {
	b.l, b.prog, b.dev, b.ctaid = l, l.prog, l.dev, ctaid
	threads := int(l.block[0] * l.block[1] * l.block[2])
	b.n = (threads + 31) / 32
	b.live, b.lanes, b.read, b.wrote, b.at = b.n, 0, 0, 0, 0
	b.steps = l.dev.opt.Steps
	b.rnd = mix(l.dev.opt.Seed ^ mix(l.serial) ^ mix(uint64(ctaid[0])|uint64(ctaid[1])<<24|uint64(ctaid[2])<<44))
	size := b.prog.sharedBytes(l.shared)
	b.shared = grow(b.shared, size)
	for i := range b.shared {
		b.shared[i] = 0xFF
	}
	b.race.begin(b.n, size, len(b.shared))
	for i := range b.bars {
		b.bars[i].want, b.bars[i].come, b.bars[i].waiting = 0, 0, b.bars[i].waiting[:0]
		b.bars[i].known = grow(b.bars[i].known, b.n+1)
		b.bars[i].fenced = grow(b.bars[i].fenced, b.n+1)
		clear(b.bars[i].known)
		clear(b.bars[i].fenced)
	}
	b.nmbars, b.bulk = 0, b.bulk[:0]
	b.grid.begin(l, n)
	for len(b.warps) < b.n {
		b.warps = append(b.warps, &warp{})
	}
	for i := range b.n {
		b.warps[i].begin(b, i, threads)
	}
}

// mix spreads the bits of a seed (SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31 | 1
}

// grow is a slice of n elements, s if it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (w *warp) begin(b *block, id, threads int) {
	p := b.prog
	w.blk, w.prog, w.id = b, p, id
	w.r32, w.r64, w.p = grow(w.r32, p.n32), grow(w.r64, p.n64), grow(w.p, p.np)
	w.def = grow(w.def, len(p.kernel.Regs)+1)
	clear(w.def)
	w.lanes = full
	if left := threads - 32*id; left < 32 {
		w.lanes = 1<<left - 1
	}
	w.cur, w.others, w.next = path{0, w.lanes}, w.others[:0], 1<<31-1
	w.exited, w.state, w.waited, w.mbar = 0, ready, 0, nil
	w.clock = b.race.base + 1
	w.known, w.fenced = grow(w.known, b.n+1), grow(w.fenced, b.n+1)
	for i := range w.known {
		w.known[i], w.fenced[i] = b.race.base, b.race.base
	}
	w.async.begin()
	w.tensor.begin(len(w.def))
	w.setSpecial()
}

func (w *warp) setSpecial() {
	bx, by := w.blk.l.block[0], w.blk.l.block[1]
	for i := range w.prog.special {
		s := &w.prog.special[i]
		for l := range uint32(32) {
			t := uint32(32*w.id) + l
			v := s.value(w, l, t%bx, t/bx%by, t/(bx*by))
			if s.bits == 64 {
				w.r64[s.slot][l] = uint64(v)
			} else {
				w.r32[s.slot][l] = v
			}
		}
	}
}

// run executes the block to its end.
func (b *block) run() {
	for b.live > 0 {
		w := b.pick()
		if w == nil {
			b.stuck()
		}
		if b.steps <= 0 {
			w.faultCode(driver.CodeLaunchTimeout, -1, "the block has executed %d instructions and does not end; its warps are at: %s",
				b.dev.opt.Steps, b.places())
		}
		// Mostly long runs, sometimes a single instruction: both find mistakes.
		n := 1 + b.random(16)
		if b.random(4) != 0 {
			n *= 24
		}
		w.run(n)
		if len(b.bulk) > 0 && b.random(3) == 0 {
			b.land(b.random(len(b.bulk)))
		}
	}
	b.end()
}

// pick is a warp that can run, at random; if there is none, copies under way land
// until there is one.
func (b *block) pick() *warp {
	for {
		start := b.random(b.n)
		for i := range b.n {
			if w := b.warps[(start+i)%b.n]; w.state == ready {
				return w
			}
		}
		if len(b.bulk) == 0 {
			return nil
		}
		b.land(b.random(len(b.bulk)))
	}
}

// stuck reports that no warp can go on.
func (b *block) stuck() {
	for _, w := range b.warps[:b.n] {
		if w.state != ended {
			b.at = max(0, w.cur.pc-1)
			w.faultCode(driver.CodeLaunchTimeout, -1, "deadlock: every warp waits: %s", b.places())
		}
	}
}

func (b *block) places() string {
	var s []string
	for _, w := range b.warps[:b.n] {
		if w.state != ended && len(s) < 8 {
			s = append(s, fmt.Sprintf("warp %d after %q", w.id, text(b.prog.code[max(0, w.cur.pc-1)].src)))
		}
	}
	return strings.Join(s, "; ")
}

// arrive counts a warp's threads at named barrier id; the warp waits unless it only
// arrives.
func (b *block) arrive(w *warp, id, threads int, wait bool) {
	if id < 0 || id > 15 {
		w.fault(-1, "barrier %d: they are 0 to 15", id)
	}
	if threads <= 0 || threads%32 != 0 && threads != b.threads() {
		w.fault(-1, "barrier %d for %d threads: it takes a multiple of 32", id, threads)
	}
	bar := &b.bars[id]
	if bar.come == 0 {
		bar.want = threads
	} else if bar.want != threads {
		w.fault(-1, "barrier %d is for %d threads here and for %d where others wait", id, threads, bar.want)
	}
	for i := range bar.known {
		bar.known[i] = max(bar.known[i], w.known[i])
		bar.fenced[i] = max(bar.fenced[i], w.fenced[i])
	}
	bar.known[w.id] = max(bar.known[w.id], w.clock)
	w.tick()
	bar.come += bits.OnesCount32(w.lanes) // a warp counts whole, also where lanes have ended
	if wait {
		w.state, w.stop, w.bar = waiting, true, id
		bar.waiting = append(bar.waiting, w)
	}
	b.release(w, id)
}

func (b *block) threads() int { return int(b.l.block[0] * b.l.block[1] * b.l.block[2]) }

// release lets the warps at a barrier go once all have come.
func (b *block) release(w *warp, id int) {
	bar := &b.bars[id]
	if bar.come < bar.want {
		return
	}
	if bar.come > bar.want {
		w.fault(-1, "barrier %d: %d threads came, %d are wanted", id, bar.come, bar.want)
	}
	for _, o := range bar.waiting {
		for i := range bar.known {
			if i != o.id {
				o.known[i] = max(o.known[i], bar.known[i])
			}
			o.fenced[i] = max(o.fenced[i], bar.fenced[i])
		}
		o.known[o.id] = o.clock - 1
		o.state = ready
	}
	bar.come, bar.waiting = 0, bar.waiting[:0]
	clear(bar.known)
	clear(bar.fenced)
}

// leaving checks what a thread must have done when it ends.
func (b *block) leaving(w *warp, m uint32) {
	if b.l.dependent && m&^w.waited != 0 {
		w.fault(bits.TrailingZeros32(m&^w.waited), "the thread ends without griddepcontrol.wait: in a dependent launch all must execute it")
	}
	w.async.leaving(w, m)
	w.tensor.leaving(w)
}

func (b *block) warpEnded() { b.live-- }

// end checks what the whole block leaves behind.
func (b *block) end() {
	for i := range b.bars {
		if bar := &b.bars[i]; bar.come != 0 {
			b.warps[0].fault(-1, "the block ends with %d of %d threads at barrier %d", bar.come, bar.want, i)
		}
	}
	for i, w := range b.warps[:b.n] {
		if first := b.warps[i&^3]; w.tensor.issued != first.tensor.issued {
			w.fault(-1, "the warp has not executed the same wgmma as the others of the warpgroup")
		}
	}
	for _, m := range b.mbars[:b.nmbars] {
		if m.copied > m.seen {
			b.warps[0].fault(-1, "the block ends and nobody waited for bulk copies that report to the mbarrier at %#x", m.addr)
		}
	}
}

func (p *program) sharedBytes(dynamic int) int {
	if p.dynName == "" {
		return p.shared
	}
	return p.dynamic + dynamic
}

func u16at(b []byte) uint32 { return uint32(binary.LittleEndian.Uint16(b)) }
