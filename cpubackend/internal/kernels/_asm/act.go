package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func emitQuantize(a *asm) {
	quantizeAVX512(a)
	quantizeAVX2(a)
}

// 32 activations a turn.
func quantizeAVX512(a *asm) {
	a.function("quantizeAVX512", "c *byte, d, m, x *float32, cells int",
		"quantizeAVX512 fills cells, and their d and m once more in rows of their own.")
	c, d, m, x, n := a.arg("c"), a.arg("d"), a.arg("m"), a.arg("x"), a.arg("cells")
	abs, ones, top127 := a.ZMM(), a.YMM(), a.XMM()
	a.VPBROADCASTD(a.dwords(0x7fffffff), abs)
	a.VPBROADCASTD(a.dwords(0x01010101), ones)
	a.VMOVSS(a.dwords(bits127), top127)
	a.loop(n, func() {
		v, u := a.zmms(2), a.zmms(2)
		for h := range v {
			a.VMOVUPS(at(x, 64*h), v[h])
			a.VPANDD(abs, v[h], u[h])
		}
		a.VPMAXSD(u[1], u[0], u[0])
		y, t := a.YMM(), a.XMM()
		a.VEXTRACTI64X4(Imm(1), u[0], y)
		a.VPMAXSD(u[0].AsY(), y, y)
		a.VEXTRACTI128(Imm(1), y, t)
		top := y.AsX()
		a.VPMAXSD(t, top, top)
		a.VPSHUFD(Imm(0x4e), top, t)
		a.VPMAXSD(t, top, top)
		a.VPSHUFD(Imm(0xb1), top, t)
		a.VPMAXSD(t, top, top)
		bits := a.GP32()
		a.VMOVD(top, bits)
		small, done := a.label("small"), a.label("done")
		a.CMPL(bits, U32(bitsTiny))
		a.JCS(LabelRef(small))

		scale, inverse := a.XMM(), a.ZMM()
		a.VDIVSS(top127, top, scale)
		a.VDIVSS(top, top127, inverse.AsX())
		a.VBROADCASTSS(inverse.AsX(), inverse)
		q := a.zmms(2)
		for h := range v {
			number := a.K()
			a.VMULPS(inverse, v[h], q[h])
			a.VCMPPS(Imm(7), q[h], q[h], number) // ordered: not a NaN
			a.VCVTPS2DQ_Z(q[h], number, q[h])
			a.VPMOVDB(q[h], q[h].AsX())
		}
		b, s := a.YMM(), a.YMM()
		a.VINSERTI128(Imm(1), q[1].AsX(), q[0].AsY(), b)
		a.VMOVDQU(b, at(c, cellQ))
		a.zero(s)
		a.dp(b, ones, s)
		a.cellTail(s, scale, c, d, m)
		a.JMP(LabelRef(done))

		a.Label(small)
		a.zeroCell(c, d, m)
		a.Label(done)
		a.nextCell(x, c, d, m)
	})
	a.finish()
}

// cellTail stores everything of a cell but its values; s has their sums in fours.
func (a *asm) cellTail(s, scale reg.VecVirtual, c, d, m reg.GPVirtual) {
	hi, t := a.XMM(), a.XMM()
	a.VPHADDD(s, s, s)
	a.VPHADDD(s, s, s)
	a.VEXTRACTI128(Imm(1), s, hi)
	// sums: lanes 0, 1 the halves; 2, 3 the whole.
	sums, whole := a.XMM(), a.XMM()
	a.VPUNPCKLDQ(hi, s.AsX(), sums)
	a.VPADDD(hi, s.AsX(), whole)
	a.VPUNPCKLQDQ(whole, sums, sums)
	comp, product := a.XMM(), a.XMM()
	a.zero(comp)
	a.VPSUBD(sums, comp, comp)
	a.VPSLLD(Imm(7), comp, comp)
	a.VCVTDQ2PS(sums, product)
	a.VBROADCASTSS(scale, t)
	a.VMULPS(t, product, product)
	a.VMOVSS(scale, at(c, cellD))
	a.VMOVSS(scale, at(d, 0))
	a.VPEXTRD(Imm(2), comp, at(c, cellC))
	a.VEXTRACTPS(Imm(2), product, at(c, cellM))
	a.VEXTRACTPS(Imm(2), product, at(m, 0))
	a.VMOVQ(comp, at(c, cellC2))
	a.VMOVLPS(product, at(c, cellM2))
}

// zeroCell stores a cell of nothing.
func (a *asm) zeroCell(c, d, m reg.GPVirtual) {
	zero := a.YMM()
	a.zero(zero)
	a.VMOVDQU(zero, at(c, 0))
	a.VMOVDQU(zero, at(c, 32))
	a.VMOVSS(zero.AsX(), at(d, 0))
	a.VMOVSS(zero.AsX(), at(m, 0))
}

func (a *asm) nextCell(x, c, d, m reg.GPVirtual) {
	a.ADDQ(imm(128), x)
	a.ADDQ(imm(64), c)
	a.ADDQ(imm(4), d)
	a.ADDQ(imm(4), m)
}

func quantizeAVX2(a *asm) {
	a.function("quantizeAVX2", "c *byte, d, m, x *float32, cells int",
		"quantizeAVX2 fills cells, and their d and m once more in rows of their own.")
	c, d, m, x, n := a.arg("c"), a.arg("d"), a.arg("m"), a.arg("x"), a.arg("cells")
	v := vec{a, 8, "AVX2"}
	abs, ones := v.lanesOf(0x7fffffff), a.bytes(repeat(1, 64))
	order := a.dwords(0, 4, 1, 5, 2, 6, 3, 7)
	a.loop(n, func() {
		values, u := v.regs(4), v.regs(4)
		for h := range values {
			a.VMOVUPS(at(x, 32*h), values[h])
			a.VPAND(abs, values[h], u[h])
		}
		a.VPMAXSD(u[1], u[0], u[0])
		a.VPMAXSD(u[3], u[2], u[2])
		a.VPMAXSD(u[2], u[0], u[0])
		v.fold(u[0], func(x, y reg.Register) { a.VPMAXSD(x, y, y) })
		top := u[0].AsX()
		bits := a.GP32()
		a.VMOVD(top, bits)
		small, done := a.label("small"), a.label("done")
		a.CMPL(bits, U32(bitsTiny))
		a.JCS(LabelRef(small))

		scale, inverse, t := a.XMM(), a.YMM(), a.XMM()
		a.VMOVSS(a.dwords(bits127), t)
		a.VDIVSS(a.dwords(bits127), top, scale)
		a.VDIVSS(top, t, inverse.AsX())
		a.VBROADCASTSS(inverse.AsX(), inverse)
		for h, r := range values {
			number := v.reg()
			a.VMULPS(inverse, r, r)
			a.VCMPPS(Imm(7), r, r, number) // ordered: not a NaN
			a.VCVTPS2DQ(r, u[h])
			a.VPAND(number, u[h], u[h])
		}
		a.VPACKSSDW(u[1], u[0], u[0])
		a.VPACKSSDW(u[3], u[2], u[2])
		a.VPACKSSWB(u[2], u[0], u[0])
		q := v.reg()
		a.VMOVDQU(order, q)
		a.VPERMD(u[0], q, q)
		a.VMOVDQU(q, at(c, cellQ))
		s := v.reg()
		a.VMOVDQU(ones, s)
		a.VPMADDUBSW(q, s, s)
		a.VPMADDWD(a.ones16(), s, s)
		a.cellTail(s, scale, c, d, m)
		a.JMP(LabelRef(done))

		a.Label(small)
		a.zeroCell(c, d, m)
		a.Label(done)
		a.nextCell(x, c, d, m)
	})
	a.finish()
}
