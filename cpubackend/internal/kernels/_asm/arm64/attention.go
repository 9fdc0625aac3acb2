package main

import "fmt"

// Attention over one page: the cache is F16 or F32, heads come in groups of 4, 2
// or 1, columns eight at a time.

// plain is a format of plain numbers.
type plain struct {
	name string
	size int
}

var cacheTypes = []plain{{"F16", 2}, {"F32", 4}}

func emitAttention(a *asm) {
	for _, t := range cacheTypes {
		for _, heads := range []int{4, 2, 1} {
			scores(a, t, heads)
			for _, columns := range []int{4, 2, 1} {
				if heads*columns <= 8 {
					weightedSum(a, t, heads, columns)
				}
			}
		}
	}
}

// widen loads eight numbers.
func (t plain) widen(a *asm, lo, hi V, from R, off int) {
	switch t.name {
	case "F32":
		a.ldrQ(lo, from, off)
		a.ldrQ(hi, from, off+16)
	case "F16":
		a.ldrQ(lo, from, off)
		a.fcvtl2(hi, lo)
		a.fcvtl(lo, lo)
	case "BF16":
		a.ldrQ(lo, from, off)
		a.shll2(hi, lo)
		a.shll(lo, lo)
	}
}

// rowsOf takes a register for each of n rows.
func (a *asm) rowsOf(n int) []R {
	p := make([]R, n)
	for i := range p {
		p[i] = a.r()
	}
	return p
}

// pointAt points them at rows that are stride bytes apart.
func (a *asm) pointAt(p []R, base, stride R) {
	a.op("MOVD %v, %v", base, p[0])
	for i := 1; i < len(p); i++ {
		a.op("ADD %v, %v, %v", stride, p[i-1], p[i])
	}
}

// joinFloat makes s[0] the sums of the four.
func (a *asm) joinFloat(s []V) {
	a.faddp(s[0], s[0], s[1])
	a.faddp(s[2], s[2], s[3])
	a.faddp(s[0], s[0], s[2])
}

// scores: four keys at a time.
func scores(a *asm, t plain, heads int) {
	const keys = 4
	name := fmt.Sprintf("scores%sx%dNEON", t.name, heads)
	a.function(name, "dst *float32, stride int, q, k *byte, d, groups int, scale float32", "",
		fmt.Sprintf("sets dst[i*stride+j] = scale * q[i] . k[j] for %d heads and groups of 4 keys of d columns, a multiple of 8.", heads))
	dst, stride, k, d, groups := a.arg("dst"), a.arg("stride"), a.arg("k"), a.arg("d"), a.arg("groups")
	scale := a.argAll("scale")
	q0, qs, ks, n := a.arg("q"), a.r(), a.r(), a.r()
	a.op("LSL $2, %v", stride)
	a.op("LSL $2, %v, %v", d, qs)
	a.op("LSL $%d, %v, %v", log2(t.size), d, ks)
	q, kp := a.rowsOf(heads), a.rowsOf(keys)
	acc := a.vs(heads * keys)
	a.loop(groups, 1, func() {
		a.pointAt(q, q0, qs)
		a.pointAt(kp, k, ks)
		for _, v := range acc {
			a.movi(v, 0)
		}
		a.op("LSR $3, %v, %v", d, n)
		a.loop(n, 1, func() {
			x, w := a.vs(2*heads), a.vs(2)
			for h := range heads {
				a.ldpQ(x[2*h], x[2*h+1], q[h], 0)
				a.add(q[h], 32)
			}
			for j := range keys {
				t.widen(a, w[0], w[1], kp[j], 0)
				a.add(kp[j], 8*t.size)
				for h := range heads {
					a.fmla(acc[h*keys+j], x[2*h], w[0])
					a.fmla(acc[h*keys+j], x[2*h+1], w[1])
				}
			}
		})
		out := q[0]
		a.op("MOVD %v, %v", dst, out)
		for h := range heads {
			s := acc[h*keys:]
			a.joinFloat(s)
			a.fmul(s[0], s[0], scale)
			a.strQ(s[0], out, 0)
			a.op("ADD %v, %v", stride, out)
		}
		a.add(dst, 16)
		a.op("ADD %v<<2, %v", ks, k)
	})
	a.ret()
}

func weightedSum(a *asm, t plain, heads, columns int) {
	name := fmt.Sprintf("weightedSum%sx%dx%dNEON", t.name, heads, columns)
	a.function(name, "acc *float32, stride int, p *float32, pstride int, v *byte, vstride, n int", "",
		fmt.Sprintf("adds p[i*pstride+j] * v[j] to %d rows of acc, %d columns, over n positions.", heads, 8*columns))
	acc, stride, p, pstride, from, vstride, n := a.arg("acc"), a.arg("stride"), a.arg("p"), a.arg("pstride"), a.arg("v"), a.arg("vstride"), a.arg("n")
	a.op("LSL $2, %v", stride)
	a.op("LSL $2, %v", pstride)
	row, weights := a.rowsOf(heads), a.rowsOf(heads)
	a.pointAt(row, acc, stride)
	a.pointAt(weights, p, pstride)
	per := 2 * columns
	sums := a.vs(heads * per)
	for i, s := range sums {
		a.ldrQ(s, row[i/per], 16*(i%per))
	}
	a.loop(n, 1, func() {
		w, weight := a.vs(per), a.v()
		for c := range columns {
			t.widen(a, w[2*c], w[2*c+1], from, 8*t.size*c)
		}
		for h := range heads {
			a.ldr(b32, weight, weights[h], 0)
			a.add(weights[h], 4)
			for c := range w {
				a.fmlaLane(sums[h*per+c], w[c], weight, 0)
			}
		}
		a.op("ADD %v, %v", vstride, from)
	})
	for i, s := range sums {
		a.strQ(s, row[i/per], 16*(i%per))
	}
	a.ret()
}
