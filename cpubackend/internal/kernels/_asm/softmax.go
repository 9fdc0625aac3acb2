package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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

// expParts are the constants of exp.
type expParts struct {
	vec
	low, high, log2e, ln2High, ln2Low, bias reg.VecVirtual
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
	if v.lanes == 16 {
		e.exp512(x)
		return
	}
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
		v.VBROADCASTSS(c, n)
		v.VFMADD213PS(n, y, p)
	}
	v.VPSRAD(Imm(1), s, t)
	v.VPSUBD(t, s, s)
	for _, k := range []reg.VecVirtual{t, s} {
		v.VPADDD(e.bias, k, k)
		v.VPSLLD(Imm(23), k, k)
		v.VMULPS(k, p, p)
	}
	v.VCMPPS(Imm(5), e.low, x, n)
	v.VANDPS(n, p, x)
}

// exp512 is exp where a number can be scaled by a power of two in one instruction.
func (e expParts) exp512(x reg.VecVirtual) {
	v := e.vec
	y, n, p, k := v.reg(), v.reg(), v.reg(), v.K()
	v.VMINPS(x, e.high, y)
	v.VMULPS(e.log2e, y, n)
	v.VRNDSCALEPS(Imm(0), n, n)
	v.VFNMADD231PS(e.ln2High, n, y)
	v.VFNMADD231PS(e.ln2Low, n, y)
	v.VBROADCASTSS(v.dwords(math.Float32bits(float32(expCoefficients[6]))), p)
	for i := 5; i >= 0; i-- {
		v.VFMADD213PS_BCST(v.dwords(math.Float32bits(float32(expCoefficients[i]))), y, p)
	}
	v.VSCALEFPS(n, p, p)
	v.VCMPPS(Imm(5), e.low, x, k) // not x < low
	v.VMOVAPS_Z(p, k, x)
}
