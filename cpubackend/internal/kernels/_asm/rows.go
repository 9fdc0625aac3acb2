package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Sixteen weight rows at a time, for tiles.

// rows16 points at 16 rows: row 4l+i is at base[l] + i*stride.
type rows16 struct {
	base           [4]reg.GPVirtual
	stride, thrice reg.GPVirtual
}

func (a *asm) rows16(w, stride reg.GPVirtual) rows16 {
	r := rows16{stride: stride, thrice: a.GP64()}
	a.LEAQ(atIndex(stride, stride, 2, 0), r.thrice)
	four := a.GP64()
	a.MOVQ(stride, four)
	a.SHLQ(Imm(2), four)
	r.base[0] = w
	for l := 1; l < 4; l++ {
		r.base[l] = a.GP64()
		a.LEAQ(atIndex(r.base[l-1], four, 1, 0), r.base[l])
	}
	return r
}

func (r *rows16) row(l, i, disp int) Mem {
	switch i {
	case 0:
		return at(r.base[l], disp)
	case 3:
		return atIndex(r.base[l], r.thrice, 1, disp)
	}
	return atIndex(r.base[l], r.stride, uint8(i), disp)
}

func (r *rows16) advance(a *asm, n int) {
	for _, b := range r.base {
		a.ADDQ(imm(n), b)
	}
}

// column16 loads 16 bytes at disp of every row and transposes them: 32-bit lane
// r of result j is bytes 4j..4j+3 of row r. With 256-bit registers these are
// eight rows, the upper ones if upper is 1.
func (p *packer) column16(disp int) (t [4]reg.VecVirtual) {
	v := p.vec
	var m [4]reg.VecVirtual
	for i := range m {
		m[i] = v.reg()
		if v.lanes == 8 {
			v.lowX(p.rows.row(2*p.upper, i, disp), m[i])
			v.VINSERTI128(Imm(1), p.rows.row(2*p.upper+1, i, disp), m[i], m[i])
			continue
		}
		v.lowX(p.rows.row(0, i, disp), m[i])
		for l := 1; l < 4; l++ {
			v.VINSERTI32X4(Imm(uint64(l)), p.rows.row(l, i, disp), m[i], m[i])
		}
	}
	return v.transpose4(m)
}

// transpose4 transposes the 4x4 blocks of 32 bits in each 128-bit lane.
func (v vec) transpose4(m [4]reg.VecVirtual) (t [4]reg.VecVirtual) {
	u := v.regs(4)
	v.VPUNPCKLDQ(m[1], m[0], u[0])
	v.VPUNPCKHDQ(m[1], m[0], u[1])
	v.VPUNPCKLDQ(m[3], m[2], u[2])
	v.VPUNPCKHDQ(m[3], m[2], u[3])
	copy(t[:], v.regs(4))
	v.VPUNPCKLQDQ(u[2], u[0], t[0])
	v.VPUNPCKHQDQ(u[2], u[0], t[1])
	v.VPUNPCKLQDQ(u[3], u[1], t[2])
	v.VPUNPCKHQDQ(u[3], u[1], t[3])
	return t
}

// halves reads a half-precision number at disp of every row, as float32.
func (p *packer) halves(disp int) reg.VecVirtual {
	v := p.vec
	z := v.reg()
	var x []reg.VecVirtual
	for range v.lanes / 8 {
		x = append(x, v.XMM())
	}
	v.zero(x...)
	for i := range 8 {
		for h := range x {
			v.VPINSRW(Imm(uint64(i)), p.rows.row(2*(h+p.upper)+i/4, i%4, disp), x[h], x[h])
		}
	}
	if v.lanes == 8 {
		v.VCVTPH2PS(x[0], z)
		return z
	}
	y := v.YMM()
	v.VINSERTI128(Imm(1), x[1], x[0].AsY(), y)
	v.VCVTPH2PS(y, z)
	return z
}

// lowHalves widens the half-precision numbers in the low words of the lanes.
func (v vec) lowHalves(from reg.VecVirtual) reg.VecVirtual {
	z := v.reg()
	if v.lanes == 16 {
		y := v.YMM()
		v.VPMOVDW(from, y)
		v.VCVTPH2PS(y, z)
		return z
	}
	v.VPAND(v.lanesOf(0xffff), from, z)
	v.VPACKUSDW(z, z, z)
	v.VPERMQ(Imm(0x08), z, z)
	v.VCVTPH2PS(z.AsX(), z)
	return z
}

// lanesOf is data of 32-bit lanes.
func (v vec) lanesOf(lane uint32) Op {
	return v.asm.bytes(each(64, func(i int) byte { return byte(lane >> (i % 4 * 8)) }))
}

// highHalves widens those in the high words.
func (v vec) highHalves(from reg.VecVirtual) reg.VecVirtual {
	t := v.reg()
	v.VPSRLD(Imm(16), from, t)
	return v.lowHalves(t)
}

// packer emits a packing function. A cell's tile is 512 bytes at q (k/4, row,
// k%4), its scales 16 float32 at d, its constants 16 float32 at m.
type packer struct {
	vec
	q, d, m, n reg.GPVirtual
	ahead      reg.GPVirtual // weights to ask for, and how far it walks in a turn
	step       reg.GPVirtual
	rows       rows16
	upper      int // which eight rows, with 256-bit registers
}

const packSignature = "q *byte, d, m *float32, w *byte, stride, n int, ahead *byte, step int"

// pack emits a function whose body packs 16 rows, or eight, of so many cells in
// so many bytes of a row.
// A cell has so many lines of scales.
func (v vec) pack(name string, cells, bytes, scales int, prepare func(p *packer) (body func())) {
	more := ""
	if cells > 1 {
		more = fmt.Sprintf("; n is a multiple of %d", cells)
	}
	v.function("pack"+name+v.isa, packSignature, "pack"+name+v.isa+" packs n cells of 16 rows into a tile"+more+".")
	p := &packer{vec: v, q: v.arg("q"), d: v.arg("d"), m: v.arg("m"), n: v.arg("n"), ahead: v.arg("ahead"), step: v.arg("step")}
	w, stride := v.arg("w"), v.arg("stride")
	p.rows = v.rows16(w, stride)
	if cells > 1 {
		v.SHRQ(Imm(uint64(math.Log2(float64(cells)))), p.n)
	}
	body := prepare(p)
	v.loop(p.n, func() {
		p.fetch(bytes, cells, tileLines)
		for p.upper = range 16 / v.lanes {
			body()
		}
		p.rows.advance(v.asm, bytes)
		v.ADDQ(imm(512*cells), p.q)
		v.ADDQ(imm(64*scales*cells), p.d)
		v.ADDQ(imm(64*scales*cells), p.m)
	})
	v.finish()
}

// tileLines is how many lines of memory a cell of 16 rows are asked for when the
// tile is multiplied; packing it asks for the others.
const tileLines = 4

// fetch asks for the weights ahead, but for so many lines of each cell.
func (p *packer) fetch(bytes, cells, but int) {
	each := 16 * bytes / cells
	for c := range cells {
		for line := 64 * but; line < each; line += 64 {
			p.PREFETCHT1(at(p.ahead, c*each+line))
		}
	}
	p.ADDQ(p.step, p.ahead)
}

// toQ is where lane 0 of word j (k/4) of a cell goes; toD and toM the same for
// line i of scales and constants.
func (p *packer) toQ(cell, j int) Mem { return at(p.q, 512*cell+64*j+32*p.upper) }
func (p *packer) toD(i int) Mem       { return at(p.d, 64*i+32*p.upper) }
func (p *packer) toM(i int) Mem       { return at(p.m, 64*i+32*p.upper) }

// nibble takes the low or high four bits of the bytes.
func (v vec) nibble(from reg.VecVirtual, high int, low4 Op) reg.VecVirtual {
	u := v.reg()
	if high == 1 {
		v.VPSRLW(Imm(4), from, u)
		v.and(low4, u, u)
	} else {
		v.and(low4, from, u)
	}
	return u
}

// filled is a register with all bytes equal.
func (a *asm) filled(b byte) reg.VecVirtual {
	z := a.ZMM()
	a.VPBROADCASTD(a.dwords(uint32(b)*0x01010101), z)
	return z
}

// constant is a register with a 64-byte constant.
func (a *asm) constant(b []byte) reg.VecVirtual {
	z := a.ZMM()
	a.VMOVDQU32(a.bytes(b), z)
	return z
}

// each is n bytes, byte i being f(i).
func each(n int, f func(i int) byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = f(i)
	}
	return b
}
