package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The vector operations are the same text for AVX-512 and for AVX2 with FMA and
// F16C: only the registers' width differs. Lengths are multiples of the width;
// the Go side does what is left.

// vec is the width.
type vec struct {
	*asm
	lanes int // 16 or 8
	isa   string
}

// widths runs f for both.
func (a *asm) widths(f func(v vec)) {
	f(vec{a, 16, "AVX512"})
	f(vec{a, 8, "AVX2"})
}

func (v vec) reg() reg.VecVirtual {
	if v.lanes == 16 {
		return v.ZMM()
	}
	return v.YMM()
}

func (v vec) regs(n int) []reg.VecVirtual {
	r := make([]reg.VecVirtual, n)
	for i := range r {
		r[i] = v.reg()
	}
	return r
}

// lowHalf loads half a register and clears the rest.
func (v vec) lowHalf(from Mem, r reg.VecVirtual) {
	if v.lanes == 16 {
		v.lowY(from, r)
	} else {
		v.lowX(from, r)
	}
}

func (v vec) bytes() int { return 4 * v.lanes }

// and, or, xor are named differently for the two.
func (v vec) and(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPANDD(x, y, dst)
	} else {
		v.VPAND(x, y, dst)
	}
}

func (v vec) or(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPORD(x, y, dst)
	} else {
		v.VPOR(x, y, dst)
	}
}

func (v vec) xor(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPXORD(x, y, dst)
	} else {
		v.VPXOR(x, y, dst)
	}
}

// constant is data of a register's width, b over and over: in a register where
// there are many.
func (v vec) constant(b []byte) Op {
	m := v.asm.bytes(each(64, func(i int) byte { return b[i%len(b)] }))
	if v.lanes == 8 {
		return m
	}
	r := v.reg()
	v.VMOVDQU32(m, r)
	return r
}

// filled is a constant of equal bytes.
func (v vec) filled(b byte) Op { return v.constant([]byte{b}) }

// inRegister is a constant that has to be in a register.
func (v vec) inRegister(b []byte) reg.VecVirtual {
	r := v.reg()
	v.VMOVUPS(v.asm.bytes(each(64, func(i int) byte { return b[i%len(b)] })), r)
	return r
}

// addWhere adds to dst where all bits of test are set in from.
func (v vec) addWhere(test, from, add Op, dst reg.VecVirtual) {
	if v.lanes == 16 {
		k := v.K()
		v.VPTESTMB(test, from, k)
		v.VPADDB(add, dst, k, dst)
		return
	}
	t := v.reg()
	v.VPAND(test, from.(reg.Register), t)
	v.VPCMPEQB(test, t, t)
	v.VPAND(add, t, t)
	v.VPADDB(t, dst, dst)
}

// store writes a register of integers.
func (v vec) store(r reg.Register, to Mem) { v.VMOVUPS(r, to) }

// all is a register full of one float32.
func (v vec) all(f float64) reg.VecVirtual { return v.allBits(math.Float32bits(float32(f))) }

func (v vec) allBits(b uint32) reg.VecVirtual {
	r := v.reg()
	v.VBROADCASTSS(v.dwords(b), r)
	return r
}

// allArg is a register full of a float32 argument.
func (v vec) allArg(name string) reg.VecVirtual {
	r := v.reg()
	x := v.XMM()
	v.Load(v.Param(name), x)
	v.VBROADCASTSS(x, r)
	return r
}

// turns divides a length by the width, leaving to the label when it is 0.
func (v vec) turns(n reg.GPVirtual, end string) {
	shift := uint64(4)
	if v.lanes == 8 {
		shift = 3
	}
	v.SHRQ(Imm(shift), n)
	v.JZ(LabelRef(end))
}

// sum adds up the lanes.
func (v vec) sum(r reg.VecVirtual) reg.Register {
	return v.fold(r, func(x, y reg.Register) { v.VADDPS(x, y, y) })
}

// fold combines the lanes pairwise into lane 0.
func (v vec) fold(r reg.VecVirtual, f func(x, y reg.Register)) reg.Register {
	if v.lanes == 16 {
		t := v.YMM()
		v.VEXTRACTF64X4(Imm(1), r, t)
		f(t, r.AsY())
	}
	x, t := r.AsX(), v.XMM()
	v.VEXTRACTF128(Imm(1), r.AsY(), t)
	f(t, x)
	v.VPERMILPS(Imm(0x4e), x, t)
	f(t, x)
	v.VPERMILPS(Imm(0xb1), x, t)
	f(t, x)
	return x
}

// expParts are the constants of exp.
type expParts struct {
	vec
	low, high, log2e, ln2High, ln2Low, bias reg.VecVirtual
	poly                                    [7]reg.VecVirtual
}

// newExp loads them: the same numbers as in softmax.go of the kernels.
func (v vec) newExp() expParts {
	e := expParts{vec: v, low: v.all(-87.33654), high: v.all(89), log2e: v.all(1.44269504),
		ln2High: v.all(0.693359375), ln2Low: v.all(-2.12194440e-4)}
	e.bias = v.allBits(127)
	return e
}

var expCoefficients = [7]float64{1, 1, 0.49999994, 0.1666643, 0.041668005, 0.008374196, 0.0013843607}

// exp replaces x by e^x. NaN stays NaN; below -87.3 is 0, above 88.7 infinity.
func (e expParts) exp(x reg.VecVirtual) {
	v := e.vec
	y, n, p, s, t := v.reg(), v.reg(), v.reg(), v.reg(), v.reg()
	v.VMINPS(x, e.high, y) // the second operand, x, is what a NaN leaves
	v.VMAXPS(y, e.low, y)
	v.VMULPS(e.log2e, y, s)
	v.VCVTPS2DQ(s, s)
	v.VCVTDQ2PS(s, n)
	v.VFNMADD231PS(e.ln2High, n, y)
	v.VFNMADD231PS(e.ln2Low, n, y)
	v.VBROADCASTSS(v.dwords(math.Float32bits(float32(expCoefficients[6]))), p)
	for i := 5; i >= 0; i-- {
		c := v.dwords(math.Float32bits(float32(expCoefficients[i])))
		if v.lanes == 16 {
			v.VFMADD213PS_BCST(c, y, p)
		} else {
			v.VBROADCASTSS(c, n)
			v.VFMADD213PS(n, y, p)
		}
	}
	v.VPSRAD(Imm(1), s, t)
	v.VPSUBD(t, s, s)
	for _, k := range []reg.VecVirtual{t, s} {
		v.VPADDD(e.bias, k, k)
		v.VPSLLD(Imm(23), k, k)
		v.VMULPS(k, p, p)
	}
	if v.lanes == 16 {
		k := v.K()
		v.VCMPPS(Imm(5), e.low, x, k) // not x < low
		v.VMOVAPS_Z(p, k, x)
	} else {
		v.VCMPPS(Imm(5), e.low, x, n)
		v.VANDPS(n, p, x)
	}
}

func emitVector(a *asm) {
	a.widths(func(v vec) {
		sumSquares(v)
		scaleMul(v)
		add(v)
		siluMul(v)
	})
}

func sumSquares(v vec) {
	v.returning("sumSquares"+v.isa, "x *float32, n int", "float32", "sumSquares"+v.isa+" adds up the squares of n numbers.")
	x, n := v.arg("x"), v.arg("n")
	acc := v.reg()
	v.zero(acc)
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		r := v.reg()
		v.VMOVUPS(at(x, 0), r)
		v.VFMADD231PS(r, r, acc)
		v.ADDQ(imm(v.bytes()), x)
	})
	v.Label(end)
	v.Store(v.sum(acc), v.ReturnIndex(0))
	v.finish()
}

// finish clears the upper halves of the registers and returns.
func (a *asm) finish() {
	a.VZEROUPPER()
	a.RET()
}

func scaleMul(v vec) {
	v.function("scaleMul"+v.isa, "dst, x, w *float32, n int, scale float32", "scaleMul"+v.isa+" sets dst = x*scale*w over n numbers.")
	dst, x, w, n := v.arg("dst"), v.arg("x"), v.arg("w"), v.arg("n")
	scale := v.allArg("scale")
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		r := v.reg()
		v.VMULPS(at(x, 0), scale, r)
		v.VMULPS(at(w, 0), r, r)
		v.VMOVUPS(r, at(dst, 0))
		for _, p := range []reg.Register{dst, x, w} {
			v.ADDQ(imm(v.bytes()), p)
		}
	})
	v.Label(end)
	v.finish()
}

func add(v vec) {
	v.function("add"+v.isa, "dst, x *float32, n int", "add"+v.isa+" adds n numbers of x to dst.")
	dst, x, n := v.arg("dst"), v.arg("x"), v.arg("n")
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		r := v.reg()
		v.VMOVUPS(at(dst, 0), r)
		v.VADDPS(at(x, 0), r, r)
		v.VMOVUPS(r, at(dst, 0))
		for _, p := range []reg.Register{dst, x} {
			v.ADDQ(imm(v.bytes()), p)
		}
	})
	v.Label(end)
	v.finish()
}

func siluMul(v vec) {
	v.function("siluMul"+v.isa, "dst, gate, up *float32, n int", "siluMul"+v.isa+" sets dst = gate/(1+exp(-gate))*up over n numbers.")
	dst, gate, up, n := v.arg("dst"), v.arg("gate"), v.arg("up"), v.arg("n")
	e, one := v.newExp(), v.all(1)
	sign := v.allBits(0x80000000)
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		g, x := v.reg(), v.reg()
		v.VMOVUPS(at(gate, 0), g)
		v.VXORPS(sign, g, x)
		e.exp(x)
		v.VADDPS(one, x, x)
		v.VDIVPS(x, g, g)
		v.VMULPS(at(up, 0), g, g)
		v.VMOVUPS(g, at(dst, 0))
		for _, p := range []reg.Register{dst, gate, up} {
			v.ADDQ(imm(v.bytes()), p)
		}
	})
	v.Label(end)
	v.finish()
}

func emitSoftmax(a *asm) {
	a.widths(func(v vec) {
		maximum(v)
		expSum(v)
	})
}

func maximum(v vec) {
	v.returning("max"+v.isa, "x *float32, n int", "float32", "max"+v.isa+" is the largest of n numbers, n at least the width.")
	x, n := v.arg("x"), v.arg("n")
	acc := v.reg()
	v.VMOVUPS(at(x, 0), acc)
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		v.VMAXPS(at(x, 0), acc, acc)
		v.ADDQ(imm(v.bytes()), x)
	})
	v.Label(end)
	v.Store(v.fold(acc, func(x, y reg.Register) { v.VMAXPS(x, y, y) }), v.ReturnIndex(0))
	v.finish()
}

func expSum(v vec) {
	v.returning("expSum"+v.isa, "x *float32, n int, max float32", "float32", "expSum"+v.isa+" sets x = exp(x-max) over n numbers and adds them up.")
	x, n := v.arg("x"), v.arg("n")
	top := v.allArg("max")
	e, acc := v.newExp(), v.reg()
	v.zero(acc)
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		r := v.reg()
		v.VMOVUPS(at(x, 0), r)
		v.VSUBPS(top, r, r)
		e.exp(r)
		v.VMOVUPS(r, at(x, 0))
		v.VADDPS(r, acc, acc)
		v.ADDQ(imm(v.bytes()), x)
	})
	v.Label(end)
	v.Store(v.sum(acc), v.ReturnIndex(0))
	v.finish()
}

func emitRope(a *asm) {
	a.widths(func(v vec) {
		ropeNormal(v)
		ropeNEOX(v)
	})
}

func ropeNormal(v vec) {
	v.function("ropeNormal"+v.isa, "x, cos, sin *float32, n int", "ropeNormal"+v.isa+" rotates n numbers, neighbours together.")
	x, cos, sin, n := v.arg("x"), v.arg("cos"), v.arg("sin"), v.arg("n")
	twice := v.reg()
	v.VMOVUPS(v.dwords(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), twice)
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		c, s, r, t := v.reg(), v.reg(), v.reg(), v.reg()
		v.lowHalf(at(cos, 0), c)
		v.lowHalf(at(sin, 0), s)
		v.VPERMPS(c, twice, c)
		v.VPERMPS(s, twice, s)
		v.VMOVUPS(at(x, 0), r)
		v.VPERMILPS(Imm(0xb1), r, t)
		v.VMULPS(s, t, t)
		v.VFMADDSUB231PS(c, r, t) // even lanes a*cos - b*sin, odd ones b*cos + a*sin
		v.VMOVUPS(t, at(x, 0))
		v.ADDQ(imm(v.bytes()), x)
		v.ADDQ(imm(v.bytes()/2), cos)
		v.ADDQ(imm(v.bytes()/2), sin)
	})
	v.Label(end)
	v.finish()
}

func ropeNEOX(v vec) {
	v.function("ropeNEOX"+v.isa, "x, y, cos, sin *float32, n int", "ropeNEOX"+v.isa+" rotates n pairs (x[i], y[i]).")
	x, y, cos, sin, n := v.arg("x"), v.arg("y"), v.arg("cos"), v.arg("sin"), v.arg("n")
	end := v.label("end")
	v.turns(n, end)
	v.loop(n, func() {
		c, s, a, b, t, u := v.reg(), v.reg(), v.reg(), v.reg(), v.reg(), v.reg()
		v.VMOVUPS(at(cos, 0), c)
		v.VMOVUPS(at(sin, 0), s)
		v.VMOVUPS(at(x, 0), a)
		v.VMOVUPS(at(y, 0), b)
		v.VMULPS(c, a, t)
		v.VFNMADD231PS(s, b, t)
		v.VMULPS(s, a, u)
		v.VFMADD231PS(c, b, u)
		v.VMOVUPS(t, at(x, 0))
		v.VMOVUPS(u, at(y, 0))
		for _, p := range []reg.Register{x, y, cos, sin} {
			v.ADDQ(imm(v.bytes()), p)
		}
	})
	v.Label(end)
	v.finish()
}

func emitHalf(a *asm) {
	a.widths(func(v vec) {
		v.function("f32ToF16"+v.isa, "dst *uint16, src *float32, n int", "f32ToF16"+v.isa+" rounds n numbers to half precision.")
		dst, src, n := v.arg("dst"), v.arg("src"), v.arg("n")
		end := v.label("end")
		v.turns(n, end)
		v.loop(n, func() {
			r := v.reg()
			v.VMOVUPS(at(src, 0), r)
			v.VCVTPS2PH(Imm(0), r, at(dst, 0))
			v.ADDQ(imm(v.bytes()), src)
			v.ADDQ(imm(v.bytes()/2), dst)
		})
		v.Label(end)
		v.finish()

		v.function("f16ToF32"+v.isa, "dst *float32, src *uint16, n int", "f16ToF32"+v.isa+" widens n numbers.")
		dst, src, n = v.arg("dst"), v.arg("src"), v.arg("n")
		end = v.label("end")
		v.turns(n, end)
		v.loop(n, func() {
			r := v.reg()
			v.VCVTPH2PS(at(src, 0), r)
			v.VMOVUPS(r, at(dst, 0))
			v.ADDQ(imm(v.bytes()), dst)
			v.ADDQ(imm(v.bytes()/2), src)
		})
		v.Label(end)
		v.finish()
	})
}
