package main

import "fmt"

// Products of tiles: 16 weight rows with up to eight activation rows, four weight
// rows after the other. Without a constant part the weights are bytes with 128
// added, which flipping the top bit takes off again.

// tileColumns are the numbers of activation rows there are functions for.
var tileColumns = []int{8, 4, 2, 1}

func emitTile(a *asm) {
	for _, l := range []string{"DotProd", "I8MM"} {
		for _, half := range []bool{false, true} {
			for _, constant := range []bool{false, true} {
				for _, columns := range tileColumns {
					if l == "DotProd" || columns > 1 {
						t := tile{asm: a, matrix: l == "I8MM", half: half, constant: constant, columns: columns}
						t.emit(l)
					}
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
	matrix, half, constant bool
	columns                int

	q, d, m R
	x       []R // activation rows
	flip    V
	sums    []V // float32, one for each activation row
}

func (t *tile) emit(level string) {
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
	y, stride, c, cstride := t.arg("y"), t.arg("stride"), t.arg("c"), t.arg("cstride")
	q0, d0, m0, add := t.arg("q"), t.arg("d"), t.arg("m"), t.arg("add")
	n, quads, out := t.r(), t.r(), t.r()
	t.q, t.d, t.m = t.r(), t.r(), t.r()
	t.x = t.rowsOf(t.columns, cstride)
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
	multiply := t.dots
	if t.matrix {
		multiply = t.matrices
	}
	multiply(acc, 0)
	if t.half {
		t.scaled(acc, 0)
		for _, v := range acc {
			t.movi(v, 0)
		}
	}
	multiply(acc, 1)
	t.scaled(acc, 1)
	t.advance(acc)
}

func (t *tile) advance(acc []V) {
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

// weights loads four columns of the four rows.
func (t *tile) weights(w V, j int) {
	t.ldrQ(w, t.q, 64*j)
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
			t.weights(w[j%2], 4*h+j)
			for i := range x {
				t.sdotLane(acc[i], w[j%2], x[i], j)
			}
		}
	})
}

// matrices does it with products of (2, 8) by (8, 2): acc[2p] and acc[2p+1] are
// two weight rows each, times activation rows 2p and 2p+1.
func (t *tile) matrices(acc []V, h int) {
	t.scope(func() {
		w := [2][2]V{} // by eight columns, by pair of rows
		for j := range 2 {
			lo, hi := t.v(), t.v()
			t.weights(lo, 4*h+2*j)
			t.weights(hi, 4*h+2*j+1)
			w[j][1] = t.v()
			t.zip2(b32, w[j][1], lo, hi)
			t.zip1(b32, lo, lo, hi)
			w[j][0] = lo
		}
		a, b, c := t.v(), t.v(), t.v()
		for p := 0; p < t.columns; p += 2 {
			t.ldrQ(a, t.x[p], 16*h)
			t.ldrQ(b, t.x[p+1], 16*h)
			t.zip1(b64, c, a, b)
			t.zip2(b64, a, a, b)
			for rows := range 2 {
				t.smmla(acc[p+rows], w[0][rows], c)
				t.smmla(acc[p+rows], w[1][rows], a)
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
		if t.matrix {
			for p := 0; p < t.columns; p += 2 {
				t.uzp1(b32, s, acc[p], acc[p+1])
				t.uzp2(b32, acc[p+1], acc[p], acc[p+1])
				t.mov(acc[p], s)
			}
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
