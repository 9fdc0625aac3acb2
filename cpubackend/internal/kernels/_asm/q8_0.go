package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func emitQ8_0(a *asm) {
	packQ8_0(a)
	decodeQ8_0(a)
}

func packQ8_0(a *asm) {
	p := a.pack("packQ8_0AVX512", "packQ8_0AVX512 packs n cells of 16 rows into a tile.")
	flip := a.filled(0x80)
	a.loop(p.n, func() {
		for h := range 2 {
			for j, t := range a.column16(&p.rows, 2+16*h) {
				a.VPXORD(flip, t, t)
				a.VMOVDQU32(t, at(p.q, 64*(4*h+j)))
			}
		}
		a.VMOVUPS(a.halves16(&p.rows, 0), at(p.d, 0))
		p.rows.advance(a, 34)
		a.ADDQ(imm(512), p.q)
		a.ADDQ(imm(64), p.d)
	})
	a.finish()
}

// Two rows of 32 bytes a register.
func decodeQ8_0(a *asm) {
	a.decode("decodeQ8_0AVX512", "decodeQ8_0AVX512 multiplies groups of four rows with one activation row.", 34, 1,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			flip, acc := a.filled(0x80), a.zmms(2)
			upper := a.mask(0xff00)
			body := func() {
				x, comp := a.ZMM(), a.ZMM()
				a.VBROADCASTI64X4(at(k.c, 0), x)
				a.negatedSums(flip, comp, x)
				for pair := range 2 {
					r := 2 * pair
					k.fetch(r)
					k.fetch(r + 1)
					w, s, scale, f := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
					a.lowY(k.row(r, 2), w)
					a.VINSERTI64X4(Imm(1), k.row(r+1, 2), w, w)
					a.VPXORD(flip, w, w)
					a.VMOVDQA32(comp, s)
					a.dp(x, w, s)
					a.VPBROADCASTW(k.row(r, 0), scale.AsY())
					a.VPBROADCASTW(k.row(r+1, 0), upper, scale.AsY())
					a.VCVTPH2PS(scale.AsY(), scale)
					a.VMULPS_BCST(at(k.c, cellD), scale, scale)
					a.VCVTDQ2PS(s, f)
					a.VFMADD231PS(f, scale, acc[pair])
				}
			}
			return func() { a.zero(acc...) }, body, func() reg.VecVirtual { return a.joinPairs(acc[0], acc[1]) }
		})
}
