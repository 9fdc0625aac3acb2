package main

import "fmt"

// The plain formats: F32, F16 and BF16 weights with float32 activations.

var plains = []plain{{"F32", 4}, {"F16", 2}, {"BF16", 2}}

func emitPlain(a *asm) {
	for _, t := range plains {
		t.decode(a)
		t.pack(a)
	}
}

// decode has two sums of each row in the air.
func (t plain) decode(a *asm) {
	a.function("decode"+t.name+"NEON", "y *float32, w *byte, stride, groups int, x *float32, k int", "",
		"multiplies groups of four rows with one activation row; k is a multiple of 8.")
	y, w, stride, groups := a.arg("y"), a.arg("w"), a.arg("stride"), a.arg("groups")
	x, n := a.r(), a.r()
	u := a.newRows()
	acc := a.vs(8)
	a.loop(groups, 1, func() {
		u.start(w, stride)
		a.load("x", x)
		a.load("k", n)
		for _, v := range acc {
			a.movi(v, 0)
		}
		a.loop(n, 8, func() {
			v, lo, hi := a.vs(2), a.v(), a.v()
			a.ldpQ(v[0], v[1], x, 0)
			for i := range 4 {
				t.widen(a, lo, hi, u.p[i], 0)
				a.fmla(acc[i], lo, v[0])
				a.fmla(acc[4+i], hi, v[1])
			}
			u.advance(8 * t.size)
			a.add(x, 32)
		})
		for i := range 4 {
			a.fadd(acc[i], acc[i], acc[4+i])
		}
		a.joinFloat(acc)
		a.strQ(acc[0], y, 0)
		a.add(y, 16)
		a.op("ADD %v<<2, %v, %v", stride, w, w)
	})
	a.ret()
}

// pack transposes 16 rows into a float32 tile, four rows after the other, eight
// columns a turn.
func (t plain) pack(a *asm) {
	a.function("pack"+t.name+"NEON", "t *float32, w *byte, stride, n int, ahead *byte, step int", "",
		"packs n columns of 16 rows into a tile; n is a multiple of 16.")
	to0, w, stride, ahead, step := a.arg("t"), a.arg("w"), a.arg("stride"), a.arg("ahead"), a.arg("step")
	to, n, quads := a.r(), a.r(), a.r()
	u := a.newRows()
	a.op("LSR $3, %v", step)
	a.op("MOVD $4, %v", quads)
	a.loop(quads, 1, func() {
		u.start(w, stride)
		a.op("MOVD %v, %v", to0, to)
		a.load("n", n)
		a.loop(n, 8, func() {
			lo, hi := a.vs(4), a.vs(4)
			for i := 0; i < 32*t.size; i += 64 {
				a.op("PRFM %d(%v), PLDL1KEEP", i, ahead)
			}
			a.op("ADD %v, %v", step, ahead)
			for i := range 4 {
				t.widen(a, lo[i], hi[i], u.p[i], 0)
			}
			for part, v := range [][]V{lo, hi} {
				a.transpose(v)
				for j := range 4 {
					a.strQ(v[j], to, 64*(4*part+j))
				}
			}
			u.advance(8 * t.size)
			a.add(to, 512)
		})
		a.add(to0, 16)
		a.op("ADD %v<<2, %v, %v", stride, w, w)
	})
	a.ret()
}

// tilePlain does eight rows at a time for eight activation rows, all 16 for
// fewer: 16 sums at most.
func tilePlain(a *asm, columns int) {
	name := fmt.Sprintf("tilePlainx%dNEON", columns)
	a.function(name, "y *float32, stride int, w, x *float32, xstride, k, add int", "",
		fmt.Sprintf("sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a float32 tile.", columns))
	quads := 4
	if columns == 8 {
		quads = 2
	}
	y, stride, w0, x0, xstride, k := a.arg("y"), a.arg("stride"), a.arg("w"), a.arg("x"), a.arg("xstride"), a.arg("k")
	w, n, add, part, out := a.r(), a.r(), a.arg("add"), a.r(), a.r()
	a.op("LSL $2, %v", stride)
	x := a.rowsOf(columns)
	sums := a.vs(columns * quads)
	a.op("MOVD $%d, %v", 4/quads, part)
	a.loop(part, 1, func() {
		a.op("MOVD %v, %v", w0, w)
		a.pointAt(x, x0, xstride)
		a.startSums(sums, quads, y, stride, add, out)
		rest, end := a.label("rest"), a.label("end")
		multiply := func(v []V, lane int) {
			weights := a.vs(2)
			for q := range quads {
				a.ldrQ(weights[q%2], w, 64*lane+16*q)
				for i := range columns {
					a.fmlaLane(sums[i*quads+q], weights[q%2], v[i], lane)
				}
			}
		}
		a.op("LSR $2, %v, %v", k, n)
		a.op("CBZ %v, %s", n, rest)
		a.loop(n, 1, func() {
			v := a.vs(columns)
			for i := range v {
				a.ldrQ(v[i], x[i], 0)
				a.add(x[i], 16)
			}
			for lane := range 4 {
				a.scope(func() { multiply(v, lane) })
			}
			a.add(w, 256)
		})
		a.place(rest)
		a.op("ANDS $3, %v, %v", k, n)
		a.op("BEQ %s", end)
		a.loop(n, 1, func() {
			v := a.vs(columns)
			for i := range v {
				a.ldr(b32, v[i], x[i], 0)
				a.add(x[i], 4)
			}
			multiply(v, 0)
			a.add(w, 64)
		})
		a.place(end)
		a.storeSums(sums, quads, y, stride, out)
		a.add(y, 16*quads)
		a.add(w0, 16*quads)
	})
	a.ret()
}

// startSums makes sums[i*quads+q] what y has in row i, quad q, or zero.
func (a *asm) startSums(sums []V, quads int, y, stride, add, out R) {
	fresh, ready := a.label("fresh"), a.label("ready")
	a.op("CBZ %v, %s", add, fresh)
	a.op("MOVD %v, %v", y, out)
	for i, s := range sums {
		a.ldrQ(s, out, 16*(i%quads))
		if i%quads == quads-1 {
			a.op("ADD %v, %v", stride, out)
		}
	}
	a.op("B %s", ready)
	a.place(fresh)
	for _, s := range sums {
		a.movi(s, 0)
	}
	a.place(ready)
}

func (a *asm) storeSums(sums []V, quads int, y, stride, out R) {
	a.op("MOVD %v, %v", y, out)
	for i, s := range sums {
		a.strQ(s, out, 16*(i%quads))
		if i%quads == quads-1 {
			a.op("ADD %v, %v", stride, out)
		}
	}
}
