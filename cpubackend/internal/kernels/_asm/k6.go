package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Q6_K: super-blocks of 256: 128 bytes of low nibbles, 64 of upper two bits, 16
// signed scales, a half-precision scale.
const (
	q6Block  = 210
	q6High   = 128
	q6Scales = 192
	q6D      = 208
)

func emitQ6K(a *asm) {
	a.widths(packQ6K)
	decodeQ6K(a)
	a.dots(decodeQ6Kx256)
}

func packQ6K(v vec) {
	v.pack("Q6K", 8, q6Block, 2, func(p *packer) func() {
		low4, two, add := v.filled(15), v.filled(0x30), v.filled(96)
		return func() {
			d := v.highHalves(p.column16(q6D - 14)[3])
			for i, t := range p.column16(q6Scales) {
				for b := range 4 {
					x := v.reg()
					v.VPSLLD(Imm(uint64(24-8*b)), t, x)
					v.VPSRAD(Imm(24), x, x)
					v.VCVTDQ2PS(x, x)
					v.VMULPS(d, x, x)
					v.store(x, p.toD(4*i+b))
				}
			}
			for part := range 4 { // half of the super-block, half of a group
				half, h := part/2, part%2
				high := p.column16(q6High + 32*half + 16*h)
				for quarter := range 2 {
					for j, t := range p.column16(64*half + 32*quarter + 16*h) {
						for upper := range 2 {
							k, x := quarter+2*upper, v.reg()
							u := v.nibble(t, upper, low4)
							v.bitsToFour(high[j], x, 2*k)
							v.and(two, x, x)
							v.or(x, u, u)
							v.VPADDB(add, u, u)
							v.store(u, p.toQ(4*half+k, 4*h+j))
						}
					}
				}
			}
		}
	})
}

// bitsToFour moves bit from to bit 4 of every byte; bits of neighbours come with
// it.
func (v vec) bitsToFour(x, dst reg.Register, from int) {
	switch {
	case from < 4:
		v.VPSLLW(Imm(uint64(4-from)), x, dst)
	case from > 4:
		v.VPSRLW(Imm(uint64(from-4)), x, dst)
	default:
		v.VMOVAPS(x, dst)
	}
}

// One row at a time: 64 bytes of nibbles are quarters 0 and 1 of a half (low) and
// quarters 2 and 3 (high).
func decodeQ6K(a *asm) {
	a.decode("decodeQ6KAVX512", "decodeQ6KAVX512 multiplies groups of four rows with one activation row.", q6Block, 8,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			low4, two, thirtyTwo, acc := a.filled(15), a.filled(0x30), a.filled(32), a.zmms(4)
			shift := a.constant(each(64, func(i int) byte { return []byte{0, 2}[i/32] * byte(1-i%2) }))
			twice := a.ZMM()
			a.VMOVDQU32(a.dwords(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), twice)
			var four [4]reg.VecVirtual // four lanes to a scale
			for i := range four {
				g := uint32(4 * i)
				four[i] = a.ZMM()
				a.VMOVDQU32(a.dwords(g, g, g, g, g+1, g+1, g+1, g+1, g+2, g+2, g+2, g+2, g+3, g+3, g+3, g+3), four[i])
			}
			body := func() {
				var x, comp [4]reg.VecVirtual
				for i := range x {
					x[i], comp[i] = a.ZMM(), a.ZMM()
					a.lowY(at(k.c, 128*i), x[i])
					a.VINSERTI64X4(Imm(1), at(k.c, 128*i+64), x[i], x[i])
					a.negatedSums(thirtyTwo, comp[i], x[i])
				}
				dx := a.ZMM()
				a.lowY(at(k.d, 0), dx)
				a.VPERMPS(dx, twice, dx)
				for r := range 4 {
					k.fetch(r)
					scale, d := a.ZMM(), a.ZMM()
					a.VPMOVSXBD(k.row(r, q6Scales), scale)
					a.VCVTDQ2PS(scale, scale)
					a.VPBROADCASTW(k.row(r, q6D), d.AsY())
					a.VCVTPH2PS(d.AsY(), d)
					a.VMULPS(dx, scale, scale)
					a.VMULPS(d, scale, scale)
					for half := range 2 {
						z, high := a.ZMM(), a.ZMM()
						a.VMOVDQU32(k.row(r, 64*half), z)
						a.VBROADCASTI64X4(k.row(r, q6High+32*half), high)
						a.VPSRLVW(shift, high, high)
						for upper := range 2 {
							i := 2*half + upper
							u, v, s, e := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
							if upper == 1 {
								a.VPSRLW(Imm(4), z, u)
								a.VPANDD(low4, u, u)
								a.VPANDD(two, high, v)
							} else {
								a.VPANDD(low4, z, u)
								a.VPSLLW(Imm(4), high, v)
								a.VPANDD(two, v, v)
							}
							a.VPORD(v, u, u)
							a.VMOVDQA32(comp[i], s)
							a.dp(x[i], u, s)
							a.VCVTDQ2PS(s, s)
							a.VPERMPS(scale, four[i], e)
							a.VFMADD231PS(s, e, acc[r])
						}
					}
				}
			}
			return func() { a.zero(acc...) }, body, func() reg.VecVirtual { return a.joinRows(acc) }
		})
}
