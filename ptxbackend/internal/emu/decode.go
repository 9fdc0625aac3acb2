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
	name := strings.Replace(c.src.Op, ".rn.", ".", 1)
	last := c.op[len(c.op)-1]
	t, _ := ptx.ParseType(last)
	switch {
	case last == "pred":
		c.decodePred()
	case c.op[0] == "lop3" || c.op[0] == "prmt":
		c.decodePicked()
	case name == "bfi.b32":
		c.decodeBfi()
	case name == "bfe.u64" || name == "bfe.s64":
		c.decodeBfe64(t.Signed())
	case strings.Contains(name, ".wide."):
		c.decodeWiden(name)
	case (c.op[0] == "shl" || c.op[0] == "shr") && t.Bytes() == 8:
		c.decodeShift64(last)
	case wideOps[name] != nil:
		c.in.fw, c.in.run = wideOps[name], runWide
		c.in.d = c.dst(0, 8)
		to := [...]*int32{&c.in.a, &c.in.b, &c.in.c}
		c.sources(3, func(i int) { *to[i-1] = c.src64(i) })
	case countOps[name] != nil:
		c.decodeCount(countOps[name])
	case aluOps[name] != nil:
		c.decodeNarrow(aluOps[name], t)
	}
}

// decodeNarrow decodes an operation of up to three operands of type t.
func (c *compiler) decodeNarrow(f alu, t ptx.Type) {
	in := c.in
	in.f, in.run = f, runALU
	in.d = c.dst(0, t.Bytes())
	to := [...]*int32{&in.a, &in.b, &in.c}
	c.sources(3, func(i int) {
		*to[i-1] = c.src32(i)
		if t.Bytes() == 2 && c.arg(i).Kind == ptx.ArgImm && c.op[0] != "shl" && c.op[0] != "shr" {
			*to[i-1] = c.const32(uint32(c.arg(i).Imm) & 0xFFFF)
		}
	})
}

// decodePicked decodes lop3 and prmt, whose function the instruction chooses.
func (c *compiler) decodePicked() {
	in := c.in
	in.d, in.a, in.b, in.c = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3)
	in.run = runALU
	if c.op[0] == "lop3" {
		in.f = lop3For(uint32(c.arg(4).Imm))
		return
	}
	mode := c.part(2)
	in.f = each3(func(a, b, s uint32) uint32 { return prmt(mode, a, b, s) })
}

func (c *compiler) decodeBfi() {
	in := c.in
	in.d, in.a, in.b, in.c, in.e = c.dst(0, 4), c.src32(1), c.src32(2), c.src32(3), c.src32(4)
	in.run = func(w *warp, in *instr, m uint32) {
		a, b, p, n := w.v(in.a), w.v(in.b), w.v(in.c), w.v(in.e)
		for l := range w.t32 {
			w.t32[l] = bfi(a[l], b[l], p[l], n[l])
		}
		w.keep(in.d, m)
	}
}

func (c *compiler) decodeBfe64(signed bool) {
	in := c.in
	in.d, in.a, in.b, in.c = c.dst(0, 8), c.src64(1), c.src32(2), c.src32(3)
	in.run = func(w *warp, in *instr, m uint32) {
		a, pos, n := w.w(in.a), w.v(in.b), w.v(in.c)
		for l := range w.t64 {
			w.t64[l] = bfe64(a[l], pos[l], n[l], signed)
		}
		w.keepWide(in.d, m)
	}
}

// decodeCount decodes what makes a number of 32 bits of one of 64.
func (c *compiler) decodeCount(f func(uint64) uint32) {
	in := c.in
	in.d, in.a = c.dst(0, 4), c.src64(1)
	in.run = func(w *warp, in *instr, m uint32) {
		a := w.w(in.a)
		for l := range w.t32 {
			w.t32[l] = f(a[l])
		}
		w.keep(in.d, m)
	}
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
