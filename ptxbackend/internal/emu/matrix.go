package emu

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func (c *compiler) decodeMatrix() {
	c.in.flow = flowAligned
	switch c.op[0] {
	case "ldmatrix":
		c.decodeLdmatrix()
	case "stmatrix":
		c.decodeStmatrix()
	case "mma":
		c.decodeMma()
	}
}

// decodeLdmatrix decodes ldmatrix.sync.aligned.m8n8.xN[.trans].shared[::cta].b16.
func (c *compiler) decodeLdmatrix() {
	n, trans := c.matrices()
	if n == 0 {
		return
	}
	in := c.in
	for _, r := range c.regs(0, n) {
		in.list = append(in.list, c.dest(&r, 4))
	}
	in.a, in.off = c.address(1, ptx.Shared)
	in.run = func(w *warp, in *instr, _ uint32) {
		addr := w.v(in.a)
		for i, d := range in.list {
			var rows [8]uint32
			for r := range rows {
				l := 8*i + r
				rows[r] = w.sharedAt(l, addr[l]+uint32(in.off), 16)
				w.checkRead(l, rows[r], 16)
			}
			w.readMatrix(&w.r32[d], &rows, trans)
		}
	}
}

// matrices reads the modifiers of ldmatrix and stmatrix.
func (c *compiler) matrices() (n int, trans bool) {
	if len(c.op) < 6 || c.op[1] != "sync" || c.op[2] != "aligned" || c.op[3] != "m8n8" || c.op[len(c.op)-1] != "b16" {
		c.fail("only m8n8 of b16 is emulated")
		return 0, false
	}
	switch c.op[4] {
	case "x1":
		n = 1
	case "x2":
		n = 2
	case "x4":
		n = 4
	}
	return n, c.op[5] == "trans"
}

// readMatrix gives lane l elements (l/4, 2(l%4)) and the next, or, transposed,
// (2(l%4), l/4) and the one below.
func (w *warp) readMatrix(d *vec, rows *[8]uint32, trans bool) {
	s := w.blk.shared
	for l := range d {
		if !trans {
			d[l] = binary.LittleEndian.Uint32(s[rows[l/4]+uint32(l%4)*4:])
			continue
		}
		col := uint32(l/4) * 2
		d[l] = u16at(s[rows[2*(l%4)]+col:]) | u16at(s[rows[2*(l%4)+1]+col:])<<16
	}
}

// decodeStmatrix decodes stmatrix.sync.aligned.m8n8.xN[.trans].shared.b16.
func (c *compiler) decodeStmatrix() {
	n, trans := c.matrices()
	if n == 0 {
		return
	}
	in := c.in
	in.a, in.off = c.address(0, ptx.Shared)
	for _, r := range c.regs(1, n) {
		in.list = append(in.list, c.source32(&r))
	}
	in.run = func(w *warp, in *instr, _ uint32) {
		addr := w.v(in.a)
		for i, r := range in.list {
			var rows [8]uint32
			for r := range rows {
				l := 8*i + r
				rows[r] = w.sharedAt(l, addr[l]+uint32(in.off), 16)
				w.checkWrite(l, rows[r], 16)
			}
			w.writeMatrix(w.v(r), &rows, trans)
		}
	}
}

func (w *warp) writeMatrix(v *vec, rows *[8]uint32, trans bool) {
	s := w.blk.shared
	for l, x := range v {
		if !trans {
			binary.LittleEndian.PutUint32(s[rows[l/4]+uint32(l%4)*4:], x)
			continue
		}
		col := uint32(l/4) * 2
		binary.LittleEndian.PutUint16(s[rows[2*(l%4)]+col:], uint16(x))
		binary.LittleEndian.PutUint16(s[rows[2*(l%4)+1]+col:], uint16(x>>16))
	}
}

// decodeMma decodes mma.sync.aligned.m16n8k16.row.col.f32.T.T.f32.
func (c *compiler) decodeMma() {
	in := c.in
	var half func(uint32) float32
	switch c.src.Op {
	case "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32":
		half = halfTo32
	case "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32":
		half = bfTo32
	default:
		return
	}
	var d, a, b, z [4]int32
	for i, r := range c.regs(0, 4) {
		d[i] = c.dest(&r, 4)
	}
	for i, r := range c.regs(1, 4) {
		a[i] = c.source32(&r)
	}
	for i, r := range c.regs(2, 2) {
		b[i] = c.source32(&r)
	}
	for i, r := range c.regs(3, 4) {
		z[i] = c.source32(&r)
	}
	in.run = func(w *warp, _ *instr, _ uint32) {
		t := &w.tensor.tile
		t.loadA(w, a, half)
		t.loadB(w, b, half)
		t.multiply(w, d, z)
	}
}

// tile holds the operands of an mma as numbers.
type tile struct {
	a [16][16]float64
	b [16][8]float64 // k, n
}

// The fragments (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point
// type"): with g = lane/4 and t = lane%4,
//
//	a: registers 0..3 hold rows g, g+8, g, g+8 and columns 2t, 2t, 2t+8, 2t+8 and the next
//	b: registers 0, 1 hold rows 2t, 2t+8 and the next of column g
//	c: elements 0..3 are (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)

func (t *tile) loadA(w *warp, regs [4]int32, half func(uint32) float32) {
	for i, r := range regs {
		v := w.v(r)
		for l, x := range v {
			row, col := l/4+8*(i&1), l%4*2+8*(i>>1)
			t.a[row][col], t.a[row][col+1] = float64(half(x&0xFFFF)), float64(half(x>>16))
		}
	}
}

func (t *tile) loadB(w *warp, regs [4]int32, half func(uint32) float32) {
	for i, r := range regs[:2] {
		v := w.v(r)
		for l, x := range v {
			k, n := l%4*2+8*i, l/4
			t.b[k][n], t.b[k+1][n] = float64(half(x&0xFFFF)), float64(half(x>>16))
		}
	}
}

// row is row r of a times b, plus s. Products are exact; the sum is made in float64
// and rounded once to float32. The ISA leaves the order and the precision between
// open; hardware truncates low bits of some addends.
func (t *tile) row(r int, s *[8]float64) {
	s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for k, x := range &t.a[r] {
		b := &t.b[k]
		s0 += x * b[0]
		s1 += x * b[1]
		s2 += x * b[2]
		s3 += x * b[3]
		s4 += x * b[4]
		s5 += x * b[5]
		s6 += x * b[6]
		s7 += x * b[7]
	}
	*s = [8]float64{s0, s1, s2, s3, s4, s5, s6, s7}
}

func (t *tile) multiply(w *warp, d, z [4]int32) {
	z0, z1, z2, z3 := w.v(z[0]), w.v(z[1]), w.v(z[2]), w.v(z[3])
	d0, d1, d2, d3 := &w.r32[d[0]], &w.r32[d[1]], &w.r32[d[2]], &w.r32[d[3]]
	var s [8]float64
	for g := range 8 {
		for i := range 4 {
			s[2*i], s[2*i+1] = float64(f32(z0[4*g+i])), float64(f32(z1[4*g+i]))
		}
		t.row(g, &s)
		for i := range 4 {
			w.tensor.out[0][4*g+i], w.tensor.out[1][4*g+i] = bits32(float32(s[2*i])), bits32(float32(s[2*i+1]))
		}
		for i := range 4 {
			s[2*i], s[2*i+1] = float64(f32(z2[4*g+i])), float64(f32(z3[4*g+i]))
		}
		t.row(g+8, &s)
		for i := range 4 {
			w.tensor.out[2][4*g+i], w.tensor.out[3][4*g+i] = bits32(float32(s[2*i])), bits32(float32(s[2*i+1]))
		}
	}
	*d0, *d1, *d2, *d3 = w.tensor.out[0], w.tensor.out[1], w.tensor.out[2], w.tensor.out[3]
}
