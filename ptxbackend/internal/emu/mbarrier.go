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

// decodeMbarrier decodes mbarrier.op[.expect_tx|.parity][.sem.scope][.shared[::cta]].b64.
func (c *compiler) decodeMbarrier() {
	name := strings.ReplaceAll(strings.ReplaceAll(c.src.Op, ".shared::cta", ""), ".shared", "")
	name = strings.ReplaceAll(strings.ReplaceAll(name, ".release.cta", ""), ".acquire.cta", "")
	in, at := c.in, 0
	switch name {
	case "mbarrier.init.b64":
		in.run = runMbarInit
	case "mbarrier.inval.b64":
		in.run = runMbarInval
	case "mbarrier.arrive.b64":
		in.run, at = runMbarArrive, 1
	case "mbarrier.arrive.expect_tx.b64":
		in.run, at = runMbarExpect, 1
	case "mbarrier.expect_tx.relaxed.cta.b64":
		in.run = runMbarTx
	case "mbarrier.try_wait.parity.b64", "mbarrier.test_wait.parity.b64":
		try := strings.HasPrefix(name, "mbarrier.try")
		in.run, at = func(w *warp, in *instr, m uint32) { runMbarWait(w, in, m, try) }, 1
		in.d = c.dst(0, 0)
	default:
		return
	}
	if strings.HasPrefix(name, "mbarrier.arrive") {
		c.dst(0, 8) // a state nobody uses
	}
	in.a, in.off = c.address(at, ptx.Shared)
	in.b = c.const32(1)
	if len(c.src.Args) > at+1 {
		in.b = c.src32(at + 1)
	}
}

// runMbarArrive counts as many arrivals a lane as it says, or 1.
func runMbarArrive(w *warp, in *instr, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		w.mbarArrive(l, w.mbarAt(l, w.v(in.a)[l]+uint32(in.off)), int(w.v(in.b)[l]))
	}
}

// runMbarExpect announces bytes and arrives.
func runMbarExpect(w *warp, in *instr, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		b := w.mbarAt(l, w.v(in.a)[l]+uint32(in.off))
		w.announce(l, b, w.v(in.b)[l])
		w.mbarArrive(l, b, 1)
	}
}

// runMbarTx only announces them.
func runMbarTx(w *warp, in *instr, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := lowest(m)
		w.announce(l, w.mbarAt(l, w.v(in.a)[l]+uint32(in.off)), w.v(in.b)[l])
	}
}

// announce adds to the bytes a phase waits for, of which the hardware counts 2^20-1.
func (w *warp) announce(l int, b *mbarrier, n uint32) {
	if b.tx += int(n); b.tx >= 1<<20 {
		w.fault(l, "the mbarrier at %#x is told of %d bytes, more than 2^20-1", b.addr, b.tx)
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
	if try && w.blk.random(8) == 0 { // it may give up waiting: code has to ask again
		w.setPred(in.d, m, 0)
		w.stop = true
		return
	}
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
