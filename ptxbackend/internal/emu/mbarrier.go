package emu

import (
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// mbarrier is a barrier in shared memory; its bytes there belong to it alone.
type mbarrier struct {
	addr    uint32
	count   int // arrivals of a phase
	pending int // that are missing in this one
	tx      int // bytes announced and not yet come
	phase   uint32
	maker   int    // warp that initialised it,
	made    uint32 // when,
	fenced  bool   // and whether the asynchronous proxy has been told
	// What the warps that arrived in this phase, and in those before, knew.
	next, known         []uint32
	nextFence, fencedBy []uint32
	sleeping            int // warps that wait
	round               int // phases completed,
	seen                int // and that somebody has waited for
	copied              int // the phase, from 1, of the last bulk copy
}

func (c *compiler) decodeMbarrier() {
	in := c.in
	name := strings.ReplaceAll(strings.ReplaceAll(c.src.Op, ".shared::cta", ""), ".shared", "")
	name = strings.ReplaceAll(strings.ReplaceAll(name, ".release.cta", ""), ".acquire.cta", "")
	dest := func() int {
		c.dst(0, 8)
		return 1
	}
	switch name {
	case "mbarrier.init.b64":
		in.a, in.off = c.address(0, ptx.Shared)
		in.b = c.src32(1)
		in.run = runMbarInit
	case "mbarrier.inval.b64":
		in.a, in.off = c.address(0, ptx.Shared)
		in.run = runMbarInval
	case "mbarrier.arrive.b64":
		in.a, in.off = c.address(dest(), ptx.Shared)
		in.run = func(w *warp, in *instr, m uint32) {
			for ; m != 0; m &= m - 1 {
				n := 1
				l := lowest(m)
				if len(in.src.Args) > 2 {
					n = int(w.v(in.b)[l])
				}
				w.mbarArrive(l, w.mbarAt(l, w.v(in.a)[l]+uint32(in.off)), n)
			}
		}
		if len(c.src.Args) > 2 {
			in.b = c.src32(2)
		}
	case "mbarrier.arrive.expect_tx.b64":
		in.a, in.off = c.address(dest(), ptx.Shared)
		in.b = c.src32(2)
		in.run = func(w *warp, in *instr, m uint32) {
			for ; m != 0; m &= m - 1 {
				l := lowest(m)
				b := w.mbarAt(l, w.v(in.a)[l]+uint32(in.off))
				b.tx += int(w.v(in.b)[l])
				w.mbarArrive(l, b, 1)
			}
		}
	case "mbarrier.expect_tx.relaxed.cta.b64":
		in.a, in.off = c.address(0, ptx.Shared)
		in.b = c.src32(1)
		in.run = func(w *warp, in *instr, m uint32) {
			for ; m != 0; m &= m - 1 {
				l := lowest(m)
				w.mbarAt(l, w.v(in.a)[l]+uint32(in.off)).tx += int(w.v(in.b)[l])
			}
		}
	case "mbarrier.try_wait.parity.b64", "mbarrier.test_wait.parity.b64":
		in.d = c.dst(0, 0)
		in.a, in.off = c.address(1, ptx.Shared)
		in.b = c.src32(2)
		try := strings.HasPrefix(name, "mbarrier.try")
		in.run = func(w *warp, in *instr, m uint32) { runMbarWait(w, in, m, try) }
	}
}

// mbarAt is the mbarrier at a shared address; the warp must know of its making.
func (w *warp) mbarAt(l int, addr uint32) *mbarrier {
	for _, b := range w.blk.mbars[:w.blk.nmbars] {
		if b.addr == addr {
			if b.maker != w.id && b.made > w.known[b.maker] {
				w.fault(l, "mbarrier at %#x was initialised by warp %d without an order before this", addr, b.maker)
			}
			return b
		}
	}
	w.fault(l, "there is no mbarrier at shared address %#x", addr)
	return nil
}

func runMbarInit(w *warp, in *instr, m uint32) {
	blk := w.blk
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		addr := w.v(in.a)[l] + uint32(in.off)
		at := w.sharedAt(l, addr, 8)
		if w.v(in.b)[l] == 0 || w.v(in.b)[l] >= 1<<20 {
			w.fault(l, "an mbarrier for %d arrivals", w.v(in.b)[l])
		}
		w.checkWrite(l, at, 8)
		blk.race.held[at/4] |= heldMbar
		blk.race.held[at/4+1] |= heldMbar
		if blk.nmbars == len(blk.mbars) {
			blk.mbars = append(blk.mbars, &mbarrier{})
		}
		b := blk.mbars[blk.nmbars]
		blk.nmbars++
		n := int(w.v(in.b)[l])
		b.addr, b.count, b.pending, b.tx, b.phase, b.sleeping = addr, n, n, 0, 0, 0
		b.round, b.seen, b.copied = 0, 0, 0
		b.maker, b.made, b.fenced = w.id, w.clock, false
		for _, s := range []*[]uint32{&b.next, &b.known, &b.nextFence, &b.fencedBy} {
			*s = grow(*s, blk.n+1)
			clear(*s)
		}
	}
}

func runMbarInval(w *warp, in *instr, m uint32) {
	blk := w.blk
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		b := w.mbarAt(l, w.v(in.a)[l]+uint32(in.off))
		for i, x := range blk.mbars[:blk.nmbars] {
			if x == b {
				blk.nmbars--
				blk.mbars[i], blk.mbars[blk.nmbars] = blk.mbars[blk.nmbars], b
			}
		}
		at := b.addr - sharedBase
		blk.race.held[at/4] &^= heldMbar
		blk.race.held[at/4+1] &^= heldMbar
	}
}

// mbarArrive counts n arrivals by a lane of w and tells the barrier what w knows.
func (w *warp) mbarArrive(l int, b *mbarrier, n int) {
	if n > b.pending {
		w.fault(l, "%d arrivals at the mbarrier at %#x, which waits for %d more in this phase", n, b.addr, b.pending)
	}
	for i := range b.next {
		b.next[i] = max(b.next[i], w.known[i])
		b.nextFence[i] = max(b.nextFence[i], w.fenced[i])
	}
	b.next[w.id] = max(b.next[w.id], w.clock)
	w.tick()
	b.pending -= n
	w.blk.complete(b)
}

// complete ends b's phase if all has come.
func (blk *block) complete(b *mbarrier) {
	if b.pending > 0 || b.tx != 0 {
		return
	}
	b.phase ^= 1
	b.round++
	b.pending = b.count
	for i := range b.next {
		b.known[i] = max(b.known[i], b.next[i])
		b.fencedBy[i] = max(b.fencedBy[i], b.nextFence[i])
	}
	if b.sleeping > 0 {
		b.sleeping = 0
		for _, w := range blk.warps[:blk.n] {
			if w.state == asleep && w.mbar == b {
				w.state = ready
			}
		}
	}
}

// runMbarWait sets the predicate where the phase of the parity is complete. A warp
// whose try_wait fails sleeps until something completes.
func runMbarWait(w *warp, in *instr, m uint32, try bool) {
	done := uint32(0)
	var last *mbarrier
	for x := m; x != 0; x &= x - 1 {
		l := lowest(x)
		b := w.mbarAt(l, w.v(in.a)[l]+uint32(in.off))
		parity := w.v(in.b)[l]
		if parity > 1 {
			w.fault(l, "parity %d", parity)
		}
		if b.phase == parity {
			last = b
			continue
		}
		done |= 1 << l
		b.seen = b.round
		for i := range b.known {
			if i != w.id {
				w.known[i] = max(w.known[i], b.known[i])
			}
			w.fenced[i] = max(w.fenced[i], b.fencedBy[i])
		}
	}
	w.setPred(in.d, m, done)
	if last == nil {
		return
	}
	w.stop = true
	switch {
	case len(w.others) > 0:
		w.yield()
	case try && done == 0:
		w.state, w.mbar = asleep, last
		last.sleeping++
	}
}

// yield lets another path of the warp run for one turn, so that lanes that wait do
// not keep those from running that they wait for.
func (w *warp) yield() { w.turn, w.next = true, -1<<31 }

// bulkCopy is a cp.async.bulk under way.
type bulkCopy struct {
	dst  uint32 // from the start of shared memory
	src  []byte
	mbar *mbarrier
	warp *warp
}

// decodeBulk decodes cp.async.bulk.shared::{cluster,cta}.global.mbarrier::complete_tx::bytes.
func (c *compiler) decodeBulk() {
	in := c.in
	name := strings.Join(c.op, ".")
	for _, s := range []string{".L2::cache_hint"} {
		if strings.Contains(name, s) {
			c.fail("%s is not emulated", s)
			return
		}
	}
	if name != "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes" &&
		name != "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes" {
		return
	}
	in.d, in.imm = c.address2(0, ptx.Shared)
	in.a, in.off = c.address(1, ptx.Global)
	in.b = c.src32(2)
	var off uint64
	in.c, off = c.address2(3, ptx.Shared)
	in.hint = uint32(off)
	in.site = int32(c.p.sites)
	c.p.sites++
	in.run = runBulk
}

func runBulk(w *warp, in *instr, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		n := w.v(in.b)[l]
		dst, src := w.v(in.d)[l]+uint32(in.imm), w.w(in.a)[l]+in.off
		if n%16 != 0 || dst%16 != 0 || src%16 != 0 || n == 0 {
			w.faultCode(716, l, "a bulk copy of %d bytes from %#x to %#x: all must be multiples of 16", n, src, dst)
		}
		hint := in.hint
		in := *in
		in.hint = 0
		b := w.mbarAt(l, w.v(in.c)[l]+hint)
		if !b.fenced {
			w.fault(l, "the mbarrier at %#x was initialised without fence.mbarrier_init or fence.proxy.async after it", b.addr)
		}
		at := w.sharedRange(l, dst, n)
		mem := w.globalRange(&in, l, src, uint64(n), false)
		b.copied = b.round + 1
		w.checkAsyncWrite(l, at, n)
		w.hold(at, n)
		w.blk.bulk = append(w.blk.bulk, bulkCopy{dst: at, src: mem, mbar: b, warp: w})
	}
}

// checkAsyncWrite is checkWrite for the asynchronous proxy, which also must be told
// of ordinary writes to the same place.
func (w *warp) checkAsyncWrite(l int, at, n uint32) {
	w.checkFenced(l, at, n)
	w.checkWrite(l, at, int(n))
}

// checkFenced wants ordinary writes to [at, at+n) to have a proxy fence between
// them and w's next instruction of the asynchronous proxy.
func (w *warp) checkFenced(l int, at, n uint32) {
	r := &w.blk.race
	for g := at / 4; g < (at+n+3)/4; g++ {
		e := r.write[g]
		if c, v := uint32(e>>32), int(e&warpBits); c > r.base && v != w.blk.n && c > w.fenced[v] {
			w.fault(l, "shared memory at %#x was written by ordinary stores of warp %d without fence.proxy.async since", sharedBase+4*g, v)
		}
	}
}

// fenceAsync tells the asynchronous proxy of what is known to have been written.
func (w *warp) fenceAsync(_ uint32) {
	for i, k := range w.known {
		w.fenced[i] = max(w.fenced[i], k)
	}
	w.fenced[w.id] = w.clock
	w.tick()
	w.fenceInit()
}

// fenceInit tells it of the mbarriers the warp has initialised.
func (w *warp) fenceInit() {
	for _, b := range w.blk.mbars[:w.blk.nmbars] {
		if b.maker == w.id {
			b.fenced = true
		}
	}
}

// land completes bulk copy i.
func (b *block) land(i int) {
	c := b.bulk[i]
	b.bulk[i] = b.bulk[len(b.bulk)-1]
	b.bulk = b.bulk[:len(b.bulk)-1]
	copy(b.shared[c.dst:], c.src)
	r := &b.race
	r.agent++
	r.top = max(r.top, r.agent)
	for g := c.dst / 4; g < (c.dst+uint32(len(c.src)))/4; g++ {
		r.held[g] &^= heldCopy
		r.write[g] = uint64(r.agent)<<32 | 15<<byteShift | uint64(b.n)
	}
	c.mbar.tx -= len(c.src) // below 0 where the announcement comes later
	c.mbar.next[b.n] = max(c.mbar.next[b.n], r.agent)
	b.complete(c.mbar)
}
