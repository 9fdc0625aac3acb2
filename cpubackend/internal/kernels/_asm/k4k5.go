package main

import (
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
	f.pack(a)
	f.decode(a)
}

func (f superNibbles) pack(a *asm) {
	p := a.pack("pack"+f.name+"AVX512", "pack"+f.name+"AVX512 packs n cells of 16 rows into a tile; n is a multiple of 8.")
	low4, sixteen := a.filled(15), a.filled(16)
	a.SHRQ(Imm(3), p.n)
	a.loop(p.n, func() {
		f.packScales(a, &p)
		var high [8]reg.VecVirtual
		if f.high > 0 {
			for h := range 2 {
				t := a.column16(&p.rows, f.high+16*h)
				copy(high[4*h:], t[:])
			}
		}
		for chunk := range 4 {
			for h := range 2 {
				for j, t := range a.column16(&p.rows, f.codes+32*chunk+16*h) {
					for half := range 2 {
						cell, u := 2*chunk+half, a.ZMM()
						if half == 1 {
							a.VPSRLW(Imm(4), t, u)
							a.VPANDD(low4, u, u)
						} else {
							a.VPANDD(low4, t, u)
						}
						if f.high > 0 {
							k, bit := a.K(), a.ZMM()
							a.VPBROADCASTD(a.dwords(0x01010101<<cell), bit)
							a.VPTESTMB(bit, high[4*h+j], k)
							a.VPADDB(sixteen, u, k, u)
						}
						a.VMOVDQU32(u, at(p.q, 512*cell+64*(4*h+j)))
					}
				}
			}
		}
		p.rows.advance(a, f.block)
		a.ADDQ(imm(4096), p.q)
		a.ADDQ(imm(512), p.d)
		a.ADDQ(imm(512), p.m)
	})
	a.finish()
}

// packScales unpacks the heads of 16 rows: column j of the 16 bytes is d and
// dmin, then three words of packed 6-bit numbers.
func (f superNibbles) packScales(a *asm, p *packArgs) {
	t := a.column16(&p.rows, 0)
	d, dmin := a.lowHalves(t[0]), a.highHalves(t[0])
	a.VXORPS_BCST(a.dwords(0x80000000), dmin, dmin)
	six, two, four := a.filled(63), a.filled(0x30), a.filled(15)
	// parts[0], [1]: scales 0-3, 4-7; parts[2], [3]: minima.
	var parts [4]reg.VecVirtual
	for i := range parts {
		parts[i] = a.ZMM()
	}
	a.VPANDD(six, t[1], parts[0])
	a.VPANDD(six, t[2], parts[2])
	for i, from := range []reg.VecVirtual{t[1], t[2]} {
		low, top := parts[2*i+1], a.ZMM()
		if i == 1 {
			a.VPSRLW(Imm(4), t[3], low)
			a.VPANDD(four, low, low)
		} else {
			a.VPANDD(four, t[3], low)
		}
		a.VPSRLW(Imm(2), from, top)
		a.VPANDD(two, top, top)
		a.VPORD(top, low, low)
	}
	last := a.ZMM()
	a.VPBROADCASTD(a.dwords(0xff), last)
	for k := range 8 {
		for i, scale := range []reg.VecVirtual{d, dmin} {
			v := a.ZMM()
			a.VPSRLD(Imm(uint64(8*(k%4))), parts[2*i+k/4], v)
			a.VPANDD(last, v, v)
			a.VCVTDQ2PS(v, v)
			a.VMULPS(scale, v, v)
			a.VMOVUPS(v, at([]reg.Register{p.d, p.m}[i], 64*k))
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

// heads unpacks the 16 bytes before the codes of four rows at once, a row in
// each 128-bit lane.
type heads struct {
	*decode
	low, high, shift, keepLow, keepHigh reg.VecVirtual
}

func newHeads(k *decode) *heads {
	a, h := k.asm, &heads{decode: k, shift: k.ZMM()}
	// Bytes 4-15 of a head are s0-s3, m0-m3 (with the top bits of the later ones)
	// and the low bits of s4-s7 and m4-m7. The result is s0-s7, m0-m7.
	h.low = a.constant(each(64, func(i int) byte {
		return []byte{4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15}[i%16]
	}))
	h.high = a.constant(each(64, func(i int) byte {
		return []byte{128, 128, 128, 128, 4, 5, 6, 7, 128, 128, 128, 128, 8, 9, 10, 11}[i%16]
	}))
	h.keepLow = a.constant(each(64, func(i int) byte { return []byte{63, 15}[i/4%2] }))
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
