package main

import (
	"github.com/mmcloughlin/avo/reg"
)

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
