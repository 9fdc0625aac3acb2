package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
