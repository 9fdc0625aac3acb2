package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The formats with blocks of 32 weights in nibbles: Q4_0, Q4_1, Q5_0, Q5_1,
// IQ4_NL, MXFP4.
type nibbles struct {
	name     string
	block    int // bytes
	codes    int // where the 16 bytes of nibbles are
	high     int // where the fifth bits are, 0 for none
	zero     int // the code that means weight 0, if no table and no constant
	constant bool
	exponent bool      // the scale is a byte, half of 2^(e-127)
	table    *[16]int8 // values of the codes
}

func emitQ4_0(a *asm) { nibbles{name: "Q4_0", block: 18, codes: 2, zero: 8}.emit(a) }
func emitQ4_1(a *asm) { nibbles{name: "Q4_1", block: 20, codes: 4, constant: true}.emit(a) }
func emitQ5_0(a *asm) { nibbles{name: "Q5_0", block: 22, codes: 6, high: 2, zero: 16}.emit(a) }
func emitQ5_1(a *asm) {
	nibbles{name: "Q5_1", block: 24, codes: 8, high: 4, constant: true}.emit(a)
}
func emitIQ4(a *asm) {
	nibbles{name: "IQ4NL", block: 18, codes: 2,
		table: &[16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}}.emit(a)
}
func emitMXFP4(a *asm) {
	nibbles{name: "MXFP4", block: 17, codes: 1, exponent: true,
		table: &[16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}}.emit(a)
}

func (f nibbles) emit(a *asm) {
	f.pack(a)
	f.decode(a)
}

// biasedTable is the table plus 128, four times.
func (f nibbles) biasedTable() []byte {
	return each(64, func(i int) byte { return byte(f.table[i%16]) + 128 })
}

// bitOfByte is 1, 2, 4 .. 128, over and over.
func bitOfByte(i int) byte { return 1 << (i % 8) }

func (f nibbles) pack(a *asm) {
	p := a.pack("pack"+f.name+"AVX512", "pack"+f.name+"AVX512 packs n cells of 16 rows into a tile.")
	low4 := a.filled(15)
	var add, table, sixteen, least reg.VecVirtual
	var test, spread [4]reg.VecVirtual
	switch {
	case f.table != nil:
		table = a.constant(f.biasedTable())
	case !f.constant:
		add = a.filled(byte(128 - f.zero))
	}
	if f.exponent {
		least = a.ZMM()
		a.VPBROADCASTD(a.dwords(0x400000), least)
	}
	if f.high > 0 {
		sixteen = a.filled(16)
		for h := range 2 {
			test[h] = a.constant(each(64, func(i int) byte { return 1 << (i%4 + 4*h) }))
		}
		for b := range 4 {
			spread[b] = a.constant(each(64, func(i int) byte { return byte(i/4%4*4 + b) }))
		}
	}
	a.loop(p.n, func() {
		fifth := f.packScales(a, &p, least)
		var byteOf [4]reg.VecVirtual
		if fifth != nil {
			for b := range byteOf {
				byteOf[b] = a.ZMM()
				a.VPSHUFB(spread[b], fifth, byteOf[b])
			}
		}
		for j, t := range a.column16(&p.rows, f.codes) {
			for h := range 2 {
				u := a.ZMM()
				if h == 1 {
					a.VPSRLW(Imm(4), t, u)
					a.VPANDD(low4, u, u)
				} else {
					a.VPANDD(low4, t, u)
				}
				o := 4*h + j
				if f.high > 0 {
					k := a.K()
					a.VPTESTMB(test[o%2], byteOf[o/2], k)
					a.VPADDB(sixteen, u, k, u)
				}
				switch {
				case f.table != nil:
					a.VPSHUFB(u, table, u)
				case !f.constant:
					a.VPADDB(add, u, u)
				}
				a.VMOVDQU32(u, at(p.q, 64*o))
			}
		}
		p.rows.advance(a, f.block)
		a.ADDQ(imm(512), p.q)
		a.ADDQ(imm(64), p.d)
		if f.constant {
			a.ADDQ(imm(64), p.m)
		}
	})
	a.finish()
}

// packScales stores scales and constants and returns the fifth bits of 16 rows.
func (f nibbles) packScales(a *asm, p *packArgs, least reg.VecVirtual) reg.Register {
	if !f.exponent && !f.constant && f.high == 0 {
		a.VMOVUPS(a.halves16(&p.rows, 0), at(p.d, 0))
		return nil
	}
	t := a.column16(&p.rows, 0)
	if f.exponent {
		a.VPSLLD(Imm(24), t[0], t[0])
		a.VPSRLD(Imm(1), t[0], t[0])
		a.VPMAXUD(least, t[0], t[0])
		a.VMULPS_BCST(a.dwords(bitsHalf), t[0], t[0])
		a.VMOVUPS(t[0], at(p.d, 0))
		return nil
	}
	a.VMOVUPS(a.lowHalves(t[0]), at(p.d, 0))
	if f.constant {
		a.VMOVUPS(a.highHalves(t[0]), at(p.m, 0))
	}
	switch f.high {
	case 2:
		a.VPSRLD(Imm(16), t[0], t[0])
		a.VPSLLD(Imm(16), t[1], t[1])
		a.VPORD(t[1], t[0], t[0])
		return t[0]
	case 4:
		return t[1]
	}
	return nil
}

// A row in each 128-bit lane.
func (f nibbles) decode(a *asm) {
	a.decode("decode"+f.name+"AVX512", "decode"+f.name+"AVX512 multiplies groups of four rows with one activation row.", f.block, 1,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			low4, acc := a.filled(15), a.zmms(2)
			first := a.mask(0x1111) // the lane of a row that takes what counts once
			var table, bias, sixteen, least reg.VecVirtual
			switch {
			case f.table != nil:
				table, bias = a.constant(f.biasedTable()), a.filled(128)
			case !f.constant:
				bias = a.filled(byte(f.zero))
			}
			var lanes [4]reg.OpmaskVirtual // a row's lanes of the head
			words := a.constant(each(64, func(i int) byte {
				if i%2 == 1 || i >= 32 {
					return 0
				}
				return byte(i / 8 * 8)
			}))
			wide := f.constant || f.high > 0
			for i := 1; i < 4; i++ {
				lanes[i] = a.mask(0xf << (4 * i))
				if wide {
					lanes[i] = a.mask(0x3 << (2 * i))
				}
			}
			if f.exponent {
				least = a.ZMM()
				a.VPBROADCASTD(a.dwords(0x400000), least)
			}
			var spread [2]reg.VecVirtual
			var test, constants reg.VecVirtual
			if f.high > 0 {
				sixteen = a.filled(16)
				test = a.constant(each(64, bitOfByte))
				for h := range spread {
					spread[h] = a.constant(each(64, func(i int) byte { return byte(f.high + 2*h + i%16/8) }))
				}
			}
			if f.constant {
				constants = a.constant(each(64, func(i int) byte {
					if i%2 == 1 || i >= 32 {
						return 0
					}
					return byte(i/8*8 + 1)
				}))
			}
			body := func() {
				head := a.ZMM()
				for i := range 4 {
					k.fetch(i)
					switch {
					case i == 0 && wide:
						a.VPBROADCASTQ(k.row(0, 0), head)
					case i == 0:
						a.VPBROADCASTD(k.row(0, 0), head)
					case wide:
						a.VPBROADCASTQ(k.row(i, 0), lanes[i], head)
					default:
						a.VPBROADCASTD(k.row(i, 0), lanes[i], head)
					}
				}
				z, u, s := a.ZMM(), [2]reg.VecVirtual{a.ZMM(), a.ZMM()}, a.ZMM()
				a.lowX(k.row(0, f.codes), z)
				for i := 1; i < 4; i++ {
					a.VINSERTI32X4(Imm(uint64(i)), k.row(i, f.codes), z, z)
				}
				a.VPANDD(low4, z, u[0])
				a.VPSRLW(Imm(4), z, u[1])
				a.VPANDD(low4, u[1], u[1])
				x := a.zmms(2)
				for h := range x {
					a.VBROADCASTI32X4(at(k.c, 16*h), x[h])
				}
				if f.constant {
					a.zero(s)
				} else {
					a.negatedSums(bias, s, x...)
				}
				for h := range 2 {
					if f.high > 0 {
						b, m := a.ZMM(), a.K()
						a.VPSHUFB(spread[h], head, b)
						a.VPTESTMB(test, b, m)
						a.VPADDB(sixteen, u[h], m, u[h])
					}
					if f.table != nil {
						a.VPSHUFB(u[h], table, u[h])
					}
					a.dp(x[h], u[h], s)
				}
				scale, v := a.ZMM(), a.ZMM()
				if f.exponent {
					a.VPSLLD(Imm(24), head, scale)
					a.VPSRLD(Imm(1), scale, scale)
					a.VPMAXUD(least, scale, scale)
					a.VMULPS_BCST(a.dwords(bitsHalf), scale, scale)
				} else {
					a.VPERMW(head, words, scale)
					a.VCVTPH2PS(scale.AsY(), scale)
				}
				a.VMULPS_BCST(at(k.c, cellD), scale, scale)
				a.VCVTDQ2PS(s, v)
				a.VFMADD231PS(v, scale, acc[0])
				if f.constant {
					m := a.ZMM()
					a.VPERMW(head, constants, m)
					a.VCVTPH2PS(m.AsY(), m)
					a.VFMADD231PS_BCST(at(k.c, cellM), m, first, acc[1])
				}
			}
			return func() { a.zero(acc...) }, body, func() reg.VecVirtual {
				if f.constant {
					a.VADDPS(acc[1], acc[0], acc[0])
				}
				return acc[0]
			}
		})
}
