package emu

import (
	"math/bits"
	"strings"
)

// decodeBarrier decodes bar.sync, bar.arrive, their names barrier[.cta]..., and
// bar.warp.sync.
func (c *compiler) decodeBarrier() {
	in := c.in
	name := strings.Replace(c.src.Op, "barrier.cta", "bar", 1)
	name = strings.Replace(strings.Replace(name, "barrier.", "bar.", 1), ".aligned", "", 1)
	in.flow = flowSync
	switch name {
	case "bar.warp.sync":
		in.a = c.src32(0)
		in.run = func(w *warp, in *instr, m uint32) {
			w.members(in.a, m)
			w.tick()
		}
	case "bar.sync", "bar.arrive":
		in.flow = flowBarrier
		wait := name == "bar.sync"
		if !wait && len(c.src.Args) < 2 {
			c.fail("bar.arrive says for how many threads")
			return
		}
		in.a, in.b = c.src32(0), c.const32(0)
		if len(c.src.Args) > 1 {
			in.b = c.src32(1)
		}
		in.run = func(w *warp, in *instr, m uint32) {
			id, n := w.uniform(in.a, m, "barrier"), int(w.uniform(in.b, m, "number of threads"))
			if len(in.src.Args) == 1 {
				n = w.blk.threads()
			}
			w.blk.arrive(w, int(id), n, wait)
		}
	}
}

// uniform is an operand all lanes must agree on.
func (w *warp) uniform(r int32, m uint32, what string) uint32 {
	v := w.v(r)
	x := v[lowest(m)]
	for ; m != 0; m &= m - 1 {
		if l := lowest(m); v[l] != x {
			w.fault(l, "the lanes of the warp disagree on the %s: %d and %d", what, v[l], x)
		}
	}
	return x
}

// members checks the mask of lanes that take part, which must be those that do.
func (w *warp) members(r int32, m uint32) uint32 {
	mask := w.uniform(r, m, "mask of members")
	if m&^mask != 0 {
		w.fault(lowest(m&^mask), "the lane executes it but is not in its mask %#x", mask)
	}
	if missing := mask & w.lanes &^ m; missing != 0 {
		w.fault(lowest(missing), "the lane is in the mask %#x of members but does not execute it", mask)
	}
	return mask
}

func (c *compiler) decodeLanes() {
	in := c.in
	in.flow = flowSync
	switch {
	case c.op[0] == "shfl":
		c.decodeShfl()
	case c.op[0] == "vote":
		c.decodeVote()
	case c.src.Op == "activemask.b32":
		in.flow = flowNext
		in.d = c.dst(0, 4)
		in.run = func(w *warp, in *instr, m uint32) {
			for x := m; x != 0; x &= x - 1 {
				w.r32[in.d][lowest(x)] = m
			}
		}
	case c.op[0] == "redux":
		c.decodeRedux()
	}
}

func (c *compiler) decodeShfl() {
	in := c.in
	mode := c.part(2)
	in.d, in.a, in.b, in.c, in.e = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3), c.src32(4)
	if c.arg(0).Kind == 0 || len(c.src.Args) != 5 {
		c.fail("shfl.sync d, a, b, c, mask is wanted")
	}
	in.run = func(w *warp, in *instr, m uint32) {
		w.members(in.e, m)
		a, b, cl := w.v(in.a), w.v(in.b), w.v(in.c)
		for x := m; x != 0; x &= x - 1 {
			l := uint32(lowest(x))
			j, ok := shflLane(mode, l, b[l]&31, cl[l])
			if !ok {
				j = l
			}
			if m>>j&1 == 0 {
				w.fault(int(l), "it takes the value of lane %d, which does not take part", j)
			}
			w.t32[l] = a[j]
		}
		blend(&w.r32[in.d], &w.t32, m)
	}
}

// shflLane is the lane a shuffle of lane l reads; b is the operand and c the clamp
// and segment mask, as the ISA's pseudocode has them.
func shflLane(mode string, l, b, c uint32) (uint32, bool) {
	segment, clamp := c>>8&31, c&31
	top := l&segment | clamp&^segment
	low := l & segment
	switch mode {
	case "up":
		j := int32(l) - int32(b)
		return uint32(j), j >= int32(top)
	case "down":
		return l + b, l+b <= top
	case "bfly":
		return l ^ b, l^b <= top
	}
	j := low | b&^segment
	return j, j <= top
}

func (c *compiler) decodeVote() {
	in := c.in
	mode := c.part(2)
	p, not := c.srcPred(1)
	in.a = c.src32(2)
	if mode == "ballot" {
		in.d = c.dst(0, 4)
		in.run = func(w *warp, in *instr, m uint32) {
			w.members(in.a, m)
			v := w.pred(p, not) & m
			for x := m; x != 0; x &= x - 1 {
				w.r32[in.d][lowest(x)] = v
			}
		}
		return
	}
	in.d = c.dst(0, 0)
	var f func(v, m uint32) bool
	switch mode {
	case "any":
		f = func(v, _ uint32) bool { return v != 0 }
	case "all":
		f = func(v, m uint32) bool { return v == m }
	case "uni":
		f = func(v, m uint32) bool { return v == 0 || v == m }
	default:
		return
	}
	in.run = func(w *warp, in *instr, m uint32) {
		w.members(in.a, m)
		r := uint32(0)
		if f(w.pred(p, not)&m, m) {
			r = full
		}
		w.setPred(in.d, m, r)
	}
}

func (c *compiler) decodeRedux() {
	in := c.in
	name := strings.TrimPrefix(c.src.Op, "redux.sync.")
	f := map[string]func(a, b uint32) uint32{
		"add.u32": func(a, b uint32) uint32 { return a + b }, "add.s32": func(a, b uint32) uint32 { return a + b },
		"min.u32": func(a, b uint32) uint32 { return min(a, b) }, "max.u32": func(a, b uint32) uint32 { return max(a, b) },
		"min.s32": func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) },
		"max.s32": func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) },
		"and.b32": func(a, b uint32) uint32 { return a & b }, "or.b32": func(a, b uint32) uint32 { return a | b },
		"xor.b32": func(a, b uint32) uint32 { return a ^ b },
	}[name]
	if f == nil {
		return
	}
	in.d, in.a, in.b = c.dst(0, 4), c.src32(1), c.src32(2)
	in.run = func(w *warp, in *instr, m uint32) {
		w.members(in.b, m)
		a := w.v(in.a)
		r := a[lowest(m)]
		for x := m & (m - 1); x != 0; x &= x - 1 {
			r = f(r, a[bits.TrailingZeros32(x)&31])
		}
		for x := m; x != 0; x &= x - 1 {
			w.r32[in.d][lowest(x)] = r
		}
	}
}
