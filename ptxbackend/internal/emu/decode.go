package emu

import (
	"math/bits"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// decode finds what c.src does.
func (c *compiler) decode() {
	switch c.op[0] {
	case "bra":
		c.decodeBranch()
	case "ret", "exit":
		c.in.flow = flowExit
	case "trap":
		c.in.run = func(w *warp, _ *instr, m uint32) { w.fault(lowest(m), "trap") }
	case "mov":
		c.decodeMov()
	case "ld", "st":
		c.decodeMemory()
	case "atom", "red":
		c.decodeAtomic()
	case "cvt":
		c.decodeCvt()
	case "setp":
		c.decodeSetp()
	case "selp":
		c.decodeSelp()
	case "bar", "barrier":
		c.decodeBarrier()
	case "shfl", "vote", "redux", "activemask", "match":
		c.decodeLanes()
	case "ldmatrix", "stmatrix", "mma":
		c.decodeMatrix()
	case "wgmma":
		c.decodeWgmma()
	case "cp":
		c.decodeCopy()
	case "mbarrier":
		c.decodeMbarrier()
	case "fence", "membar":
		c.decodeFence()
	case "griddepcontrol", "setmaxnreg", "nanosleep", "prefetch", "prefetchu":
		c.decodeMisc()
	default:
		c.decodeALU()
	}
}

func (c *compiler) decodeBranch() {
	c.in.flow = flowBranch
	t, ok := c.labels[c.arg(0).Sym]
	if !ok {
		c.fail("no label %q", c.arg(0).Sym)
	}
	c.in.target = t
}

// decodeALU decodes what works on each lane alone.
func (c *compiler) decodeALU() {
	in := c.in
	last := c.op[len(c.op)-1]
	name := strings.Replace(c.src.Op, ".rn.", ".", 1)
	switch {
	case last == "pred":
		c.decodePred()
		return
	case c.op[0] == "lop3":
		in.d, in.a, in.b, in.c = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3)
		in.f = lop3For(uint32(c.arg(4).Imm))
		in.run = runALU
		return
	case c.op[0] == "prmt":
		mode := ""
		if len(c.op) == 3 {
			mode = c.part(2)
		}
		in.f = each3(func(a, b, s uint32) uint32 { return prmt(mode, a, b, s) })
		in.d, in.a, in.b, in.c = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3)
		in.run = runALU
		return
	case name == "bfi.b32":
		in.d, in.a, in.b, in.c, in.e = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3), c.src32(4)
		in.run = func(w *warp, in *instr, m uint32) {
			a, b, p, n := w.v(in.a), w.v(in.b), w.v(in.c), w.v(in.e)
			for l := range w.t32 {
				w.t32[l] = bfi(a[l], b[l], p[l], n[l])
			}
			blend(&w.r32[in.d], &w.t32, m)
		}
		return
	case strings.Contains(name, ".wide."):
		c.decodeWiden(name)
		return
	case c.op[0] == "shl" || c.op[0] == "shr":
		if strings.HasSuffix(last, "64") {
			c.decodeShift64(last)
			return
		}
	}
	if f, ok := wideOps[name]; ok {
		in.fw = f
		in.d = c.dst(0, 8)
		to := [...]*int32{&in.a, &in.b, &in.c}
		c.sources(3, func(i int) { *to[i-1] = c.src64(i) })
		in.run = runWide
		return
	}
	if name == "bfe.u64" || name == "bfe.s64" {
		signed := name == "bfe.s64"
		in.d, in.a, in.b, in.c = c.dst(0, 8), c.src64(1), c.src32(2), c.src32(3)
		in.run = func(w *warp, in *instr, m uint32) {
			a, pos, n := w.w(in.a), w.v(in.b), w.v(in.c)
			for l := range w.t64 {
				w.t64[l] = bfe64(a[l], pos[l], n[l], signed)
			}
			w.keepWide(in.d, m)
		}
		return
	}
	if f, ok := countOps[name]; ok {
		in.d, in.a = c.dst(0, 4), c.src64(1)
		in.run = func(w *warp, in *instr, m uint32) {
			a := w.w(in.a)
			for x := m; x != 0; x &= x - 1 {
				w.r32[in.d][lowest(x)] = f(a[lowest(x)])
			}
		}
		return
	}
	f, ok := aluOps[name]
	if !ok {
		return
	}
	in.f, in.run = f, runALU
	t, _ := ptx.ParseType(last)
	in.d = c.dst(0, t.Bytes())
	to := [...]*int32{&in.a, &in.b, &in.c}
	c.sources(3, func(i int) {
		*to[i-1] = c.src32(i)
		if t.Bytes() == 2 && c.arg(i).Kind == ptx.ArgImm && c.op[0] != "shl" && c.op[0] != "shr" {
			*to[i-1] = c.const32(uint32(c.arg(i).Imm) & 0xFFFF)
		}
	})
}

var countOps = map[string]func(uint64) uint32{
	"popc.b64": func(a uint64) uint32 { return uint32(bits.OnesCount64(a)) },
	"clz.b64":  func(a uint64) uint32 { return uint32(bits.LeadingZeros64(a)) },
}

func runALU(w *warp, in *instr, m uint32) {
	if m == full {
		in.f(&w.r32[in.d], w.v(in.a), w.v(in.b), w.v(in.c))
		return
	}
	in.f(&w.t32, w.v(in.a), w.v(in.b), w.v(in.c))
	blend(&w.r32[in.d], &w.t32, m)
}

func runWide(w *warp, in *instr, m uint32) {
	if m == full {
		in.fw(&w.r64[in.d], w.w(in.a), w.w(in.b), w.w(in.c))
		return
	}
	in.fw(&w.t64, w.w(in.a), w.w(in.b), w.w(in.c))
	blendWide(&w.r64[in.d], &w.t64, m)
}

// lop3For is the function with the truth table lut; the usual ones have loops of
// their own.
func lop3For(lut uint32) alu {
	const a, b, c = ptx.LutA, ptx.LutB, ptx.LutC
	switch uint8(lut) {
	case a&b | c:
		return func(d, a, b, c *vec) {
			for l := range d {
				d[l] = a[l]&b[l] | c[l]
			}
		}
	case a & (b | c):
		return func(d, a, b, c *vec) {
			for l := range d {
				d[l] = a[l] & (b[l] | c[l])
			}
		}
	case a&b ^ c:
		return func(d, a, b, c *vec) {
			for l := range d {
				d[l] = a[l]&b[l] ^ c[l]
			}
		}
	case a ^ b ^ c:
		return func(d, a, b, c *vec) {
			for l := range d {
				d[l] = a[l] ^ b[l] ^ c[l]
			}
		}
	}
	return func(d, a, b, c *vec) { lop3(d, a, b, c, lut) }
}

// decodeWiden decodes mul.wide and mad.wide.
func (c *compiler) decodeWiden(name string) {
	in := c.in
	in.d, in.a, in.b = c.dst(0, 8), c.src32(1), c.src32(2)
	if in.c = c.const64(0); c.op[0] == "mad" {
		in.c = c.src64(3)
	}
	switch strings.TrimPrefix(strings.TrimPrefix(name, "mul."), "mad.") {
	case "wide.u32":
		in.run = func(w *warp, in *instr, m uint32) {
			a, b, z := w.v(in.a), w.v(in.b), w.w(in.c)
			for l := range w.t64 {
				w.t64[l] = uint64(a[l])*uint64(b[l]) + z[l]
			}
			w.keepWide(in.d, m)
		}
	case "wide.s32":
		in.run = func(w *warp, in *instr, m uint32) {
			a, b, z := w.v(in.a), w.v(in.b), w.w(in.c)
			for l := range w.t64 {
				w.t64[l] = uint64(int64(int32(a[l]))*int64(int32(b[l]))) + z[l]
			}
			w.keepWide(in.d, m)
		}
	}
}

// keepWide stores t64 in the lanes of m.
func (w *warp) keepWide(d int32, m uint32) {
	if m == full {
		w.r64[d] = w.t64
		return
	}
	blendWide(&w.r64[d], &w.t64, m)
}

func (w *warp) keep(d int32, m uint32) {
	if m == full {
		w.r32[d] = w.t32
		return
	}
	blend(&w.r32[d], &w.t32, m)
}

func (c *compiler) decodeShift64(t string) {
	in := c.in
	in.d, in.a, in.b = c.dst(0, 8), c.src64(1), c.src32(2)
	var f func(a uint64, n uint32) uint64
	switch {
	case c.op[0] == "shl":
		f = func(a uint64, n uint32) uint64 { return a << n }
	case t == "s64":
		f = func(a uint64, n uint32) uint64 { return uint64(int64(a) >> n) }
	default:
		f = func(a uint64, n uint32) uint64 { return a >> n }
	}
	in.run = func(w *warp, in *instr, m uint32) {
		a, n := w.w(in.a), w.v(in.b)
		for l := range w.t64 {
			w.t64[l] = f(a[l], n[l])
		}
		w.keepWide(in.d, m)
	}
}

// decodePred decodes and, or, xor, not of predicates.
func (c *compiler) decodePred() {
	in := c.in
	in.d = c.dst(0, 0)
	a, na := c.srcPred(1)
	if c.op[0] == "not" {
		in.run = func(w *warp, in *instr, m uint32) { w.setPred(in.d, m, ^w.pred(a, na)) }
		return
	}
	b, nb := c.srcPred(2)
	switch c.op[0] {
	case "and":
		in.run = func(w *warp, in *instr, m uint32) { w.setPred(in.d, m, w.pred(a, na)&w.pred(b, nb)) }
	case "or":
		in.run = func(w *warp, in *instr, m uint32) { w.setPred(in.d, m, w.pred(a, na)|w.pred(b, nb)) }
	case "xor":
		in.run = func(w *warp, in *instr, m uint32) { w.setPred(in.d, m, w.pred(a, na)^w.pred(b, nb)) }
	}
}

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

func (c *compiler) decodeMisc() {
	in := c.in
	in.run = func(*warp, *instr, uint32) {}
	switch c.src.Op {
	case "griddepcontrol.wait":
		in.run = func(w *warp, _ *instr, m uint32) { w.waited |= m }
	case "griddepcontrol.launch_dependents":
	case "setmaxnreg.inc.sync.aligned.u32", "setmaxnreg.dec.sync.aligned.u32":
		in.flow = flowAligned
		if n := c.arg(0).Imm; n%8 != 0 || n < 24 || n > 256 {
			c.fail("%d registers: a multiple of 8 between 24 and 256 is wanted", n)
		}
	case "nanosleep.u32":
		c.src32(0)
		in.run = func(w *warp, _ *instr, _ uint32) { w.stop = true }
	}
}

func (c *compiler) decodeFence() {
	in := c.in
	switch {
	case strings.HasPrefix(c.src.Op, "fence.proxy.async"):
		in.run = func(w *warp, _ *instr, m uint32) { w.fenceAsync(m) }
	case strings.HasPrefix(c.src.Op, "fence.mbarrier_init."):
		in.run = func(w *warp, _ *instr, _ uint32) { w.fenceInit() }
	case strings.HasSuffix(c.src.Op, ".cta"):
		in.run = func(*warp, *instr, uint32) {}
	default:
		in.run = func(w *warp, _ *instr, _ uint32) { w.blk.fence() }
	}
}
