package emu

import (
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func (c *compiler) decodeMov() {
	in := c.in
	switch {
	case c.part(1) == "pred":
		in.d = c.dst(0, 0)
		a, not := c.srcPred(1)
		in.run = func(w *warp, in *instr, m uint32) { w.setPred(in.d, m, w.pred(a, not)) }
	case c.arg(1).Kind == ptx.ArgList:
		c.decodePack()
	case c.arg(0).Kind == ptx.ArgList:
		c.decodeUnpack()
	case strings.HasSuffix(c.part(1), "64"):
		in.d, in.a = c.dst(0, 8), c.src64(1)
		in.run = func(w *warp, in *instr, m uint32) {
			w.t64 = *w.w(in.a)
			w.keepWide(in.d, m)
		}
		c.clock(in)
	default:
		t, _ := ptx.ParseType(c.part(1))
		in.d, in.a = c.dst(0, t.Bytes()), c.src32(1)
		in.f, in.run = mov32, runALU
		c.clock(in)
	}
}

// clock makes a mov from a clock read it when it is executed.
func (c *compiler) clock(in *instr) {
	s := c.arg(1).Sym
	if c.arg(1).Kind != ptx.ArgSpecial || !strings.HasPrefix(s, "%clock") && s != "%globaltimer" {
		return
	}
	wide := in.f == nil
	in.run = func(w *warp, in *instr, m uint32) {
		for x := m; x != 0; x &= x - 1 {
			if wide {
				w.r64[in.d][lowest(x)] = w.blk.lanes
			} else {
				w.r32[in.d][lowest(x)] = uint32(w.blk.lanes)
			}
		}
	}
}

func (c *compiler) decodePack() {
	in := c.in
	l := c.regs(1, 2)
	lo, hi := c.source32(&l[0]), c.source32(&l[1])
	if strings.HasSuffix(c.part(1), "64") {
		in.d = c.dst(0, 8)
		in.run = func(w *warp, in *instr, m uint32) {
			a, b := w.v(lo), w.v(hi)
			for l := range w.t64 {
				w.t64[l] = uint64(a[l]) | uint64(b[l])<<32
			}
			w.keepWide(in.d, m)
		}
		return
	}
	in.d = c.dst(0, 4)
	in.run = func(w *warp, in *instr, m uint32) {
		a, b := w.v(lo), w.v(hi)
		for l := range w.t32 {
			w.t32[l] = a[l]&0xFFFF | b[l]<<16
		}
		w.keep(in.d, m)
	}
}

func (c *compiler) decodeUnpack() {
	in := c.in
	l := c.regs(0, 2)
	if strings.HasSuffix(c.part(1), "64") {
		lo, hi := c.dest(&l[0], 4), c.dest(&l[1], 4)
		in.a = c.src64(1)
		in.run = func(w *warp, in *instr, m uint32) {
			for x, a := m, w.w(in.a); x != 0; x &= x - 1 {
				l := lowest(x)
				w.r32[lo][l], w.r32[hi][l] = uint32(a[l]), uint32(a[l]>>32)
			}
		}
		return
	}
	lo, hi := c.dest(&l[0], 2), c.dest(&l[1], 2)
	in.a = c.src32(1)
	in.run = func(w *warp, in *instr, m uint32) {
		for x, a := m, w.v(in.a); x != 0; x &= x - 1 {
			l := lowest(x)
			v := a[l]
			w.r32[lo][l], w.r32[hi][l] = v&0xFFFF, v>>16
		}
	}
}

func (c *compiler) decodeSelp() {
	in := c.in
	p, not := c.srcPred(3)
	if strings.HasSuffix(c.part(1), "64") {
		in.d, in.a, in.b = c.dst(0, 8), c.src64(1), c.src64(2)
		in.run = func(w *warp, in *instr, m uint32) {
			w.t64 = *w.w(in.b)
			blendWide(&w.t64, w.w(in.a), w.pred(p, not))
			w.keepWide(in.d, m)
		}
		return
	}
	t, _ := ptx.ParseType(c.part(1))
	in.d, in.a, in.b = c.dst(0, t.Bytes()), c.src32(1), c.src32(2)
	in.run = func(w *warp, in *instr, m uint32) {
		w.t32 = *w.v(in.b)
		blend(&w.t32, w.v(in.a), w.pred(p, not))
		w.keep(in.d, m)
	}
}
