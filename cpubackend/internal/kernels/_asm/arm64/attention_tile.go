package main

import "fmt"

// Attention of many queries: attention_tile.go of the kernels. Sixteen columns at a
// time.

// outerRows is how many rows the product takes at a time, columnsQ their registers.
const (
	outerRows = 4
	columnsQ  = 4
)

func emitAttentionTile(a *asm) {
	outer(a, false)
	outer(a, true)
	maxRows(a)
	expRows(a)
	scaleRows(a)
}

func outer(a *asm, add bool) {
	name, does := "outerNEON", "sets c to"
	if add {
		name, does = "outerAddNEON", "adds to c"
	}
	a.function(name, "c *float32, stride int, a *float32, rows, columns int, b *float32, blocks, n int", "",
		fmt.Sprintf("%s a*b, 16 columns of blocks of %d rows; c and b have rows of stride numbers.", does, outerRows))
	c, stride, from, rows, step, blocks := a.arg("c"), a.arg("stride"), a.arg("a"), a.arg("rows"), a.arg("columns"), a.arg("blocks")
	for _, r := range []R{stride, rows, step} {
		a.op("LSL $2, %v", r)
	}
	b, n, out := a.r(), a.r(), a.r()
	p := a.rowsOf(outerRows)
	acc := a.vs(outerRows * columnsQ)
	a.loop(blocks, 1, func() {
		a.load("b", b)
		a.load("n", n)
		a.pointAt(p, from, rows)
		a.op("MOVD %v, %v", c, out)
		for i, s := range acc {
			if !add {
				a.movi(s, 0)
				continue
			}
			a.ldrQ(s, out, 16*(i%columnsQ))
			if i%columnsQ == columnsQ-1 {
				a.op("ADD %v, %v", stride, out)
			}
		}
		a.loop(n, 1, func() {
			y, x := a.vs(columnsQ), a.vs(outerRows)
			a.ldpQ(y[0], y[1], b, 0)
			a.ldpQ(y[2], y[3], b, 32)
			for i := range x {
				a.ldr(b32, x[i], p[i], 0)
				a.op("ADD %v, %v", step, p[i])
			}
			for i, s := range acc {
				a.fmlaLane(s, y[i%columnsQ], x[i/columnsQ], 0)
			}
			a.op("ADD %v, %v", stride, b)
		})
		for i, s := range acc {
			a.strQ(s, c, 16*(i%columnsQ))
			if i%columnsQ == columnsQ-1 {
				a.op("ADD %v, %v", stride, c)
			}
		}
		a.op("ADD %v<<2, %v", rows, from)
	})
	a.ret()
}

// columnsOf goes down the columns of a matrix (n, q), eight at a time; body has a
// pointer to the top of them, to go down with, the stride, and how often.
func (a *asm) columnsOf(matrix, top R, body func(p, stride, n R)) {
	q, stride, p, n := a.arg("q"), a.r(), a.r(), a.r()
	a.op("LSL $2, %v, %v", q, stride)
	a.op("LSR $3, %v", q)
	a.loop(q, 1, func() {
		a.load("n", n)
		a.op("MOVD %v, %v", matrix, p)
		body(p, stride, n)
		a.add(matrix, 32)
		a.add(top, 32)
	})
}

func maxRows(a *asm) {
	a.function("maxRowsNEON", "top, s *float32, q, n int", "", "raises each of q numbers to the largest in its column of n.")
	top, s := a.arg("top"), a.arg("s")
	a.columnsOf(s, top, func(p, stride, n R) {
		most, x := a.vs(2), a.vs(2)
		a.ldpQ(most[0], most[1], top, 0)
		a.loop(n, 1, func() {
			a.ldpQ(x[0], x[1], p, 0)
			for i := range x {
				a.fmaxnm(most[i], most[i], x[i])
			}
			a.op("ADD %v, %v", stride, p)
		})
		for i := range most {
			a.strQ(most[i], top, 16*i)
		}
	})
	a.ret()
}

func scaleRows(a *asm) {
	a.function("scaleRowsNEON", "c, f *float32, q, n int", "", "multiplies columns of n numbers by q factors.")
	c, f := a.arg("c"), a.arg("f")
	a.columnsOf(c, f, func(p, stride, n R) {
		x, y := a.vs(2), a.vs(2)
		a.ldpQ(x[0], x[1], f, 0)
		a.loop(n, 1, func() {
			a.ldpQ(y[0], y[1], p, 0)
			for i := range y {
				a.fmul(y[i], y[i], x[i])
				a.strQ(y[i], p, 16*i)
			}
			a.op("ADD %v, %v", stride, p)
		})
	})
	a.ret()
}

func expRows(a *asm) {
	a.function("expRowsNEON", "s, top, sum *float32, q, n int, scale float32", "", "sets s = exp((s-top)*scale) and adds up its columns.")
	s, top, sum := a.arg("s"), a.arg("top"), a.arg("sum")
	e, scale := newExp(a), a.argAll("scale")
	a.columnsOf(s, top, func(p, stride, n R) {
		t, acc, x := a.vs(2), a.vs(2), a.vs(2)
		a.ldpQ(t[0], t[1], top, 0)
		a.ldpQ(acc[0], acc[1], sum, 0)
		a.loop(n, 1, func() {
			a.ldpQ(x[0], x[1], p, 0)
			for i := range x {
				a.fsub(x[i], x[i], t[i])
				a.fmul(x[i], x[i], scale)
				e.exp(x[i])
				a.strQ(x[i], p, 16*i)
				a.fadd(acc[i], acc[i], x[i])
			}
			a.op("ADD %v, %v", stride, p)
		})
		for i := range acc {
			a.strQ(acc[i], sum, 16*i)
		}
		a.add(sum, 32)
	})
	a.ret()
}
