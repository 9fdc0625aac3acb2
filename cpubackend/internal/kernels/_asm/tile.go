package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Products of a tile of 16 weight rows with several activation rows.

// columnCounts are the numbers of activation rows there are functions for.
var columnCounts = []int{12, 8, 4, 2, 1}

func emitTile(a *asm) {
	for _, half := range []bool{false, true} {
		for _, constant := range []bool{false, true} {
			for _, n := range columnCounts {
				tileAVX512(a, tileKind{half, constant}, n)
			}
		}
	}
	for _, n := range columnCounts {
		tilePlainAVX512(a, n)
	}
}

// tileKind is which of the four forms of weights a function takes: scales over 16
// columns instead of 32, and a constant part.
type tileKind struct{ half, constant bool }

func (k tileKind) String() string {
	return map[bool]string{false: "32", true: "16"}[k.half] + map[bool]string{false: "", true: "M"}[k.constant]
}

// columns addresses the activation rows: three to a base register.
type columns struct {
	base   []reg.GPVirtual
	stride reg.GPVirtual
}

func (a *asm) columns(c, stride reg.GPVirtual, n int) columns {
	k := columns{base: []reg.GPVirtual{c}, stride: stride}
	if n > 3 {
		three := a.GP64()
		a.LEAQ(atIndex(stride, stride, 2, 0), three)
		for i := 3; i < n; i += 3 {
			b := a.GP64()
			a.LEAQ(atIndex(k.base[len(k.base)-1], three, 1, 0), b)
			k.base = append(k.base, b)
		}
	}
	return k
}

func (k columns) at(i, disp int) Mem {
	if i%3 == 0 {
		return at(k.base[i/3], disp)
	}
	return atIndex(k.base[i/3], k.stride, uint8(i%3), disp)
}

func (k columns) advance(a *asm, n int) {
	for _, b := range k.base {
		a.ADDQ(imm(n), b)
	}
}

// tileAVX512 keeps 16 rows x n columns of float32 sums in registers and as many
// integer sums for the cell at hand.
func tileAVX512(a *asm, kind tileKind, n int) {
	a.function(fmt.Sprintf("tile%vx%dAVX512", kind, n), "y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int",
		fmt.Sprintf("tile%vx%dAVX512 sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a tile.", kind, n, n))
	q, d, m, cells := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("cells")
	c := a.columns(a.arg("c"), a.arg("cstride"), n)
	f := a.zmms(n)
	a.zero(f...)
	a.loop(cells, func() {
		parts := 1
		if kind.half {
			parts = 2
		}
		for part := range parts {
			s := a.zmms(n)
			for i := range s {
				switch {
				case kind.constant:
					a.zero(s[i])
				case kind.half:
					a.VPBROADCASTD(c.at(i, cellC2+4*part), s[i])
				default:
					a.VPBROADCASTD(c.at(i, cellC), s[i])
				}
			}
			for j := 8 / parts * part; j < 8/parts*(part+1); j++ {
				w := a.ZMM()
				a.VMOVDQU32(at(q, 64*j), w)
				for i := range s {
					a.dpBroadcast(c.at(i, cellQ+4*j), w, s[i])
				}
			}
			scale, constant := a.ZMM(), a.ZMM()
			a.VMOVUPS(at(d, 64*part), scale)
			if kind.constant {
				a.VMOVUPS(at(m, 64*part), constant)
			}
			for i := range s {
				t := a.ZMM()
				a.VCVTDQ2PS(s[i], s[i])
				a.VMULPS_BCST(c.at(i, cellD), scale, t)
				a.VFMADD231PS(s[i], t, f[i])
				switch {
				case kind.constant && kind.half:
					a.VFMADD231PS_BCST(c.at(i, cellM2+4*part), constant, f[i])
				case kind.constant:
					a.VFMADD231PS_BCST(c.at(i, cellM), constant, f[i])
				}
			}
		}
		a.ADDQ(imm(512), q)
		a.ADDQ(imm(64*parts), d)
		if kind.constant {
			a.ADDQ(imm(64*parts), m)
		}
		c.advance(a, 64)
	})
	a.storeColumns(f)
}

// storeColumns ends a tile function: the sums go to y, added if asked.
func (a *asm) storeColumns(f []reg.VecVirtual) {
	y, stride, add := a.arg("y"), a.arg("stride"), a.arg("add")
	a.SHLQ(Imm(2), stride)
	store := a.label("store")
	a.TESTQ(add, add)
	a.JZ(LabelRef(store))
	p := a.GP64()
	a.MOVQ(y, p)
	for i := range f {
		a.VADDPS(at(p, 0), f[i], f[i])
		if i+1 < len(f) {
			a.ADDQ(stride, p)
		}
	}
	a.Label(store)
	for i := range f {
		a.VMOVUPS(f[i], at(y, 0))
		if i+1 < len(f) {
			a.ADDQ(stride, y)
		}
	}
	a.finish()
}

// tilePlainAVX512 is the same for float32 tiles: 16 weights, one of each row, for
// every column k.
func tilePlainAVX512(a *asm, n int) {
	a.function(fmt.Sprintf("tilePlainx%dAVX512", n), "y *float32, stride int, w *float32, x *float32, xstride, k, add int",
		fmt.Sprintf("tilePlainx%dAVX512 sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a float32 tile.", n, n))
	w, k := a.arg("w"), a.arg("k")
	c := a.columns(a.arg("x"), a.arg("xstride"), n)
	f := a.zmms(n)
	a.zero(f...)
	a.loop(k, func() {
		v := a.ZMM()
		a.VMOVUPS(at(w, 0), v)
		for i := range f {
			a.VFMADD231PS_BCST(c.at(i, 0), v, f[i])
		}
		a.ADDQ(imm(64), w)
		c.advance(a, 4)
	})
	a.storeColumns(f)
}
