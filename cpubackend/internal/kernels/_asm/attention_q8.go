package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Attention over a page of Q8_0: the layout is in attention_q8.go of the kernels.
// One text for the products of AVX-512, AVX-VNNI and AVX2, up to four heads at a time.

const (
	pageLen  = 64
	keyGroup = 16

	bitsTinyWeight = 0x0da24260 // 1e-30
	bitsWeightTop  = 0x467ffc00 // 2^14 - 1
)

// bytes8 is a way to multiply bytes.
type bytes8 struct {
	vec
	dot256 // for 256-bit registers
}

func emitAttentionQ8(a *asm) {
	f := func(b bytes8) {
		for _, heads := range []int{4, 3, 2, 1} {
			scoresQ8(b, heads)
			weightedDigits(b, heads)
		}
	}
	f(bytes8{vec: vec{a, 16, "AVX512"}})
	a.dots(func(d dot256) { f(bytes8{vec{a, 8, d.isa}, d}) })
	a.widths(splitWeights)
}

// scoresQ8 walks groups of sixteen keys, a register of keys at a time.
func scoresQ8(b bytes8, heads int) {
	v := b.vec
	name := fmt.Sprintf("scoresQ8x%d%s", heads, v.isa)
	v.function(name, "dst *float32, stride int, q *byte, qstride int, k, kd *byte, cells, groups, ahead int, scale float32",
		fmt.Sprintf("%s scores groups of 16 keys with %d heads; cells of q are qstride bytes apart.", name, heads))
	dst, stride, qstride, k, kd, cells, groups := v.arg("dst"), v.arg("stride"), v.arg("qstride"), v.arg("k"), v.arg("kd"), v.arg("cells"), v.arg("groups")
	v.SHLQ(Imm(2), stride)
	scale := v.allArg("scale")
	var bias reg.VecVirtual
	if b.biased() {
		bias = v.inRegister([]byte{0x80})
	}
	v.loop(groups, func() {
		for part := range keyGroup / v.lanes {
			q, kp, kdp, n := v.arg("q"), v.GP64(), v.GP64(), v.GP64()
			v.MOVQ(k, kp)
			v.MOVQ(kd, kdp)
			v.MOVQ(cells, n)
			sums := v.regs(heads)
			v.zero(sums...)
			v.loop(n, func() {
				acc := v.regs(heads)
				for h := range acc {
					if b.biased() {
						v.VPBROADCASTD(at(q, 64*h+cellC), acc[h])
					} else {
						v.zero(acc[h])
					}
				}
				if part == 0 {
					next := v.arg("ahead")
					v.ADDQ(kp, next)
					for i := range 8 {
						v.PREFETCHT0(at(next, 64*i))
					}
				}
				for quad := range 8 {
					b.scoreQuad(q, at(kp, 64*quad+v.bytes()*part), 4*quad, bias, acc)
				}
				d := v.reg()
				v.VCVTPH2PS(at(kdp, 2*v.lanes*part), d)
				for h := range acc {
					t := v.reg()
					v.VCVTDQ2PS(acc[h], acc[h])
					v.VBROADCASTSS(at(q, 64*h+cellD), t)
					v.VMULPS(d, t, t)
					v.VFMADD231PS(t, acc[h], sums[h])
				}
				v.ADDQ(qstride, q)
				v.ADDQ(imm(keyGroup*32), kp)
				v.ADDQ(imm(keyGroup*2), kdp)
			})
			out := v.GP64()
			v.MOVQ(dst, out)
			for h, s := range sums {
				v.VMULPS(scale, s, s)
				v.VMOVUPS(s, at(out, v.bytes()*part))
				if h+1 < heads {
					v.ADDQ(stride, out)
				}
			}
			if part == keyGroup/v.lanes-1 {
				v.MOVQ(kp, k)
				v.MOVQ(kdp, kd)
			}
		}
		v.ADDQ(imm(4*keyGroup), dst)
	})
	v.finish()
}

// biased says that the products want one side unsigned, 128 above what it means.
func (b bytes8) biased() bool { return b.lanes == 16 || b.vnni }

// scoreQuad adds the products of four columns of keys with each head's.
func (b bytes8) scoreQuad(q reg.Register, keys Mem, column int, bias reg.VecVirtual, acc []reg.VecVirtual) {
	v := b.vec
	x := v.reg()
	switch {
	case v.lanes == 16:
		v.VPXORD(keys, bias, x)
		for h := range acc {
			v.dpBroadcast(at(q, 64*h+column), x, acc[h])
		}
	case b.vnni:
		v.VPXOR(keys, bias, x)
		for h := range acc {
			t := v.reg()
			v.VPBROADCASTD(at(q, 64*h+column), t)
			v.dpVEX(t, x, acc[h])
		}
	default:
		size := v.reg()
		v.VMOVDQU(keys, x)
		v.VPABSB(x, size)
		for h := range acc {
			t := v.reg()
			v.VPBROADCASTD(at(q, 64*h+column), t)
			v.VPSIGNB(x, t, t) // keys are above -128, so this is exact
			b.unsigned(t, size, acc[h])
		}
	}
}

// weightedDigits does 32 columns, on 256-bit registers 16 and 16.
func weightedDigits(b bytes8, heads int) {
	v := b.vec
	if v.lanes == 8 && heads > 2 {
		return
	}
	name := fmt.Sprintf("weightedDigitsx%d%s", heads, v.isa)
	v.function(name, "acc *float32, stride int, digits *byte, scales *float32, v *byte, vstride, ahead int",
		fmt.Sprintf("%s adds the weighted sums of 64 positions to 32 columns of %d rows of acc.", name, heads))
	acc, stride, scales, vstride := v.arg("acc"), v.arg("stride"), v.arg("scales"), v.arg("vstride")
	ahead := v.arg("ahead")
	v.SHLQ(Imm(2), stride)
	for part := range 16 / v.lanes {
		from, w, n := v.arg("v"), v.arg("digits"), v.GP64()
		v.MOVQ(U32(pageLen/4), n)
		high, low := v.regs(2*heads), v.regs(2*heads)
		v.zero(high...)
		v.zero(low...)
		v.loop(n, func() {
			x := v.regs(2)
			for c := range x {
				v.VMOVUPS(at(from, v.bytes()*(2*part+c)), x[c])
			}
			for h := range heads {
				for i, sums := range [][]reg.VecVirtual{high, low} {
					t := v.reg()
					v.VPBROADCASTD(at(w, pageLen*(2*h+i)), t)
					for c := range x {
						if v.lanes == 16 {
							v.dp(x[c], t, sums[2*h+c])
						} else {
							b.unsigned(x[c], t, sums[2*h+c])
						}
					}
				}
			}
			for c := 0; c < 2*v.bytes(); c += 64 {
				v.PREFETCHT0(atIndex(from, ahead, 1, 2*v.bytes()*part+c))
			}
			v.ADDQ(imm(4), w)
			v.ADDQ(vstride, from)
		})
		out := v.GP64()
		v.MOVQ(acc, out)
		for h := range heads {
			s := v.reg()
			v.VBROADCASTSS(at(scales, 4*h), s)
			for c := range 2 {
				i, m := 2*h+c, at(out, v.bytes()*(2*part+c))
				v.VPSLLD(Imm(7), high[i], high[i])
				v.VPADDD(low[i], high[i], high[i])
				v.VCVTDQ2PS(high[i], high[i])
				v.VFMADD213PS(m, s, high[i])
				v.VMOVUPS(high[i], m)
			}
			if h+1 < heads {
				v.ADDQ(stride, out)
			}
		}
	}
	v.finish()
}

// splitWeights rounds rows of 64 weights: see isa.splitWeights.
func splitWeights(v vec) {
	name := "splitWeights" + v.isa
	v.function(name, "digits *byte, scales, p *float32, pstride, rows int, d *byte", name+" rounds rows of 64 weights, times d, to two digits.")
	digits, scales, p, pstride, g, d := v.arg("digits"), v.arg("scales"), v.arg("p"), v.arg("pstride"), v.arg("rows"), v.arg("d")
	v.SHLQ(Imm(2), pstride)
	parts := pageLen / v.lanes
	abs, zero := v.constant([]byte{0xff, 0xff, 0xff, 0x7f}), v.reg()
	v.zero(zero)
	v.loop(g, func() {
		w, top := v.regs(parts), v.reg()
		for i := range w {
			x := v.reg()
			v.VMOVUPS(at(p, v.bytes()*i), x)
			v.VCVTPH2PS(at(d, 2*v.lanes*i), w[i])
			if v.lanes == 16 {
				some := v.K()
				v.VCMPPS(Imm(4), zero, x, some) // not zero: a NaN is not
				v.VMULPS_Z(x, w[i], some, w[i])
			} else {
				some := v.reg()
				v.VCMPPS(Imm(4), zero, x, some)
				v.VMULPS(x, w[i], w[i])
				v.VANDPS(some, w[i], w[i])
			}
			if i == 0 {
				v.and(abs, w[i], top)
				continue
			}
			v.and(abs, w[i], x)
			v.VPMAXSD(x, top, top)
		}
		size := v.fold(top, func(x, y reg.Register) { v.VPMAXSD(x, y, y) })
		bits := v.GP32()
		v.VMOVD(size, bits)
		small, done := v.label("small"), v.label("done")
		v.CMPL(bits, U32(bitsTinyWeight))
		v.JCS(LabelRef(small))
		most, inverse := v.XMM(), v.reg()
		v.VMOVSS(v.dwords(bitsWeightTop), most)
		v.VDIVSS(size, most, inverse.AsX())
		v.VDIVSS(most, size, most)
		v.VMOVSS(most, at(scales, 0))
		v.VBROADCASTSS(inverse.AsX(), inverse)
		for i := range w {
			v.VMULPS(inverse, w[i], w[i])
			v.VCVTPS2DQ(w[i], w[i])
		}
		v.storeDigits(w, digits)
		v.JMP(LabelRef(done))
		v.Label(small)
		v.VMOVSS(zero.AsX(), at(scales, 0))
		for i := range 2 * pageLen / v.bytes() {
			v.VMOVUPS(zero, at(digits, v.bytes()*i))
		}
		v.Label(done)
		v.ADDQ(imm(2*pageLen), digits)
		v.ADDQ(imm(4), scales)
		v.ADDQ(pstride, p)
	})
	v.finish()
}

// storeDigits stores 64 numbers below 2^14 as two digits each.
func (v vec) storeDigits(w []reg.VecVirtual, to reg.Register) {
	if v.lanes == 16 {
		low := v.constant([]byte{127, 0, 0, 0})
		for i, x := range w {
			t := v.reg()
			v.VPSRLD(Imm(7), x, t)
			v.VPMOVDB(t, at(to, 16*i))
			v.VPANDD(low, x, x)
			v.VPMOVDB(x, at(to, pageLen+16*i))
		}
		return
	}
	order := v.reg()
	v.VMOVDQU(v.dwords(0, 4, 1, 5, 2, 6, 3, 7), order)
	pack := func(x []reg.VecVirtual, disp int) {
		v.VPACKSSDW(x[1], x[0], x[0])
		v.VPACKSSDW(x[3], x[2], x[2])
		v.VPACKSSWB(x[2], x[0], x[0])
		v.VPERMD(x[0], order, x[0])
		v.VMOVDQU(x[0], at(to, disp))
	}
	low := v.asm.bytes(each(64, func(i int) byte { return []byte{127, 0, 0, 0}[i%4] }))
	for i := 0; i < len(w); i += 4 {
		t := v.regs(4)
		for j := range t {
			v.VPSRLD(Imm(7), w[i+j], t[j])
			v.VPAND(low, w[i+j], w[i+j])
		}
		pack(t, 8*i)
		pack(w[i:i+4], pageLen+8*i)
	}
}
