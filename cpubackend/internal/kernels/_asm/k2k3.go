package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Q2_K, Q3_K and IQ4_XS only have tiles: decoding uses them with one activation
// row.

func emitQ2K(a *asm) { a.widths(packQ2K) }
func emitQ3K(a *asm) { a.widths(packQ3K) }
func emitIQ4XS(a *asm) {
	a.widths(func(v vec) { packIQ4XS(v, "IQ4XS", false) })
	a.widths(func(v vec) { packIQ4XS(v, "IQ4XSCodes", true) })
}

// packQ2K: 16 bytes of scales (low nibbles) and minima (high ones), 64 bytes of
// 2-bit codes, d, dmin.
func packQ2K(v vec) {
	v.pack("Q2K", 8, 84, 2, func(p *packer) func() {
		low4, two := v.filled(15), v.filled(3)
		return func() {
			last := p.column16(68)[3]
			d, dmin := v.lowHalves(last), v.highHalves(last)
			v.VXORPS(v.lanesOf(0x80000000), dmin, dmin)
			for i, t := range p.column16(0) {
				for high, scale := range []reg.VecVirtual{d, dmin} {
					u := v.nibble(t, high, low4)
					for b := range 4 {
						x := p.byteOf(u, b)
						v.VCVTDQ2PS(x, x)
						v.VMULPS(scale, x, x)
						v.store(x, []Mem{p.toD(4*i + b), p.toM(4*i + b)}[high])
					}
				}
			}
			for part := range 4 {
				half, h := part/2, part%2
				for j, t := range p.column16(16 + 32*half + 16*h) {
					for k := range 4 {
						v.store(v.pairOfBits(t, k, two), p.toQ(4*half+k, 4*h+j))
					}
				}
			}
		}
	})
}

// byteOf is byte b of every lane.
func (v vec) byteOf(from reg.VecVirtual, b int) reg.VecVirtual {
	x := v.reg()
	v.VPSRLD(Imm(uint64(8*b)), from, x)
	v.and(v.lanesOf(0xff), x, x)
	return x
}

// pairOfBits is bits 2k and 2k+1 of every byte; two is 3 in every byte.
func (v vec) pairOfBits(from reg.VecVirtual, k int, two Op) reg.VecVirtual {
	u := v.reg()
	if k == 0 {
		v.and(two, from, u)
		return u
	}
	v.VPSRLW(Imm(uint64(2*k)), from, u)
	v.and(two, u, u)
	return u
}

// packQ3K: 32 bytes of third bits, 64 bytes of 2-bit codes, 12 bytes of 6-bit
// scales, d.
func packQ3K(v vec) {
	v.pack("Q3K", 8, 110, 2, func(p *packer) func() {
		two, four, add := v.filled(3), v.filled(4), v.filled(124)
		return func() {
			p.scalesQ3K()
			for h := range 2 { // 16 of a group's 32 columns
				third := p.column16(16 * h)
				for half := range 2 {
					for j, t := range p.column16(32 + 32*half + 16*h) {
						for k := range 4 {
							u := v.pairOfBits(t, k, two)
							v.addWhere(v.filled(1<<(4*half+k)), third[j], four, u)
							v.VPADDB(add, u, u)
							v.store(u, p.toQ(4*half+k, 4*h+j))
						}
					}
				}
			}
		}
	})
}

// scalesQ3K: scale i has its low four bits in nibble i/8 of byte i%8 and its high
// two at bits 2*(i/4) of byte 8 + i%4; 32 is taken off. The 12 bytes are read
// with two before and d after them, which is where a block ends.
func (p *packer) scalesQ3K() {
	v := p.vec
	t := p.column16(94)
	d := v.highHalves(t[3])
	var s [3]reg.VecVirtual
	for i := range s {
		s[i] = v.reg()
		next := v.reg()
		v.VPSRLD(Imm(16), t[i], s[i])
		v.VPSLLD(Imm(16), t[i+1], next)
		v.or(next, s[i], s[i])
	}
	for i := range 4 {
		low := v.nibble(s[i%2], i/2, v.filled(15))
		high := v.pairOfBits(s[2], i, v.filled(3))
		v.VPSLLW(Imm(4), high, high)
		v.or(high, low, low)
		for b := range 4 {
			x := v.byteOf(low, b)
			v.VPSUBD(v.lanesOf(32), x, x)
			v.VCVTDQ2PS(x, x)
			v.VMULPS(d, x, x)
			v.store(x, p.toD(4*i+b))
		}
	}
}

// packIQ4XS: d, the upper two bits of eight 6-bit scales, their lower nibbles,
// and 16 bytes of nibbles for each group. With codes the tile gets these, plus 120,
// instead of the values.
func packIQ4XS(v vec, name string, codes bool) {
	v.pack(name, 8, 136, 1, func(p *packer) func() {
		low4 := v.filled(15)
		var table reg.VecVirtual
		var add Op
		if codes {
			add = v.filled(120)
		} else {
			table = v.inRegister(iq4NL.biasedTable())
		}
		return func() {
			t := p.column16(0)
			d := v.lowHalves(t[0])
			for k := range 8 {
				low, high := v.reg(), v.reg()
				v.VPSRLD(Imm(uint64(4*k)), t[1], low)
				v.and(v.lanesOf(15), low, low)
				v.VPSRLD(Imm(uint64(16+2*k)), t[0], high)
				v.and(v.lanesOf(3), high, high)
				v.VPSLLD(Imm(4), high, high)
				v.or(high, low, low)
				v.VPSUBD(v.lanesOf(32), low, low)
				v.VCVTDQ2PS(low, low)
				v.VMULPS(d, low, low)
				v.store(low, p.toD(k))
			}
			for k := range 8 {
				for j, t := range p.column16(8 + 16*k) {
					for high := range 2 {
						u := v.nibble(t, high, low4)
						if codes {
							v.VPADDB(add, u, u)
						} else {
							v.VPSHUFB(u, table, u)
						}
						v.store(u, p.toQ(k, 4*high+j))
					}
				}
			}
		}
	})
}
