package main

import (
	"bytes"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Q4_K and Q5_K: super-blocks of 256 with eight scales and minima of 6 bits.
type superNibbles struct {
	name         string
	block, codes int
	high         int // where the fifth bits are, 0 for none
}

func emitQ4K(a *asm) { superNibbles{name: "Q4K", block: 144, codes: 16}.emit(a) }
func emitQ5K(a *asm) { superNibbles{name: "Q5K", block: 176, codes: 48, high: 16}.emit(a) }

func (f superNibbles) emit(a *asm) {
	a.widths(f.pack)
	f.decode(a)
	a.dots(f.decode256)
}

func (f superNibbles) pack(v vec) {
	v.pack(f.name, 8, f.block, 1, func(p *packer) func() {
		low4, sixteen := v.filled(15), v.filled(16)
		return func() {
			f.packScales(p)
			for h := range 2 { // 16 of a group's 32 columns
				var high [4]reg.VecVirtual
				if f.high > 0 {
					high = p.column16(f.high + 16*h)
				}
				for pair := range 4 {
					for j, t := range p.column16(f.codes + 32*pair + 16*h) {
						for odd := range 2 {
							cell := 2*pair + odd
							u := v.nibble(t, odd, low4)
							if f.high > 0 {
								v.addWhere(v.filled(1<<cell), high[j], sixteen, u)
							}
							v.store(u, p.toQ(cell, 4*h+j))
						}
					}
				}
			}
		}
	})
}

// packScales unpacks the rows' heads: column j of the 16 bytes is d and dmin,
// then three words of packed 6-bit numbers.
func (f superNibbles) packScales(p *packer) {
	v := p.vec
	t := p.column16(0)
	d, dmin := v.lowHalves(t[0]), v.highHalves(t[0])
	v.VXORPS(v.lanesOf(0x80000000), dmin, dmin)
	six, two, four, last := v.filled(63), v.filled(0x30), v.filled(15), v.lanesOf(0xff)
	// Groups 0-3 are the low six bits of the first word (minima: of the second);
	// 4-7 have four bits in the third word, two in the top of the first.
	for i, scale := range []reg.VecVirtual{d, dmin} {
		parts := v.regs(2)
		v.and(six, t[1+i], parts[0])
		low := v.nibble(t[3], i, four)
		v.VPSRLW(Imm(2), t[1+i], parts[1])
		v.and(two, parts[1], parts[1])
		v.or(low, parts[1], parts[1])
		for k := range 8 {
			x := v.reg()
			v.VPSRLD(Imm(uint64(8*(k%4))), parts[k/4], x)
			v.and(last, x, x)
			v.VCVTDQ2PS(x, x)
			v.VMULPS(scale, x, x)
			if i == 0 {
				v.store(x, p.toD(k))
			} else {
				v.store(x, p.toM(k))
			}
		}
	}
}

// One row at a time, 128 weights a register: the low nibbles of 64 bytes belong
// to groups 4h and 4h+2, the high ones to 4h+1 and 4h+3.
func (f superNibbles) decode(a *asm) {
	a.decode("decode"+f.name+"AVX512", "decode"+f.name+"AVX512 multiplies groups of four rows with one activation row.", f.block, 8,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			low4, acc := a.filled(15), a.zmms(4)
			upper := a.mask(0xff00)
			h := newHeads(k)
			var pair [4]reg.VecVirtual // lanes 0-7 take scale g, lanes 8-15 scale g+2
			for i := range pair {
				g := uint32(i/2*4 + i%2)
				pair[i] = a.ZMM()
				a.VMOVDQU32(a.dwords(g, g, g, g, g, g, g, g, g+2, g+2, g+2, g+2, g+2, g+2, g+2, g+2), pair[i])
			}
			var sixteen reg.VecVirtual
			var test [4]Mem
			if f.high > 0 {
				sixteen = a.filled(16)
				for i := range test {
					g := i/2*4 + i%2
					test[i] = a.bytes(each(64, func(b int) byte { return 1 << (g + b/32*2) }))
				}
			}
			body := func() {
				var x [4]reg.VecVirtual // activations in the order of the pairs
				for i := range x {
					g := i/2*4 + i%2
					x[i] = a.ZMM()
					a.lowY(at(k.c, 64*g), x[i])
					a.VINSERTI64X4(Imm(1), at(k.c, 64*(g+2)), x[i], x[i])
				}
				both := a.ZMM() // the activations' scales and constants
				a.lowY(at(k.d, 0), both)
				a.VINSERTF64X4(Imm(1), at(k.m, 0), both, both)
				packed := h.unpack()
				for r := range 4 {
					k.fetch(r)
					scale := h.scales(packed, r, upper, both)
					a.VADDPS(scale, acc[r], upper, acc[r])
					var fifth reg.VecVirtual
					if f.high > 0 {
						fifth = a.ZMM()
						a.VBROADCASTI64X4(k.row(r, f.high), fifth)
					}
					for half := range 2 {
						z := a.ZMM()
						a.VMOVDQU32(k.row(r, f.codes+64*half), z)
						for odd := range 2 {
							i := 2*half + odd
							u, s, e := a.ZMM(), a.ZMM(), a.ZMM()
							if odd == 1 {
								a.VPSRLW(Imm(4), z, u)
								a.VPANDD(low4, u, u)
							} else {
								a.VPANDD(low4, z, u)
							}
							if f.high > 0 {
								m := a.K()
								a.VPTESTMB(test[i], fifth, m)
								a.VPADDB(sixteen, u, m, u)
							}
							a.zero(s)
							a.dp(x[i], u, s)
							a.VCVTDQ2PS(s, s)
							a.VPERMPS(scale, pair[i], e)
							a.VFMADD231PS(s, e, acc[r])
						}
					}
				}
			}
			return func() { a.zero(acc...) }, body, func() reg.VecVirtual { return a.joinRows(acc) }
		})
}

// Bytes 4-15 of a head are s0-s3, m0-m3 (with the top bits of the later ones) and
// the low bits of s4-s7 and m4-m7. They become s0-s7, m0-m7: low and high say from
// where (128: zero), keep which bits of low.
var (
	headLow  = []byte{4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15}
	headHigh = []byte{128, 128, 128, 128, 4, 5, 6, 7, 128, 128, 128, 128, 8, 9, 10, 11}
	headKeep = []byte{63, 63, 63, 63, 15, 15, 15, 15, 63, 63, 63, 63, 15, 15, 15, 15}
)

// heads unpacks the 16 bytes before the codes of four rows at once, a row in
// each 128-bit lane.
type heads struct {
	*decode
	low, high, shift, keepLow, keepHigh reg.VecVirtual
}

func newHeads(k *decode) *heads {
	a, h := k.asm, &heads{decode: k, shift: k.ZMM()}
	h.low = a.constant(bytes.Repeat(headLow, 4))
	h.high = a.constant(bytes.Repeat(headHigh, 4))
	h.keepLow = a.constant(bytes.Repeat(headKeep, 4))
	h.keepHigh = a.filled(0x30)
	a.VMOVDQU32(a.dwords(0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4), h.shift)
	return h
}

// unpack returns eight scales and eight minima as bytes for each row.
func (h *heads) unpack() reg.VecVirtual {
	z, low, high := h.ZMM(), h.ZMM(), h.ZMM()
	h.lowX(h.row(0, 0), z)
	for i := 1; i < 4; i++ {
		h.VINSERTI32X4(Imm(uint64(i)), h.row(i, 0), z, z)
	}
	h.VPSHUFB(h.low, z, low)
	h.VPSRLVD(h.shift, low, low)
	h.VPANDD(h.keepLow, low, low)
	h.VPSHUFB(h.high, z, high)
	h.VPSRLW(Imm(2), high, high)
	h.VPANDD(h.keepHigh, high, high)
	h.VPORD(high, low, low)
	return low
}

// scales returns, for row r, d*s*(activations' d) in lanes 0-7 and
// -dmin*m*(activations' m) in lanes 8-15.
func (h *heads) scales(packed reg.VecVirtual, r int, upper reg.OpmaskVirtual, both reg.VecVirtual) reg.VecVirtual {
	x, v, f := h.XMM(), h.ZMM(), h.ZMM()
	if r == 0 {
		x = packed.AsX().(reg.VecVirtual)
	} else {
		h.VEXTRACTI32X4(Imm(uint64(r)), packed, x)
	}
	h.VPMOVZXBD(x, v)
	h.VCVTDQ2PS(v, v)
	h.VMULPS(both, v, v)
	h.VPBROADCASTW(h.row(r, 0), f.AsY())
	h.VPBROADCASTW(h.row(r, 2), upper, f.AsY())
	h.VCVTPH2PS(f.AsY(), f)
	h.VMULPS(f, v, v)
	h.VXORPS_BCST(h.dwords(0x80000000), v, upper, v)
	return v
}
