package main

// The same products with SMMLA, which multiplies two weight rows with two
// activation rows, eight columns long. Pairs of activation rows are interleaved
// once for all 16 weight rows of a cell and fill half of the registers, so the
// float32 sums stay in y. A cell of eight activation rows takes 369 vector
// instructions and 140 loads and stores, where SDOT takes 424 and 292 (scales over
// 16 columns: 529 and 240, 552 and 328); what that is in time is not measured.

func (t *tile) emitMatrix() {
	t.begin("I8MM")
	out := t.rowsOf(t.columns)
	t.x = t.rowsOf(t.columns)
	t.scope(func() {
		base, stride := t.arg("y"), t.arg("stride")
		t.op("LSL $2, %v", stride)
		t.pointAt(out, base, stride)
		t.load("c", base)
		t.load("cstride", stride)
		t.pointAt(t.x, base, stride)
	})
	t.clearUnless("add", out)
	t.q, t.d, t.m = t.arg("q"), t.arg("d"), t.arg("m")
	if !t.constant {
		t.flip = t.bytes(0x80)
	}
	t.loop(t.arg("cells"), 1, func() {
		x := t.interleaved()
		acc := t.vs(t.columns)
		for quad := range 4 {
			for _, v := range acc {
				t.movi(v, 0)
			}
			t.matrices(acc, x, 0, quad)
			if t.half {
				t.scaledInto(out, acc, 0, quad)
				for _, v := range acc {
					t.movi(v, 0)
				}
			}
			t.matrices(acc, x, 1, quad)
			t.scaledInto(out, acc, 1, quad)
		}
		t.advance()
	})
	t.ret()
}

// clearUnless sets 16 numbers of each row to zero if an argument is zero.
func (t *tile) clearUnless(arg string, rows []R) {
	ready := t.label("ready")
	t.scope(func() {
		t.op("CBNZ %v, %s", t.arg(arg), ready)
		zero := t.zeros(1)[0]
		for _, p := range rows {
			for i := 0; i < 64; i += 16 {
				t.strQ(zero, p, i)
			}
		}
	})
	t.place(ready)
}

// interleaved loads a cell of all activation rows: x[p][i] has columns 8i to 8i+7
// of row 2p, then of row 2p+1.
func (t *tile) interleaved() [][4]V {
	x := make([][4]V, t.columns/2)
	for p := range x {
		for i := range x[p] {
			x[p][i] = t.v()
		}
	}
	t.scope(func() {
		b := t.vs(2)
		for p, v := range x {
			t.ldpQ(v[0], v[2], t.x[2*p], 0)
			t.ldpQ(b[0], b[1], t.x[2*p+1], 0)
			for h := range 2 {
				t.zip2(b64, v[2*h+1], v[2*h], b[h])
				t.zip1(b64, v[2*h], v[2*h], b[h])
			}
		}
	})
	return x
}

// matrices adds the products of half a cell to acc: acc[2p] and acc[2p+1] are two
// of the four weight rows each, times activation rows 2p and 2p+1.
func (t *tile) matrices(acc []V, x [][4]V, h, quad int) {
	t.scope(func() {
		lo, hi, upper := t.v(), t.v(), t.v()
		for j := range 2 {
			t.weights(lo, 4*h+2*j, quad)
			t.weights(hi, 4*h+2*j+1, quad)
			t.zip2(b32, upper, lo, hi)
			t.zip1(b32, lo, lo, hi)
			for p := range x {
				t.smmla(acc[2*p], lo, x[p][2*h+j])
				t.smmla(acc[2*p+1], upper, x[p][2*h+j])
			}
		}
	})
}

// scaledInto adds the integer sums of four weight rows times the scales to y.
func (t *tile) scaledInto(out []R, acc []V, h, quad int) {
	t.scope(func() {
		line, m := 0, 2
		if t.half {
			line, m = h, 2+h
		}
		d, s, parts, y, sum, least := t.v(), t.v(), t.v(), t.v(), t.v(), t.v()
		t.ldrQ(d, t.d, 64*line+16*quad)
		if t.constant {
			t.ldrQ(least, t.m, 64*line+16*quad)
		}
		for i := range acc {
			part := t.uzp1
			if i%2 == 1 {
				part = t.uzp2
			}
			part(b32, sum, acc[i&^1], acc[i|1])
			t.ldrQ(parts, t.x[i], 32) // d, c, m
			t.ldrQ(y, out[i], 16*quad)
			t.scvtf(sum, sum)
			t.fmulLane(s, d, parts, 0)
			t.fmla(y, sum, s)
			if t.constant {
				if t.half {
					t.ldrQ(parts, t.x[i], 48) // c2, m2
				}
				t.fmlaLane(y, least, parts, m)
			}
			t.strQ(y, out[i], 16*quad)
		}
	})
}
