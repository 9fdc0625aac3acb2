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
	a.widths(f.pack)
	f.decode(a)
	a.dots(f.decode256)
}

// biasedTable is the table plus 128, four times.
func (f nibbles) biasedTable() []byte {
	return each(64, func(i int) byte { return byte(f.table[i%16]) + 128 })
}

// bitOfByte is 1, 2, 4 .. 128, over and over.
func bitOfByte(i int) byte { return 1 << (i % 8) }

func (f nibbles) pack(v vec) {
	v.pack(f.name, 1, f.block, 1, func(p *packer) func() {
		low4 := v.filled(15)
		var add, sixteen Op
		var table reg.VecVirtual
		var test [2]Op
		var spread [4]Op
		switch {
		case f.table != nil:
			table = v.inRegister(f.biasedTable())
		case !f.constant:
			add = v.filled(byte(128 - f.zero))
		}
		if f.high > 0 {
			sixteen = v.filled(16)
			for h := range test {
				test[h] = v.constant(each(4, func(i int) byte { return 1 << (i + 4*h) }))
			}
			for b := range spread {
				spread[b] = v.constant(each(16, func(i int) byte { return byte(i/4*4 + b) }))
			}
		}
		return func() {
			fifth := f.packScales(p)
			codes := p.column16(f.codes)
			var bits reg.VecVirtual
			for o := range 8 { // k/4
				if f.high > 0 && o%2 == 0 {
					bits = v.reg()
					v.VPSHUFB(spread[o/2], fifth, bits)
				}
				u := v.nibble(codes[o%4], o/4, low4)
				if f.high > 0 {
					v.addWhere(test[o%2], bits, sixteen, u)
				}
				switch {
				case f.table != nil:
					v.VPSHUFB(u, table, u)
				case !f.constant:
					v.VPADDB(add, u, u)
				}
				v.store(u, p.toQ(0, o))
			}
		}
	})
}

// packScales stores scales and constants and returns the rows' fifth bits.
func (f nibbles) packScales(p *packer) reg.Register {
	v := p.vec
	if !f.exponent && !f.constant && f.high == 0 {
		v.store(p.halves(0), p.toD(0))
		return nil
	}
	t := p.column16(0)
	if f.exponent {
		v.exponents(t[0])
		v.VMULPS(v.lanesOf(bitsHalf), t[0], t[0])
		v.store(t[0], p.toD(0))
		return nil
	}
	v.store(v.lowHalves(t[0]), p.toD(0))
	if f.constant {
		v.store(v.highHalves(t[0]), p.toM(0))
	}
	switch f.high {
	case 2:
		v.VPSRLD(Imm(16), t[0], t[0])
		v.VPSLLD(Imm(16), t[1], t[1])
		v.or(t[1], t[0], t[0])
		return t[0]
	case 4:
		return t[1]
	}
	return nil
}

// exponents turns the lowest byte e of each lane into 2^(e-127). The float32 with
// that exponent is e<<23, but for 0, which stands for a subnormal.
func (v vec) exponents(r reg.VecVirtual) {
	v.VPSLLD(Imm(24), r, r)
	v.VPSRLD(Imm(1), r, r)
	v.VPMAXUD(v.lanesOf(0x400000), r, r)
}

// A row in each 128-bit lane.
func (f nibbles) decode(a *asm) {
	a.decode("decode"+f.name+"AVX512", "decode"+f.name+"AVX512 multiplies groups of four rows with one activation row.", f.block, 1,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			low4, acc := a.filled(15), a.zmms(2)
			first := a.mask(0x1111) // the lane of a row that takes what counts once
			var table, bias, sixteen reg.VecVirtual
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
					scale = head
					vec{a, 16, ""}.exponents(scale)
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
