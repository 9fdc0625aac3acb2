package main

import "fmt"

// emitQuantize writes cells of activations (type cell in act.go of the kernels).
func emitQuantize(a *asm) {
	const bitsTiny, bits127 = 0x0554ad2e, 0x42fe0000 // 1e-35, 127
	a.function("quantizeNEON", "c *byte, d, m, x *float32, cells int", "", "quantises cells (> 0) cells of 32 activations.")
	c, d, m, x, cells := a.arg("c"), a.arg("d"), a.arg("m"), a.arg("x"), a.arg("cells")
	top, tiny, s := a.r(), a.r(), [2]R{a.r(), a.r()}
	all127, zero := a.all(bits127), a.zeros(1)[0]
	a.op("MOVD $%#x, %v", bitsTiny, tiny)
	v, t := a.vs(8), a.vs(8)
	q, scale, inverse := a.vs(2), a.v(), a.v()
	a.loop(cells, 1, func() {
		for i := 0; i < 8; i += 2 {
			a.ldpQ(v[i], v[i+1], x, 16*i)
		}
		for i := range 8 {
			a.fabs(t[i], v[i])
		}
		for n := 4; n > 0; n /= 2 { // magnitudes compare like integers, NaN above infinity
			for i := range n {
				a.umax(t[i], t[i], t[i+n])
			}
		}
		a.umaxv(t[0], t[0])
		a.umovS(top, t[0], 0)
		small, done := a.label("small"), a.label("done")
		a.op("CMPW %v, %v", tiny, top)
		a.op("BLO %s", small)
		a.dup(t[0], t[0], 0)
		a.fdiv(scale, t[0], all127)
		a.fdiv(inverse, all127, t[0])
		for i := range 8 {
			a.fmul(v[i], v[i], inverse)
			a.fcvtns(v[i], v[i]) // what is no number becomes 0
		}
		for h := range 2 {
			w := v[4*h:]
			a.xtn(b16, w[0], w[0])
			a.xtn2(b16, w[0], w[1])
			a.xtn(b16, w[2], w[2])
			a.xtn2(b16, w[2], w[3])
			a.xtn(b8, q[h], w[0])
			a.xtn2(b8, q[h], w[2])
			a.strQ(q[h], c, 16*h)
			a.saddlv(t[h], q[h])
			a.smovH(s[h], t[h], 0)
		}
		product := func(from R, to ...string) { // the scale times a sum
			f := t[2]
			a.op("SCVTFWS %v, F%d", from, int(f))
			a.op("FMULS F%d, F%d, F%d", int(scale), int(f), int(f))
			for _, m := range to {
				a.op("FMOVS F%d, %s", int(f), m)
			}
		}
		at := func(base R, off int) string { return fmt.Sprintf("%d(%v)", off, base) }
		for _, to := range []string{at(c, 32), at(d, 0)} {
			a.op("FMOVS F%d, %s", int(scale), to)
		}
		a.op("MOVW ZR, 44(%v)", c)
		product(s[0], at(c, 56))
		product(s[1], at(c, 60))
		a.op("ADDW %v, %v, %v", s[0], s[1], top)
		product(top, at(c, 40), at(m, 0))
		for i, r := range []R{s[0], s[1], top} {
			a.op("LSLW $7, %v", r)
			a.op("NEGW %v, %v", r, r)
			a.op("MOVW %v, %s", r, at(c, []int{48, 52, 36}[i]))
		}
		a.op("B %s", done)
		a.place(small)
		for i := 0; i < 64; i += 16 {
			a.strQ(zero, c, i)
		}
		a.op("MOVW ZR, (%v)", d)
		a.op("MOVW ZR, (%v)", m)
		a.place(done)
		a.add(x, 128)
		a.add(c, 64)
		a.add(d, 4)
		a.add(m, 4)
	})
	a.ret()
}
