package main

import "fmt"

// Products of tiles: 16 weight rows with up to eight activation rows, four weight
// rows after the other. Without a constant part the weights are bytes with 128
// added, which flipping the top bit takes off again.

// tileColumns are the numbers of activation rows there are functions for.
var tileColumns = []int{8, 4, 2, 1}

func emitTile(a *asm) {
	for _, half := range []bool{false, true} {
		for _, constant := range []bool{false, true} {
			for _, columns := range tileColumns {
				t := tile{asm: a, half: half, constant: constant, columns: columns}
				t.emit()
				if columns > 1 {
					t.emitMatrix()
				}
			}
		}
	}
	for _, columns := range tileColumns {
		tilePlain(a, columns)
	}
}

type tile struct {
	*asm
	half, constant bool
	columns        int

	q, d, m R
	x       []R // activation rows
	flip    V
	sums    []V // float32, one for each activation row
}

// begin begins the function for a level.
func (t *tile) begin(level string) {
	kind, constant := "32", ""
	if t.half {
		kind = "16"
	}
	if t.constant {
		constant = "M"
	}
	t.function(fmt.Sprintf("tile%s%sx%d%s", kind, constant, t.columns, level),
		"y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int, ahead *byte, step int", "",
		fmt.Sprintf("sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a tile.", t.columns))
}

func (t *tile) emit() {
	t.begin("DotProd")
	y, stride, c, cstride := t.arg("y"), t.arg("stride"), t.arg("c"), t.arg("cstride")
	q0, d0, m0, add := t.arg("q"), t.arg("d"), t.arg("m"), t.arg("add")
	n, quads, out := t.r(), t.r(), t.r()
	t.q, t.d, t.m = t.r(), t.r(), t.r()
	t.x = t.rowsOf(t.columns)
	t.op("LSL $2, %v", stride)
	if !t.constant {
		t.flip = t.bytes(0x80)
	}
	t.sums = t.vs(t.columns)
	t.op("MOVD $4, %v", quads)
	t.loop(quads, 1, func() {
		t.op("MOVD %v, %v", q0, t.q)
		t.op("MOVD %v, %v", d0, t.d)
		t.op("MOVD %v, %v", m0, t.m)
		t.pointAt(t.x, c, cstride)
		t.load("cells", n)
		t.startSums(t.sums, 1, y, stride, add, out)
		t.loop(n, 1, t.cell)
		t.storeSums(t.sums, 1, y, stride, out)
		for _, r := range []R{y, q0, d0, m0} {
			t.add(r, 16)
		}
	})
	t.ret()
}

// cell multiplies 32 columns.
func (t *tile) cell() {
	acc := t.zeros(t.columns)
	t.dots(acc, 0)
	if t.half {
		t.scaled(acc, 0)
		for _, v := range acc {
			t.movi(v, 0)
		}
	}
	t.dots(acc, 1)
	t.scaled(acc, 1)
	t.advance()
}

// advance goes on to the next cell.
func (t *tile) advance() {
	lines := 1
	if t.half {
		lines = 2
	}
	t.add(t.q, 512)
	t.add(t.d, 64*lines)
	t.add(t.m, 64*lines)
	for _, x := range t.x {
		t.add(x, 64)
	}
}

// weights loads four columns of four rows.
func (t *tile) weights(w V, j, quad int) {
	t.ldrQ(w, t.q, 64*j+16*quad)
	if !t.constant {
		t.eor(w, w, t.flip)
	}
}

// dots adds the products of half a cell to acc, one register for each activation
// row.
func (t *tile) dots(acc []V, h int) {
	t.scope(func() {
		x, w := t.vs(t.columns), t.vs(2)
		for i := range x {
			t.ldrQ(x[i], t.x[i], 16*h)
		}
		for j := range 4 {
			t.weights(w[j%2], 4*h+j, 0)
			for i := range x {
				t.sdotLane(acc[i], w[j%2], x[i], j)
			}
		}
	})
}

// scaled adds the integer sums times the scales to the float32 ones.
func (t *tile) scaled(acc []V, h int) {
	t.scope(func() {
		line, m := 0, 2
		if t.half {
			line, m = h, 2+h
		}
		d, s, parts, least := t.v(), t.v(), t.v(), t.v()
		t.ldrQ(d, t.d, 64*line)
		if t.constant {
			t.ldrQ(least, t.m, 64*line)
		}
		for i := range acc {
			t.ldrQ(parts, t.x[i], 32) // d, c, m
			t.scvtf(acc[i], acc[i])
			t.fmulLane(s, d, parts, 0)
			t.fmla(t.sums[i], acc[i], s)
			if t.constant {
				if t.half {
					t.ldrQ(parts, t.x[i], 48) // c2, m2
				}
				t.fmlaLane(t.sums[i], least, parts, m)
			}
		}
	})
}
