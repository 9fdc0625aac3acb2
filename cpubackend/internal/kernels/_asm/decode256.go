package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Matrix-vector products with 256-bit registers, for AVX2 and for AVX-VNNI: four
// rows at a time, a register of 32 weights of one row after the other.

// dot256 is how the two multiply bytes.
type dot256 struct {
	*asm
	isa  string
	vnni bool
}

// dots runs f for both.
func (a *asm) dots(f func(d dot256)) {
	f(dot256{a, "AVX2", false})
	f(dot256{a, "AVXVNNI", true})
}

func (d dot256) ymms(n int) []reg.VecVirtual { return vec{d.asm, 8, ""}.regs(n) }

// ones16 is a register's width of 16-bit ones.
func (a *asm) ones16() Mem {
	return a.bytes(each(64, func(i int) byte { return byte(1 - i%2) }))
}

// unsigned adds to the lanes of s the products of weights u with activations x.
// u is at most 128, so that no sum of two products leaves 16 bits: 2*128*127.
func (d dot256) unsigned(x, u, s reg.VecVirtual) {
	if d.vnni {
		d.dpVEX(x, u, s)
		return
	}
	t := d.YMM()
	d.VPMADDUBSW(x, u, t)
	d.VPMADDWD(d.ones16(), t, t)
	d.VPADDD(t, s, s)
}

// signed sets s to the products of signed weights w with activations x. comp is
// -128 * the sums of x, where VNNI needs it; w is changed.
func (d dot256) signed(x, w, comp, s reg.VecVirtual) {
	if d.vnni {
		d.VPXOR(d.asm.bytes(repeat(0x80, 64)), w, w)
		d.VMOVDQA(comp, s)
		d.dpVEX(x, w, s)
		return
	}
	d.VPSIGNB(w, x, s) // |activations| <= 127, so this is exact
	d.VPABSB(w, w)     // -128 becomes 128, unsigned
	d.VPMADDUBSW(s, w, s)
	d.VPMADDWD(d.ones16(), s, s)
}

// negatedSums sets each lane of s to -bias times the sum of its four bytes of x,
// bias <= 128: see negatedSums of 512 bits.
func (d dot256) negatedSums(bias byte, s, x reg.VecVirtual) {
	b, t := d.YMM(), d.YMM()
	d.VMOVDQU(d.asm.bytes(repeat(bias, 64)), b)
	d.zero(s, t)
	d.unsigned(x, b, t)
	d.VPSUBD(t, s, s)
}

// rows256 is a function on groups of four rows; see decode.
type rows256 struct {
	dot256
	decode
	acc []reg.VecVirtual // a row each
}

// rows emits the function; see decode.
func (d dot256) rows(name string, bytes, cells int, setup func(k *rows256) (body func())) {
	a := d.asm
	a.function("decode"+name+d.isa, decodeSignature, "decode"+name+d.isa+" multiplies groups of four rows with one activation row.")
	k := &rows256{dot256: d, decode: decode{asm: a, stride: a.arg("stride"), thrice: a.GP64(), p: a.GP64(),
		ahead: a.GP64(), step: bytes, c: a.GP64(), d: a.GP64(), m: a.GP64()}}
	a.LEAQ(atIndex(k.stride, k.stride, 2, 0), k.thrice)
	k.setDistance()
	body := setup(k)
	y, w, groups := a.arg("y"), a.arg("w"), a.arg("groups")
	a.loop(groups, func() {
		n := a.arg("cells")
		a.Load(a.Param("c"), k.c)
		if cells == 8 {
			a.Load(a.Param("d"), k.d)
			a.Load(a.Param("m"), k.m)
		}
		a.MOVQ(w, k.p)
		k.aim(w)
		k.acc = d.ymms(4)
		a.zero(k.acc...)
		loop := a.label("cells")
		a.Label(loop)
		body()
		a.ADDQ(imm(bytes), k.p)
		a.ADDQ(imm(4*bytes), k.ahead)
		a.ADDQ(imm(64*cells), k.c)
		if cells == 8 {
			a.ADDQ(imm(32), k.d)
			a.ADDQ(imm(32), k.m)
		}
		a.SUBQ(imm(cells), n)
		a.JNZ(LabelRef(loop))
		a.VMOVUPS(vec{a, 8, ""}.fourSums(k.acc), at(y, 0))
		a.ADDQ(imm(16), y)
		a.LEAQ(atIndex(w, k.stride, 4, 0), w)
	})
	a.finish()
}

// half256 is a half-precision number in all lanes.
func (a *asm) half256(from Mem) reg.VecVirtual {
	r := a.YMM()
	a.VPBROADCASTW(from, r.AsX())
	a.VCVTPH2PS(r.AsX(), r)
	return r
}

func decodeQ8_0x256(d dot256) {
	d.rows("Q8_0", 34, 1, func(k *rows256) func() {
		return func() {
			x, comp, dx := d.YMM(), d.YMM(), d.YMM()
			d.VMOVDQU(at(k.c, cellQ), x)
			d.VBROADCASTSS(at(k.c, cellD), dx)
			if d.vnni {
				d.negatedSums(128, comp, x)
			}
			for r := range 4 {
				k.fetch(r)
				w, s := d.YMM(), d.YMM()
				d.VMOVDQU(k.row(r, 2), w)
				d.signed(x, w, comp, s)
				scale := d.half256(k.row(r, 0))
				d.VMULPS(dx, scale, scale)
				d.VCVTDQ2PS(s, s)
				d.VFMADD231PS(s, scale, k.acc[r])
			}
		}
	})
}

func (f nibbles) decode256(d dot256) {
	d.rows(f.name, f.block, 1, func(k *rows256) func() {
		var table reg.VecVirtual
		if f.values != nil {
			table = d.YMM()
			d.VMOVDQU(d.asm.bytes(each(64, func(i int) byte { return byte(f.values[i%16]) })), table)
		}
		return func() {
			x, comp, dx := d.YMM(), d.YMM(), d.YMM()
			d.VMOVDQU(at(k.c, cellQ), x)
			d.VBROADCASTSS(at(k.c, cellD), dx)
			switch {
			case f.values != nil && d.vnni:
				d.negatedSums(128, comp, x)
			case f.values == nil && !f.constant:
				d.negatedSums(byte(f.zeroCode), comp, x)
			}
			for r := range 4 {
				k.fetch(r)
				u, s := f.codes256(d, k, r), d.YMM()
				switch {
				case f.values != nil:
					d.VPSHUFB(u, table, u)
					d.signed(x, u, comp, s)
				case f.constant:
					d.zero(s)
					d.unsigned(x, u, s)
				default:
					d.VMOVDQA(comp, s)
					d.unsigned(x, u, s)
				}
				scale := f.scale256(d, k, r)
				d.VMULPS(dx, scale, scale)
				d.VCVTDQ2PS(s, s)
				d.VFMADD231PS(s, scale, k.acc[r])
				if f.constant { // once: in the lowest lane
					m, mx := d.half256(k.row(r, 2)), d.YMM()
					d.lowS(at(k.c, cellM), mx)
					d.VFMADD231PS(mx, m, k.acc[r])
				}
			}
		}
	})
}

// codes256 are the 32 codes of a row's block.
func (f nibbles) codes256(d dot256, k *rows256, r int) reg.VecVirtual {
	u, high := d.YMM(), d.XMM()
	d.lowX(k.row(r, f.codes), u)
	d.VPSRLW(Imm(4), u.AsX(), high)
	d.VINSERTI128(Imm(1), high, u, u)
	d.VPAND(d.asm.bytes(repeat(15, 64)), u, u)
	if f.high > 0 {
		bits := d.YMM()
		d.VPBROADCASTD(k.row(r, f.high), bits)
		d.VPSHUFB(d.asm.bytes(each(64, func(i int) byte { return byte(i % 32 / 8) })), bits, bits)
		d.fifthBits(bits, d.asm.bytes(each(64, bitOfByte)), u)
	}
	return u
}

// fifthBits adds 16 to the bytes of u where bits has all bits of test.
func (d dot256) fifthBits(bits reg.VecVirtual, test Mem, u reg.VecVirtual) {
	vec{d.asm, 8, ""}.addWhere(test, bits, d.asm.bytes(repeat(16, 64)), u)
}

// scale256 is the scale of a row's block in all lanes.
func (f nibbles) scale256(d dot256, k *rows256, r int) reg.VecVirtual {
	if !f.exponent {
		return d.half256(k.row(r, 0))
	}
	v, scale, e := vec{d.asm, 8, ""}, d.YMM(), d.GP32()
	d.MOVBLZX(k.row(r, 0), e)
	d.VMOVD(e, scale.AsX())
	d.VPBROADCASTD(scale.AsX(), scale)
	v.exponents(scale)
	d.VMULPS(v.lanesOf(bitsHalf), scale, scale)
	return scale
}

// lowS loads a float32 into lane 0 and clears the rest.
func (a *asm) lowS(from Mem, r reg.VecVirtual) { a.lowOf("VMOVSS", from, r, r.AsX()) }

// decode256 of Q4_K and Q5_K: a row's scales go through the stack, to be read
// back one in all lanes.
func (f superNibbles) decode256(d dot256) {
	d.rows(f.name, f.block, 8, func(k *rows256) func() {
		stack := d.AllocLocal(32)
		low4 := d.asm.bytes(repeat(15, 64))
		return func() {
			for r := range 4 {
				k.fetch(r)
				d.superScales(k, r, stack)
				var fifth reg.VecVirtual
				if f.high > 0 {
					fifth = d.YMM()
					d.VMOVDQU(k.row(r, f.high), fifth)
				}
				for pair := range 4 {
					z := d.YMM()
					d.VMOVDQU(k.row(r, f.codes+32*pair), z)
					for odd := range 2 {
						g := 2*pair + odd
						x, u, s, scale := d.YMM(), d.YMM(), d.YMM(), d.YMM()
						if odd == 1 {
							d.VPSRLW(Imm(4), z, u)
							d.VPAND(low4, u, u)
						} else {
							d.VPAND(low4, z, u)
						}
						if f.high > 0 {
							d.fifthBits(fifth, d.asm.bytes(repeat(1<<g, 64)), u)
						}
						d.VMOVDQU(at(k.c, 64*g), x)
						d.zero(s)
						d.unsigned(x, u, s)
						d.VCVTDQ2PS(s, s)
						d.VBROADCASTSS(stack.Offset(4*g), scale)
						d.VFMADD231PS(s, scale, k.acc[r])
					}
				}
			}
		}
	})
}

// superScales writes d*s*(activations' d) of a row's eight groups to the stack
// and takes dmin*m*(activations' m) off the row's sums.
func (d dot256) superScales(k *rows256, r int, stack Mem) {
	v := vec{d.asm, 8, ""}
	head, low, high := d.XMM(), d.XMM(), d.XMM()
	d.VMOVDQU(k.row(r, 0), head)
	unpackHeads(v, head, low, high)
	s, m := d.YMM(), d.YMM()
	d.VPMOVZXBD(low, s)
	d.VPSRLDQ(Imm(8), low, low)
	d.VPMOVZXBD(low, m)
	d.VCVTDQ2PS(s, s)
	d.VCVTDQ2PS(m, m)
	d.VMULPS(at(k.d, 0), s, s)
	d.VMULPS(at(k.m, 0), m, m)
	d.VMULPS(d.half256(k.row(r, 0)), s, s)
	d.VMOVUPS(s, stack)
	d.VFNMADD231PS(d.half256(k.row(r, 2)), m, k.acc[r])
}

// unpackHeads is heads.unpack for one row.
func unpackHeads(v vec, head, low, high reg.VecVirtual) {
	v.VPSHUFB(v.asm.bytes(headLow), head, low)
	v.VPSRLVD(v.dwords(0, 0, 0, 4), low, low)
	v.VPAND(v.asm.bytes(headKeep), low, low)
	v.VPSHUFB(v.asm.bytes(headHigh), head, high)
	v.VPSRLW(Imm(2), high, high)
	v.VPAND(v.asm.bytes(repeat(0x30, 16)), high, high)
	v.VPOR(high, low, low)
}

// decodeQ6Kx256 takes the eight groups of 32 in turn, each for all rows; 16
// scales a row go through the stack.
func decodeQ6Kx256(d dot256) {
	d.rows("Q6K", q6Block, 8, func(k *rows256) func() {
		stack := d.AllocLocal(4 * 64)
		low4, two := d.asm.bytes(repeat(15, 64)), d.asm.bytes(repeat(0x30, 64))
		pair := d.YMM() // one scale in the low lanes, the next in the high ones
		d.VMOVUPS(d.dwords(0, 0, 0, 0, 1, 1, 1, 1), pair)
		twice := [2]Mem{d.dwords(0, 0, 1, 1, 2, 2, 3, 3), d.dwords(4, 4, 5, 5, 6, 6, 7, 7)}
		v := vec{d.asm, 8, ""}
		return func() {
			for r := range 4 {
				k.fetch(r)
				dw := d.half256(k.row(r, q6D))
				for h := range 2 {
					s, dx := d.YMM(), d.YMM()
					d.VPMOVSXBD(k.row(r, q6Scales+8*h), s)
					d.VCVTDQ2PS(s, s)
					d.VMOVUPS(twice[h], dx)
					d.VPERMPS(at(k.d, 0), dx, dx)
					d.VMULPS(dx, s, s)
					d.VMULPS(dw, s, s)
					d.VMOVUPS(s, stack.Offset(64*r+32*h))
				}
			}
			for g := range 8 {
				half, j := g/4, g%4
				x, comp := d.YMM(), d.YMM()
				d.VMOVDQU(at(k.c, 64*g), x)
				d.negatedSums(32, comp, x)
				for r := range 4 {
					u, high, s, scale := d.YMM(), d.YMM(), d.YMM(), d.YMM()
					d.VMOVDQU(k.row(r, 64*half+32*(j%2)), u)
					if j >= 2 {
						d.VPSRLW(Imm(4), u, u)
					}
					d.VPAND(low4, u, u)
					d.VMOVDQU(k.row(r, q6High+32*half), high)
					if j != 2 {
						v.bitsToFour(high, high, 2*j)
					}
					d.VPAND(two, high, high)
					d.VPOR(high, u, u)
					d.VMOVDQA(comp, s)
					d.unsigned(x, u, s)
					d.VCVTDQ2PS(s, s)
					d.VBROADCASTSD(stack.Offset(64*r+8*g), scale)
					d.VPERMILPS(pair, scale, scale)
					d.VFMADD231PS(s, scale, k.acc[r])
				}
			}
		}
	})
}

// decode256 of the plain formats; k is a multiple of 8.
func (f plain) decode256(a *asm) {
	a.function("decode"+f.name+"AVX2", "y *float32, w *byte, stride, groups int, x *float32, k int",
		"decode"+f.name+"AVX2 multiplies groups of four rows with one activation row; k is a multiple of 8.")
	y, w, stride, groups := a.arg("y"), a.arg("w"), a.arg("stride"), a.arg("groups")
	k := &decode{asm: a, stride: stride, thrice: a.GP64(), p: a.GP64(), ahead: a.GP64(), step: 8 * f.size}
	a.LEAQ(atIndex(stride, stride, 2, 0), k.thrice)
	k.setDistance()
	v := vec{a, 8, ""}
	a.loop(groups, func() {
		x, n := a.arg("x"), a.arg("k")
		a.SHRQ(Imm(3), n)
		a.MOVQ(w, k.p)
		k.aim(w)
		acc := v.regs(4)
		a.zero(acc...)
		a.loop(n, func() {
			values := v.reg()
			a.VMOVUPS(at(x, 0), values)
			for r := range 4 {
				weights := v.reg()
				k.fetch(r)
				switch f.name {
				case "F32":
					a.VMOVUPS(k.row(r, 0), weights)
				case "F16":
					a.VCVTPH2PS(k.row(r, 0), weights)
				case "BF16":
					a.VPMOVZXWD(k.row(r, 0), weights)
					a.VPSLLD(Imm(16), weights, weights)
				}
				a.VFMADD231PS(values, weights, acc[r])
			}
			a.ADDQ(imm(8*f.size), k.p)
			a.ADDQ(imm(32*f.size), k.ahead)
			a.ADDQ(imm(32), x)
		})
		a.VMOVUPS(v.fourSums(acc), at(y, 0))
		a.ADDQ(imm(16), y)
		a.LEAQ(atIndex(w, stride, 4, 0), w)
	})
	a.finish()
}
