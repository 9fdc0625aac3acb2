package main

import "fmt"

// The quantised formats. Each says how the codes and scales of four rows are
// unpacked; what is done with them, the same for all, is here: matrix-vector
// products, four rows at a time, and packing of tiles.

// format is a quantised format.
type format struct {
	stem, name string
	bytes      int // of a block
	cells      int // of 32 weights in a block
	// bias is what codes have above the weights' integers, a power of two or 0.
	bias int
	// large says that codes may exceed 63 in magnitude.
	large bool
	// constant says that weights have a constant part, half that scales cover 16.
	constant, half bool

	// setup makes constants.
	setup func(*rows)
	// head reads what a block has beside codes.
	head func(*rows)
	// codes unpacks the codes of cell k of row i.
	codes func(u *rows, k, i int, lo, hi V)
	// scale is the four rows' scales of half h of cell k, least their constants.
	scale, least func(u *rows, k, h int) V
}

// rows is four rows being walked.
type rows struct {
	*asm
	p [4]R         // where each row's block begins
	c map[byte]V   // constant bytes
	s map[string]V // constants and the blocks' heads
}

func (a *asm) newRows() *rows {
	u := &rows{asm: a, c: map[byte]V{}, s: map[string]V{}}
	for i := range u.p {
		u.p[i] = a.r()
	}
	return u
}

// keep makes constants of 16 equal bytes.
func (u *rows) keep(b ...byte) {
	for _, x := range b {
		if _, ok := u.c[x]; !ok {
			u.c[x] = u.bytes(x)
		}
	}
}

// start points the rows at w and the rows after it.
func (u *rows) start(w, stride R) {
	u.op("MOVD %v, %v", w, u.p[0])
	for i := 1; i < 4; i++ {
		u.op("ADD %v, %v, %v", stride, u.p[i-1], u.p[i])
	}
}

func (u *rows) advance(n int) {
	for _, p := range u.p {
		u.add(p, n)
	}
}

// gather makes a vector of one element of each row; what it does not fill is
// unspecified.
func (u *rows) gather(lanes int, v V, off int) {
	u.scope(func() {
		t := u.v()
		u.ldr(lanes, v, u.p[0], off)
		for i := 1; i < 4; i++ {
			u.ldr(lanes, t, u.p[i], off)
			u.ins(lanes, v, i, t)
		}
	})
}

// transpose makes v[i] lane i of each of the four.
func (a *asm) transpose(v []V) {
	a.scope(func() {
		t := a.vs(4)
		a.trn1(b32, t[0], v[0], v[1])
		a.trn2(b32, t[1], v[0], v[1])
		a.trn1(b32, t[2], v[2], v[3])
		a.trn2(b32, t[3], v[2], v[3])
		a.trn1(b64, v[0], t[0], t[2])
		a.trn1(b64, v[1], t[1], t[3])
		a.trn2(b64, v[2], t[0], t[2])
		a.trn2(b64, v[3], t[1], t[3])
	})
}

// A level is how bytes are multiplied.
type level struct {
	name    string
	dotProd bool
}

var levels = []level{{"NEON", false}, {"DotProd", true}}

// dot32 sets s to sums of products of two registers; together the four lanes are
// the sum of all 32. Without dot products the sums are of 16 bits first: two
// products of any bytes but (-128)^2 fit, and four where codes are at most 63.
func (l level) dot32(a *asm, large bool, s, lo, hi, x0, x1 V) {
	if l.dotProd {
		a.movi(s, 0)
		a.sdot(s, lo, x0)
		a.sdot(s, hi, x1)
		return
	}
	a.scope(func() {
		t := a.v()
		a.smull(t, lo, x0)
		a.smlal2(t, lo, x0)
		if large {
			a.saddlp(s, t)
			a.smull(t, hi, x1)
			a.smlal2(t, hi, x1)
			a.sadalp(s, t)
			return
		}
		a.smlal(t, hi, x1)
		a.smlal2(t, hi, x1)
		a.saddlp(s, t)
	})
}

// dot16 is dot32 for one register.
func (l level) dot16(a *asm, s, w, x V) {
	if l.dotProd {
		a.movi(s, 0)
		a.sdot(s, w, x)
		return
	}
	a.scope(func() {
		t := a.v()
		a.smull(t, w, x)
		a.smlal2(t, w, x)
		a.saddlp(s, t)
	})
}

// join makes s[0] the sums of the four.
func (a *asm) join(s []V) {
	a.addp(s[0], s[0], s[1])
	a.addp(s[2], s[2], s[3])
	a.addp(s[0], s[0], s[2])
}

func (f format) emit(a *asm) {
	f.pack(a)
	for _, l := range levels {
		f.decode(a, l)
	}
}

func (f format) decode(a *asm, l level) {
	a.function("decode"+f.name+l.name, "y *float32, w *byte, stride, groups int, c *byte, d, m *float32, cells int", "",
		"multiplies groups of four rows with one activation row.")
	y, w, stride, groups := a.arg("y"), a.arg("w"), a.arg("stride"), a.arg("groups")
	c, n := a.r(), a.r()
	u := a.newRows()
	f.setup(u)
	acc := a.v()
	a.loop(groups, 1, func() {
		u.start(w, stride)
		a.load("c", c)
		a.load("cells", n)
		a.movi(acc, 0)
		a.loop(n, f.cells, func() {
			f.head(u)
			for k := range f.cells {
				a.scope(func() { f.cell(u, l, k, c, acc) })
			}
			u.advance(f.bytes)
			a.add(c, 64*f.cells)
		})
		a.strQ(acc, y, 0)
		a.add(y, 16)
		a.op("ADD %v<<2, %v, %v", stride, w, w)
	})
	a.ret()
}

// log2 of a power of two.
func log2(n int) (s int) {
	for n > 1 {
		n, s = n/2, s+1
	}
	return s
}

// cell adds cell k of the block to the sums acc of the four rows. The parts of a
// cell of activations are those of type cell in act.go: q, then d, c and m at
// byte 32, c2 and m2 at byte 48; c is -128 * the sum of q.
func (f format) cell(u *rows, l level, k int, c R, acc V) {
	x, parts, halves := u.vs(2), u.v(), u.v()
	u.ldpQ(x[0], x[1], c, 64*k)
	u.ldrQ(parts, c, 64*k+32)
	if f.half {
		u.ldrQ(halves, c, 64*k+48)
		s, t := u.vs(4), u.vs(4)
		for i := range 4 {
			u.scope(func() {
				lo, hi := u.v(), u.v()
				f.codes(u, k, i, lo, hi)
				l.dot16(u.asm, s[i], lo, x[0])
				l.dot16(u.asm, t[i], hi, x[1])
			})
		}
		f.scaled(u, k, 0, s, halves, 0, parts, acc)
		f.scaled(u, k, 1, t, halves, 1, parts, acc)
		return
	}
	s := u.vs(4)
	for i := range 4 {
		u.scope(func() {
			lo, hi := u.v(), u.v()
			f.codes(u, k, i, lo, hi)
			l.dot32(u.asm, f.large, s[i], lo, hi, x[0], x[1])
		})
	}
	f.scaled(u, k, 0, s, parts, 1, parts, acc)
}

// scaled adds the integer sums s, what the codes have too much taken off, times
// the scales to acc. That much is in a lane of from; two lanes on is what the
// constant parts are multiplied by in the halves, one in the whole.
func (f format) scaled(u *rows, k, h int, s []V, from V, lane int, parts, acc V) {
	u.scope(func() {
		u.join(s)
		sum, t := s[0], u.v()
		if f.bias != 0 {
			u.dup(t, from, lane)
			if f.bias < 128 {
				u.sshr(b32, t, t, 7-log2(f.bias))
			}
			u.addv(b32, sum, sum, t)
		}
		u.scvtf(sum, sum)
		u.fmulLane(t, f.scale(u, k, h), parts, 0)
		u.fmla(acc, sum, t)
		if f.constant {
			at := 2
			if f.half {
				at = 2 + h
			}
			u.fmlaLane(acc, f.least(u, k, h), from, at)
		}
	})
}

// pack does four rows after the other. Of the memory to ask for, which every row
// of blocks has a part of, each four rows take a quarter.
func (f format) pack(a *asm) {
	multiple := ""
	if f.cells > 1 {
		multiple = fmt.Sprintf("; n is a multiple of %d", f.cells)
	}
	a.function("pack"+f.name+"NEON", "q *byte, d, m *float32, w *byte, stride, n int, ahead *byte, step int", "",
		"packs n cells of 16 rows into a tile"+multiple+".")
	q0, d0, m0, w, stride := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("w"), a.arg("stride")
	ahead, step := a.arg("ahead"), a.arg("step")
	q, d, m, n, quads := a.r(), a.r(), a.r(), a.r(), a.r()
	u := a.newRows()
	f.setup(u)
	var bias V
	if !f.constant {
		u.keep(byte(128 - f.bias))
		bias = u.c[byte(128-f.bias)]
	}
	a.op("LSR $2, %v", step)
	a.op("MOVD $4, %v", quads)
	a.loop(quads, 1, func() {
		u.start(w, stride)
		a.op("MOVD %v, %v", q0, q)
		a.op("MOVD %v, %v", d0, d)
		a.op("MOVD %v, %v", m0, m)
		a.load("n", n)
		a.loop(n, f.cells, func() {
			for i := 0; i < 4*f.bytes; i += 64 {
				a.op("PRFM %d(%v), PLDL1KEEP", i, ahead)
			}
			a.op("ADD %v, %v", step, ahead)
			f.head(u)
			for k := range f.cells {
				a.scope(func() { f.packCell(u, k, q, d, m, bias) })
			}
			u.advance(f.bytes)
			a.add(q, 512*f.cells)
			lines := f.cells
			if f.half {
				lines *= 2
			}
			a.add(d, 64*lines)
			a.add(m, 64*lines)
		})
		a.add(q0, 16)
		a.add(d0, 16)
		a.add(m0, 16)
		a.op("ADD %v<<2, %v, %v", stride, w, w)
	})
	a.ret()
}

// packCell stores four rows of cell k (type tile in tile.go).
func (f format) packCell(u *rows, k int, q, d, m R, bias V) {
	lo, hi := u.vs(4), u.vs(4)
	for i := range 4 {
		f.codes(u, k, i, lo[i], hi[i])
		if !f.constant {
			u.addv(b8, lo[i], lo[i], bias)
			u.addv(b8, hi[i], hi[i], bias)
		}
	}
	for part, v := range [][]V{lo, hi} {
		u.transpose(v)
		for j := range 4 {
			u.strQ(v[j], q, 512*k+64*(4*part+j))
		}
	}
	lines := 1
	if f.half {
		lines = 2
	}
	for h := range lines {
		u.scope(func() {
			u.strQ(f.scale(u, k, h), d, 64*(lines*k+h))
			if f.constant {
				u.strQ(f.least(u, k, h), m, 64*(lines*k+h))
			}
		})
	}
}
