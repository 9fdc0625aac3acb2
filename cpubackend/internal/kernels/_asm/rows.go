package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Sixteen weight rows at a time, for tiles (AVX-512).

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
// r of result j is bytes 4j..4j+3 of row r.
func (a *asm) column16(r *rows16, disp int) (t [4]reg.VecVirtual) {
	var m [4]reg.VecVirtual
	for i := range m {
		m[i] = a.ZMM()
		a.lowX(r.row(0, i, disp), m[i])
		for l := 1; l < 4; l++ {
			a.VINSERTI32X4(Imm(uint64(l)), r.row(l, i, disp), m[i], m[i])
		}
	}
	return a.transpose4(m)
}

// transpose4 transposes the 4x4 blocks of 32 bits in each 128-bit lane.
func (a *asm) transpose4(m [4]reg.VecVirtual) (t [4]reg.VecVirtual) {
	u0, u1, u2, u3 := a.ZMM(), a.ZMM(), a.ZMM(), a.ZMM()
	a.VPUNPCKLDQ(m[1], m[0], u0)
	a.VPUNPCKHDQ(m[1], m[0], u1)
	a.VPUNPCKLDQ(m[3], m[2], u2)
	a.VPUNPCKHDQ(m[3], m[2], u3)
	for j := range t {
		t[j] = a.ZMM()
	}
	a.VPUNPCKLQDQ(u2, u0, t[0])
	a.VPUNPCKHQDQ(u2, u0, t[1])
	a.VPUNPCKLQDQ(u3, u1, t[2])
	a.VPUNPCKHQDQ(u3, u1, t[3])
	return t
}

// halves16 reads a half-precision number at disp of every row, as float32.
func (a *asm) halves16(r *rows16, disp int) reg.VecVirtual {
	x, z := [2]reg.VecVirtual{a.XMM(), a.XMM()}, a.ZMM()
	for h := range x {
		a.zero(x[h])
	}
	for i := range 8 {
		for h := range x {
			a.VPINSRW(Imm(uint64(i)), r.row(2*h+i/4, i%4, disp), x[h], x[h])
		}
	}
	y := a.YMM()
	a.VINSERTI128(Imm(1), x[1], x[0].AsY(), y)
	a.VCVTPH2PS(y, z)
	return z
}

// lowHalves widens the half-precision numbers in the low words of 16 lanes.
func (a *asm) lowHalves(v reg.VecVirtual) reg.VecVirtual {
	y, z := a.YMM(), a.ZMM()
	a.VPMOVDW(v, y)
	a.VCVTPH2PS(y, z)
	return z
}

// highHalves widens those in the high words.
func (a *asm) highHalves(v reg.VecVirtual) reg.VecVirtual {
	t := a.ZMM()
	a.VPSRLD(Imm(16), v, t)
	return a.lowHalves(t)
}

// packArgs loads what every packing function is given. A cell's tile is 512
// bytes at q (k/4, row, k%4), its scales 16 float32 at d, its constants 16
// float32 at m.
type packArgs struct {
	q, d, m, n reg.GPVirtual
	rows       rows16
}

const packSignature = "q *byte, d, m *float32, w *byte, stride, n int"

func (a *asm) pack(name, doc string) packArgs {
	a.function(name, packSignature, doc)
	p := packArgs{q: a.arg("q"), d: a.arg("d"), m: a.arg("m"), n: a.arg("n")}
	w, stride := a.arg("w"), a.arg("stride")
	p.rows = a.rows16(w, stride)
	return p
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
