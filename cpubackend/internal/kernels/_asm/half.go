package main

import (
	. "github.com/mmcloughlin/avo/operand"
)

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
