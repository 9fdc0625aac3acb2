package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func emitQ8_0(a *asm) {
	a.widths(packQ8_0)
	decodeQ8_0(a)
	a.dots(decodeQ8_0x256)
}

func packQ8_0(v vec) {
	v.pack("Q8_0", 1, 34, 1, func(p *packer) func() {
		flip := v.filled(0x80)
		return func() {
			for h := range 2 {
				for j, t := range p.column16(2 + 16*h) {
					v.xor(flip, t, t)
					v.store(t, p.toQ(0, 4*h+j))
				}
			}
			v.store(p.halves(0), p.toD(0))
		}
	})
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
