package emu

import (
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

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
	switch c.src.Op {
	case "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes", "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes":
	default:
		return
	}
	in.d, in.imm = c.address(0, ptx.Shared)
	in.a, in.off = c.address(1, ptx.Global)
	in.b = c.src32(2)
	var off uint64
	in.c, off = c.address(3, ptx.Shared)
	in.mbar = uint32(off)
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
			w.faultCode(driver.CodeMisalignedAddress, l, "a bulk copy of %d bytes from %#x to %#x: all must be multiples of 16", n, src, dst)
		}
		b := w.mbarAt(l, w.v(in.c)[l]+in.mbar)
		if !b.fenced {
			w.fault(l, "the mbarrier at %#x was initialised without fence.mbarrier_init or fence.proxy.async after it", b.addr)
		}
		at := w.sharedRange(l, dst, n)
		mem := w.globalRange(in, l, src, uint64(n), false)
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
