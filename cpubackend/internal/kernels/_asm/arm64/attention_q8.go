package main

import "fmt"

// Attention over a page of Q8_0, whose layout is in attention_q8.go of the kernels:
// with products of four bytes (DotProd), and without (NEON), where products of two
// bytes are added up in 16 and then in 32 bits.

const pageLen = 64

func emitAttentionQ8(a *asm) {
	for _, heads := range []int{4, 2, 1} {
		scoresQ8DotProd(a, heads)
	}
	for _, heads := range []int{2, 1} {
		scoresQ8NEON(a, heads)
		weightedDigitsDotProd(a, heads)
	}
	weightedDigitsNEON(a)
	splitWeights(a)
}

// keysQ8 walks groups of sixteen keys, eight at a time; cell adds a cell's products
// of eight keys at kp with the heads at q to acc, two registers for each head.
func keysQ8(a *asm, level string, heads int, cell func(q, kp R, acc []V)) {
	a.function(fmt.Sprintf("scoresQ8x%d%s", heads, level), "dst *float32, stride int, q *byte, qstride int, k, kd *byte, cells, groups int, scale float32", "",
		fmt.Sprintf("scores groups of 16 keys with %d heads; cells of q are qstride bytes apart.", heads))
	dst, stride, qstride, k, kd, groups := a.arg("dst"), a.arg("stride"), a.arg("qstride"), a.arg("k"), a.arg("kd"), a.arg("groups")
	a.op("LSL $2, %v", stride)
	scale := a.argAll("scale")
	q, kp, kdp, n, out := a.r(), a.r(), a.r(), a.r(), a.r()
	sums := a.vs(2 * heads)
	a.loop(groups, 1, func() {
		for part := range 2 {
			a.load("q", q)
			a.load("cells", n)
			a.op("ADD $%d, %v, %v", 32*part, k, kp)
			a.op("ADD $%d, %v, %v", 16*part, kd, kdp)
			for _, s := range sums {
				a.movi(s, 0)
			}
			a.loop(n, 1, func() {
				acc := a.vs(2 * heads)
				a.scope(func() { cell(q, kp, acc) })
				d, x, t := a.vs(2), a.v(), a.v()
				a.ldrQ(x, kdp, 0)
				a.fcvtl(d[0], x)
				a.fcvtl2(d[1], x)
				for i, s := range acc {
					if i%2 == 0 {
						a.ldr(b32, x, q, 64*(i/2)+32)
					}
					a.scvtf(s, s)
					a.fmulLane(t, d[i%2], x, 0)
					a.fmla(sums[i], s, t)
				}
				a.op("ADD %v, %v", qstride, q)
				a.add(kp, 512)
				a.add(kdp, 32)
			})
			a.op("MOVD %v, %v", dst, out)
			for i, s := range sums {
				a.fmul(s, s, scale)
				a.strQ(s, out, 16*(2*part+i%2))
				if i%2 == 1 {
					a.op("ADD %v, %v", stride, out)
				}
			}
		}
		a.op("SUB $32, %v, %v", kp, k)
		a.op("SUB $16, %v, %v", kdp, kd)
		a.add(dst, 64)
	})
	a.ret()
}

func scoresQ8DotProd(a *asm, heads int) {
	keysQ8(a, "DotProd", heads, func(q, kp R, acc []V) {
		for _, s := range acc {
			a.movi(s, 0)
		}
		x, w := a.vs(heads), a.vs(2)
		for half := range 2 {
			for h := range x {
				a.ldrQ(x[h], q, 64*h+16*half)
			}
			for j := range 4 {
				a.ldpQ(w[0], w[1], kp, 64*(4*half+j))
				for i, s := range acc {
					a.sdotLane(s, w[i%2], x[i/2], j)
				}
			}
		}
	})
}

// scoresQ8NEON keeps the sums of two columns of two keys in each register.
func scoresQ8NEON(a *asm, heads int) {
	keysQ8(a, "NEON", heads, func(q, kp R, acc []V) {
		pairs, x, w, t := a.zeros(2*len(acc)), a.vs(heads), a.vs(4), a.v()
		u := a.vs(2)
		for half := range 2 {
			for h := range x {
				a.ldrQ(x[h], q, 64*h+16*half)
			}
			for j := 0; j < 4; j += 2 {
				a.ldpQ(w[0], w[1], kp, 64*(4*half+j))
				a.ldpQ(w[2], w[3], kp, 64*(4*half+j+1))
				for h := range x {
					a.dup(u[0], x[h], j)
					a.dup(u[1], x[h], j+1)
					for i := range 2 {
						s := pairs[4*h+2*i:]
						a.smull(t, w[i], u[0])
						a.smlal(t, w[2+i], u[1])
						a.sadalp(s[0], t)
						a.smull2(t, w[i], u[0])
						a.smlal2(t, w[2+i], u[1])
						a.sadalp(s[1], t)
					}
				}
			}
		}
		for i, s := range acc {
			a.addp(s, pairs[2*i], pairs[2*i+1])
		}
	})
}

// columnsQ8 goes over 32 columns, sixteen at a time; positions adds the products of
// eight positions at v with the digits at w to the sums, a register of four columns
// each: the upper digits' of all heads, then the lower ones'.
func columnsQ8(a *asm, level string, heads, perSum, positions int, group func(v, vstride, w R, sums []V), join func(sums []V)) {
	a.function(fmt.Sprintf("weightedDigitsx%d%s", heads, level), "acc *float32, stride int, digits *byte, scales *float32, v *byte, vstride int", "",
		fmt.Sprintf("adds the weighted sums of 64 positions to 32 columns of %d rows of acc.", heads))
	acc, stride, digits, scales, vstride := a.arg("acc"), a.arg("stride"), a.arg("digits"), a.arg("scales"), a.arg("vstride")
	a.op("LSL $2, %v", stride)
	v, w, n, out := a.r(), a.r(), a.r(), a.r()
	for part := range 2 {
		a.scope(func() {
			sums := a.vs(heads * 2 * 4 * perSum)
			a.load("v", v)
			a.add(v, 64*part)
			a.op("MOVD %v, %v", digits, w)
			a.op("MOVD $%d, %v", pageLen/positions, n)
			for _, s := range sums {
				a.movi(s, 0)
			}
			a.loop(n, 1, func() {
				group(v, vstride, w, sums)
				a.add(w, positions)
			})
			join(sums)
			a.op("ADD $%d, %v, %v", 64*part, acc, out)
			x, s := a.v(), a.v()
			for h := range heads {
				a.ldr(b32, s, scales, 4*h)
				for c := range 4 {
					high, low := sums[4*h+c], sums[4*(heads+h)+c]
					a.shl(b32, high, high, 7)
					a.addv(b32, high, high, low)
					a.scvtf(high, high)
					a.ldrQ(x, out, 16*c)
					a.fmlaLane(x, high, s, 0)
					a.strQ(x, out, 16*c)
				}
				a.op("ADD %v, %v", stride, out)
			}
		})
	}
	a.ret()
}

func weightedDigitsDotProd(a *asm, heads int) {
	columnsQ8(a, "DotProd", heads, 1, 16, func(v, vstride, w R, sums []V) {
		d, x := a.vs(2*heads), a.v()
		for i := range d {
			a.ldrQ(d[i], w, pageLen*(2*(i%heads)+i/heads))
		}
		for j := range 4 {
			for c := range 4 {
				a.ldrQ(x, v, 16*c)
				for i := range d {
					a.sdotLane(sums[4*i+c], x, d[i], j)
				}
			}
			a.op("ADD %v, %v", vstride, v)
		}
	}, func([]V) {})
}

func weightedDigitsNEON(a *asm) {
	columnsQ8(a, "NEON", 1, 2, 8, func(v, vstride, w R, sums []V) {
		next, d, x, t := a.r(), a.vs(4), a.vs(2), a.v()
		a.op("ADD %v, %v, %v", vstride, v, next)
		for i := range d { // upper digits of both groups of four, then lower ones
			a.ldr(b32, d[i], w, pageLen*(i/2)+4*(i%2))
			a.dup(d[i], d[i], 0)
		}
		for c := range 4 {
			a.ldrQ(x[0], v, 16*c)
			a.ldrQ(x[1], next, 16*c)
			for i := range 2 {
				s := sums[2*(4*i+c):]
				a.smull(t, x[0], d[2*i])
				a.smlal(t, x[1], d[2*i+1])
				a.sadalp(s[0], t)
				a.smull2(t, x[0], d[2*i])
				a.smlal2(t, x[1], d[2*i+1])
				a.sadalp(s[1], t)
			}
		}
		a.op("ADD %v<<1, %v", vstride, v)
	}, func(sums []V) {
		for i := range 8 {
			a.addp(sums[i], sums[2*i], sums[2*i+1])
		}
	})
}

// splitWeights rounds rows of 64 weights: see isa.splitWeights.
func splitWeights(a *asm) {
	const bitsTinyWeight, bitsWeightTop = 0x0da24260, 0x467ffc00 // 1e-30, 2^14 - 1
	a.function("splitWeightsNEON", "digits *byte, scales, p *float32, pstride, rows int, d *byte", "", "rounds rows of 64 weights, times d, to two digits.")
	digits, scales, p, pstride, rows, d := a.arg("digits"), a.arg("scales"), a.arg("p"), a.arg("pstride"), a.arg("rows"), a.arg("d")
	a.op("LSL $2, %v", pstride)
	top, tiny := a.r(), a.r()
	a.op("MOVD $%#x, %v", bitsTinyWeight, tiny)
	most, low, zero := a.all(bitsWeightTop), a.all(127), a.zeros(1)[0]
	w := a.vs(pageLen / 4)
	a.loop(rows, 1, func() {
		size, x, t, h := a.v(), a.v(), a.v(), a.v()
		a.movi(size, 0)
		for i := range w {
			if i%2 == 0 {
				a.ldrQ(h, d, 8*i)
				a.fcvtl(w[i], h)
				a.fcvtl2(w[i+1], h)
			}
			a.ldrQ(x, p, 16*i)
			a.fmul(w[i], w[i], x)
			a.cmtstWords(t, x, x) // zero times anything is zero
			a.and(w[i], w[i], t)
			a.fabs(t, w[i])
			a.umax(size, size, t)
		}
		a.umaxv(size, size)
		a.umovS(top, size, 0)
		small, done := a.label("small"), a.label("done")
		a.op("CMPW %v, %v", tiny, top)
		a.op("BLO %s", small)
		a.dup(size, size, 0)
		a.fdiv(x, size, most)
		a.op("FMOVS F%d, (%v)", int(x), scales)
		a.fdiv(x, most, size)
		for i := 0; i < len(w); i += 4 {
			for j := range 4 {
				a.fmul(w[i+j], w[i+j], x)
				a.fcvtns(w[i+j], w[i+j])
			}
			for digit := range 2 {
				u := func(j int) V {
					if digit == 0 {
						a.ushr(b32, t, w[i+j], 7)
					} else {
						a.and(t, w[i+j], low)
					}
					return t
				}
				// Sixteen to bytes, through halves in size and h.
				a.xtn(b16, size, u(0))
				a.xtn2(b16, size, u(1))
				a.xtn(b16, h, u(2))
				a.xtn2(b16, h, u(3))
				a.xtn(b8, size, size)
				a.xtn2(b8, size, h)
				a.strQ(size, digits, pageLen*digit+4*i)
			}
		}
		a.op("B %s", done)
		a.place(small)
		a.op("FMOVS F%d, (%v)", int(zero), scales)
		for i := 0; i < 2*pageLen; i += 16 {
			a.strQ(zero, digits, i)
		}
		a.place(done)
		a.add(digits, 2*pageLen)
		a.add(scales, 4)
		a.op("ADD %v, %v", pstride, p)
	})
	a.ret()
}
