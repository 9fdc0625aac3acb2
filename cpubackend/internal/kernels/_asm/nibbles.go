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
	zeroCode int // the code that means weight 0, if no table and no constant
	constant bool
	exponent bool      // the scale is a byte, half of 2^(e-127)
	values   *[16]int8 // what the codes stand for, if not themselves
}

func emitQ4_0(a *asm) { nibbles{name: "Q4_0", block: 18, codes: 2, zeroCode: 8}.emit(a) }
func emitQ4_1(a *asm) { nibbles{name: "Q4_1", block: 20, codes: 4, constant: true}.emit(a) }
func emitQ5_0(a *asm) { nibbles{name: "Q5_0", block: 22, codes: 6, high: 2, zeroCode: 16}.emit(a) }
func emitQ5_1(a *asm) {
	nibbles{name: "Q5_1", block: 24, codes: 8, high: 4, constant: true}.emit(a)
}
func emitIQ4(a *asm) {
	iq4NL.emit(a)
	emitIQ4XS(a)
}

var iq4NL = nibbles{name: "IQ4NL", block: 18, codes: 2,
	values: &[16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}}

func emitMXFP4(a *asm) {
	mxfp4.emit(a)
	codes := mxfp4
	codes.name, codes.values, codes.zeroCode = "MXFP4Codes", nil, 8
	a.widths(codes.pack)
}

var mxfp4 = nibbles{name: "MXFP4", block: 17, codes: 1, exponent: true,
	values: &[16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}}

func (f nibbles) emit(a *asm) {
	a.widths(f.pack)
	f.decode(a)
	a.dots(f.decode256)
}

// biasedTable is the table plus 128, four times.
func (f nibbles) biasedTable() []byte {
	return each(64, func(i int) byte { return byte(f.values[i%16]) + 128 })
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
		case f.values != nil:
			table = v.inRegister(f.biasedTable())
		case !f.constant:
			add = v.filled(byte(128 - f.zeroCode))
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
				case f.values != nil:
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

// nibbleRows decodes four rows with AVX-512, a row in each 128-bit lane.
type nibbleRows struct {
	nibbles
	*decode
	low4, table, bias reg.VecVirtual
	// The four rows' heads lie in one register, 32 or 64 bits over and over in a
	// row's lane: lanes masks a row, scales and constants pick words.
	lanes             [4]reg.OpmaskVirtual
	scales, constants reg.VecVirtual
	// Fifth bits: which byte a weight's is in, and which bit of it.
	spread        [2]reg.VecVirtual
	test, sixteen reg.VecVirtual
	once          reg.OpmaskVirtual // the lane of a row that takes what counts once
}

func (f nibbles) decode(a *asm) {
	a.decode("decode"+f.name+"AVX512", "decode"+f.name+"AVX512 multiplies groups of four rows with one activation row.", f.block, 1,
		func(k *decode) (func(), func(), func() reg.VecVirtual) {
			n, acc := f.prepare(k), a.zmms(2)
			body := func() {
				n.body(acc)
			}
			return func() { a.zero(acc...) }, body, func() reg.VecVirtual {
				if f.constant {
					a.VADDPS(acc[1], acc[0], acc[0])
				}
				return acc[0]
			}
		})
}

// wideHead says that a head is more than 32 bits.
func (f nibbles) wideHead() bool { return f.constant || f.high > 0 }

// prepare loads the constants.
func (f nibbles) prepare(k *decode) *nibbleRows {
	n := &nibbleRows{nibbles: f, decode: k, low4: k.filled(15), once: k.mask(0x1111)}
	switch {
	case f.values != nil:
		n.table, n.bias = k.constant(f.biasedTable()), k.filled(128)
	case !f.constant:
		n.bias = k.filled(byte(f.zeroCode))
	}
	n.scales, n.constants = k.constant(headWords(0)), k.constant(headWords(1))
	for i := 1; i < 4; i++ {
		if f.wideHead() {
			n.lanes[i] = k.mask(0x3 << (2 * i))
		} else {
			n.lanes[i] = k.mask(0xf << (4 * i))
		}
	}
	if f.high > 0 {
		n.sixteen, n.test = k.filled(16), k.constant(each(64, bitOfByte))
		for h := range n.spread {
			n.spread[h] = k.constant(each(64, func(i int) byte { return byte(f.high + 2*h + i%16/8) }))
		}
	}
	return n
}

// headWords are the indices that make word w of each row's head four words of the
// lower half of a register.
func headWords(w byte) []byte {
	return each(64, func(i int) byte {
		if i%2 == 1 || i >= 32 {
			return 0
		}
		return byte(i/8*8) + w
	})
}

// body is one block of each row.
func (n *nibbleRows) body(acc []reg.VecVirtual) {
	head, u, x, s := n.heads(), n.codes128(), n.zmms(2), n.ZMM()
	for h := range x {
		n.VBROADCASTI32X4(at(n.c, 16*h), x[h])
	}
	if n.constant {
		n.zero(s)
	} else {
		n.negatedSums(n.bias, s, x...)
	}
	for h := range x {
		if n.high > 0 {
			b, m := n.ZMM(), n.K()
			n.VPSHUFB(n.spread[h], head, b)
			n.VPTESTMB(n.test, b, m)
			n.VPADDB(n.sixteen, u[h], m, u[h])
		}
		if n.values != nil {
			n.VPSHUFB(u[h], n.table, u[h])
		}
		n.dp(x[h], u[h], s)
	}
	scale, v := n.scale(head), n.ZMM()
	n.VMULPS_BCST(at(n.c, cellD), scale, scale)
	n.VCVTDQ2PS(s, v)
	n.VFMADD231PS(v, scale, acc[0])
	if n.constant {
		m := n.ZMM()
		n.VPERMW(head, n.constants, m)
		n.VCVTPH2PS(m.AsY(), m)
		n.VFMADD231PS_BCST(at(n.c, cellM), m, n.once, acc[1])
	}
}

// heads puts the heads of the four rows in one register.
func (n *nibbleRows) heads() reg.VecVirtual {
	head := n.ZMM()
	for i := range 4 {
		n.fetch(i)
		switch {
		case i == 0 && n.wideHead():
			n.VPBROADCASTQ(n.row(0, 0), head)
		case i == 0:
			n.VPBROADCASTD(n.row(0, 0), head)
		case n.wideHead():
			n.VPBROADCASTQ(n.row(i, 0), n.lanes[i], head)
		default:
			n.VPBROADCASTD(n.row(i, 0), n.lanes[i], head)
		}
	}
	return head
}

// codes128 are the low and the high nibbles of the four rows.
func (n *nibbleRows) codes128() (u [2]reg.VecVirtual) {
	z := n.ZMM()
	n.lowX(n.row(0, n.codes), z)
	for i := 1; i < 4; i++ {
		n.VINSERTI32X4(Imm(uint64(i)), n.row(i, n.codes), z, z)
	}
	v := vec{n.asm, 16, ""}
	return [2]reg.VecVirtual{v.nibble(z, 0, n.low4), v.nibble(z, 1, n.low4)}
}

// scale is the scale of each row in its four lanes.
func (n *nibbleRows) scale(head reg.VecVirtual) reg.VecVirtual {
	if n.exponent {
		vec{n.asm, 16, ""}.exponents(head)
		n.VMULPS_BCST(n.dwords(bitsHalf), head, head)
		return head
	}
	scale := n.ZMM()
	n.VPERMW(head, n.scales, scale)
	n.VCVTPH2PS(scale.AsY(), scale)
	return scale
}
