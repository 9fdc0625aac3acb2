package emu

import (
	"math/bits"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// copyOp is a cp.async of some lanes of a warp that all have closed as many groups.
type copyOp struct {
	mask  uint32
	group uint32 // groups these lanes had closed before
	size  uint32
	dst   [32]uint32 // from the start of shared memory
	src   [32][]byte // what is read
}

// asyncState is a warp's copies under way.
type asyncState struct {
	ops    []*copyOp
	closed [32]uint32 // groups each lane has closed
}

func (a *asyncState) begin() { a.ops, a.closed = a.ops[:0], [32]uint32{} }

// decodeCopy decodes cp.async and cp.async.bulk.
func (c *compiler) decodeCopy() {
	in := c.in
	switch {
	case c.src.Op == "cp.async.commit_group":
		in.run = func(w *warp, _ *instr, m uint32) {
			for ; m != 0; m &= m - 1 {
				w.async.closed[lowest(m)]++
			}
		}
	case c.src.Op == "cp.async.wait_group":
		n := uint32(c.arg(0).Imm)
		in.run = func(w *warp, _ *instr, m uint32) { w.waitCopies(m, n, false) }
	case c.src.Op == "cp.async.wait_all":
		in.run = func(w *warp, _ *instr, m uint32) { w.waitCopies(m, 0, true) }
	case len(c.op) > 2 && c.op[2] == "bulk":
		c.decodeBulk()
	case len(c.op) > 4 && (c.op[2] == "cg" || c.op[2] == "ca"):
		in.d, in.imm = c.address(0, ptx.Shared)
		in.a, in.off = c.address(1, ptx.Global)
		in.size = int32(c.arg(2).Imm)
		if in.size != 16 && (c.op[2] == "cg" || in.size != 4 && in.size != 8) {
			c.fail("it copies %d bytes", in.size)
		}
		in.b = c.const32(uint32(in.size))
		if len(c.src.Args) > 3 {
			in.b = c.src32(3)
		}
		in.site = int32(c.p.sites)
		c.p.sites++
		in.run = runCopy
	}
}

// runCopy starts a copy for each lane. The destination is poisoned and may not be
// touched until the lane has waited; then the data is there.
func runCopy(w *warp, in *instr, m uint32) {
	dst, src, fill := w.v(in.d), w.w(in.a), w.v(in.b)
	for m != 0 {
		op := w.blk.newCopy()
		op.group, op.size = w.async.closed[lowest(m)], uint32(in.size)
		for x := m; x != 0; x &= x - 1 {
			l := lowest(x)
			if w.async.closed[l] != op.group {
				continue
			}
			m &^= 1 << l
			op.mask |= 1 << l
			op.dst[l] = w.sharedAt(l, dst[l]+uint32(in.imm), op.size)
			n := fill[l]
			if n > op.size {
				w.fault(l, "it copies %d of %d bytes", n, op.size)
			}
			if a := src[l] + in.off; a&uint64(op.size-1) != 0 {
				w.faultCode(driver.CodeMisalignedAddress, l, "global address %#x is not a multiple of %d", a, op.size)
			} else if n > 0 {
				op.src[l] = w.globalRange(in, l, a, uint64(n), false)
			} else {
				op.src[l] = nil
			}
			w.checkWrite(l, op.dst[l], int(op.size))
			w.hold(op.dst[l], op.size)
		}
		w.async.ops = append(w.async.ops, op)
	}
}

// hold poisons memory an asynchronous copy will write and keeps all others off it.
func (w *warp) hold(at, size uint32) {
	b := w.blk
	for g := at / 4; g < (at+size+3)/4; g++ {
		b.race.held[g] |= heldCopy
	}
	fill(b.shared[at:at+size], 0xFF)
}

func (b *block) newCopy() *copyOp {
	if n := len(b.free); n > 0 {
		op := b.free[n-1]
		b.free = b.free[:n-1]
		op.mask = 0
		return op
	}
	return &copyOp{}
}

// waitCopies completes the copies of lanes m in all groups but the last n they
// closed; all includes what is in no group yet.
func (w *warp) waitCopies(m, n uint32, all bool) {
	kept := w.async.ops[:0]
	for _, op := range w.async.ops {
		for x := op.mask & m; x != 0; x &= x - 1 {
			l := lowest(x)
			if all || op.group+n < w.async.closed[l] {
				op.mask &^= 1 << l
				w.landCopy(op, l)
			}
		}
		if op.mask != 0 {
			kept = append(kept, op)
		} else {
			w.blk.free = append(w.blk.free, op)
		}
	}
	w.async.ops = kept
}

func (w *warp) landCopy(op *copyOp, l int) {
	b := w.blk
	at := op.dst[l]
	for g := at / 4; g < (at+op.size+3)/4; g++ {
		b.race.held[g] &^= heldCopy
	}
	n := copy(b.shared[at:at+op.size], op.src[l])
	clear(b.shared[at+uint32(n) : at+op.size])
	w.checkWrite(l, at, int(op.size))
}

// leaving wants no lane to end with copies under way: they would land in shared
// memory another block may have by then.
func (a *asyncState) leaving(w *warp, m uint32) {
	for _, op := range a.ops {
		if x := op.mask & m; x != 0 {
			w.fault(bits.TrailingZeros32(x), "the thread ends while its cp.async to %#x is under way", sharedBase+op.dst[lowest(x)])
		}
	}
}
