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
	a.dots(func(d dot256) {
		for _, half := range []bool{false, true} {
			for _, constant := range []bool{false, true} {
				if d.vnni {
					for _, n := range columnCountsVNNI {
						tileVNNI(d, tileKind{half, constant}, n)
					}
					continue
				}
				for _, n := range columnCounts256 {
					tile256(d, tileKind{half, constant}, n)
				}
			}
		}
	})
	for _, n := range columnCounts {
		tilePlain(vec{a, 16, "AVX512"}, n)
	}
	for _, n := range columnCounts256 {
		tilePlain(vec{a, 8, "AVX2"}, n)
	}
}

// columnCounts256 are those with 256-bit registers, of which there are fewer.
var columnCounts256 = []int{4, 2, 1}

// columnCountsVNNI are those where all 16 rows are done at once: of 16 registers, 12
// hold the sums of three.
var columnCountsVNNI = []int{3, 2, 1}

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
	a.function(fmt.Sprintf("tile%vx%dAVX512", kind, n), "y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int, ahead *byte, step int",
		fmt.Sprintf("tile%vx%dAVX512 sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a tile.", kind, n, n))
	a.fetchColumns(n)
	q, d, m, cells := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("cells")
	c := a.columns(a.arg("c"), a.arg("cstride"), n)
	f := a.zmms(n)
	a.zero(f...)
	fetch := a.tileFetch(n)
	a.loop(cells, func() {
		fetch()
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
	a.storeColumns(f, 0)
	a.finish()
}

// tileVNNI multiplies all 16 rows at once, so that an activation in a register is used
// twice.
func tileVNNI(d dot256, kind tileKind, n int) {
	a := d.asm
	a.function(fmt.Sprintf("tile%vx%d%s", kind, n, d.isa), "y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int, ahead *byte, step int",
		fmt.Sprintf("tile%vx%d%s sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a tile.", kind, n, d.isa, n))
	q, scales, constants, cells := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("cells")
	c := a.columns(a.arg("c"), a.arg("cstride"), n)
	f := [2][]reg.VecVirtual{d.ymms(n), d.ymms(n)}
	a.zero(f[0]...)
	a.zero(f[1]...)
	fetch := a.tileFetch(n)
	parts := 1
	if kind.half {
		parts = 2
	}
	a.loop(cells, func() {
		fetch()
		for part := range parts {
			s := d.bothSums(kind, part, parts, q, c, n)
			for h := range s {
				scale, t := a.YMM(), a.YMM()
				a.VMOVUPS(at(scales, 64*part+32*h), scale)
				for i := range s[h] {
					a.VCVTDQ2PS(s[h][i], s[h][i])
					a.VBROADCASTSS(c.at(i, cellD), t)
					a.VMULPS(scale, t, t)
					a.VFMADD231PS(s[h][i], t, f[h][i])
				}
				if !kind.constant {
					continue
				}
				a.VMOVUPS(at(constants, 64*part+32*h), scale)
				from := cellM
				if kind.half {
					from = cellM2 + 4*part
				}
				for i := range f[h] {
					a.VBROADCASTSS(c.at(i, from), t)
					a.VFMADD231PS(scale, t, f[h][i])
				}
			}
		}
		a.ADDQ(imm(512), q)
		a.ADDQ(imm(64*parts), scales)
		if kind.constant {
			a.ADDQ(imm(64*parts), constants)
		}
		c.advance(a, 64)
	})
	a.storeColumns(f[0], 0)
	a.storeColumns(f[1], 32)
	a.finish()
}

// bothSums are the integer sums of a cell, or of half of one, of the lower and of the
// upper eight rows.
func (d dot256) bothSums(kind tileKind, part, parts int, q reg.GPVirtual, c columns, n int) (s [2][]reg.VecVirtual) {
	s[0], s[1] = d.ymms(n), d.ymms(n)
	for i := range n {
		switch {
		case kind.constant:
			d.zero(s[0][i], s[1][i])
			continue
		case kind.half:
			d.VPBROADCASTD(c.at(i, cellC2+4*part), s[0][i])
		default:
			d.VPBROADCASTD(c.at(i, cellC), s[0][i])
		}
		d.VMOVDQA(s[0][i], s[1][i])
	}
	for j := 8 / parts * part; j < 8/parts*(part+1); j++ {
		w := d.ymms(2)
		d.VMOVDQU(at(q, 64*j), w[0])
		d.VMOVDQU(at(q, 64*j+32), w[1])
		for i := range n {
			x := d.YMM()
			d.VPBROADCASTD(c.at(i, cellQ+4*j), x)
			d.unsigned(x, w[0], s[0][i])
			d.unsigned(x, w[1], s[1][i])
		}
	}
	return s
}

// tile256 does the two halves of the 16 rows one after the other, without VNNI.
func tile256(d dot256, kind tileKind, n int) {
	a := d.asm
	a.function(fmt.Sprintf("tile%vx%d%s", kind, n, d.isa), "y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int, ahead *byte, step int",
		fmt.Sprintf("tile%vx%d%s sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a tile.", kind, n, d.isa, n))
	for upper := range 2 {
		q, scales, constants, cells := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("cells")
		c := a.columns(a.arg("c"), a.arg("cstride"), n)
		f := d.ymms(n)
		a.zero(f...)
		fetch := func() {}
		if upper == 1 {
			fetch = a.tileFetch(n)
		}
		a.loop(cells, func() {
			fetch()
			parts := 1
			if kind.half {
				parts = 2
			}
			for part := range parts {
				s := d.tileSums(kind, part, parts, upper, q, c, n)
				scale, t := a.YMM(), a.YMM()
				a.VMOVUPS(at(scales, 64*part+32*upper), scale)
				for i := range s {
					a.VCVTDQ2PS(s[i], s[i])
					a.VBROADCASTSS(c.at(i, cellD), t)
					a.VMULPS(scale, t, t)
					a.VFMADD231PS(s[i], t, f[i])
				}
				if kind.constant {
					a.VMOVUPS(at(constants, 64*part+32*upper), scale)
					from := cellM
					if kind.half {
						from = cellM2 + 4*part
					}
					for i := range s {
						a.VBROADCASTSS(c.at(i, from), t)
						a.VFMADD231PS(scale, t, f[i])
					}
				}
			}
			a.ADDQ(imm(512), q)
			a.ADDQ(imm(64*parts), scales)
			if kind.constant {
				a.ADDQ(imm(64*parts), constants)
			}
			c.advance(a, 64)
		})
		a.storeColumns(f, 32*upper)
	}
	a.finish()
}

// tileSums are the integer sums of a cell, or of half of one. Weights are bytes
// plus 128 without a constant part, and at most 31 with one.
func (d dot256) tileSums(kind tileKind, part, parts, upper int, q reg.GPVirtual, c columns, n int) []reg.VecVirtual {
	s := d.ymms(n)
	d.zero(s...)
	for j := 8 / parts * part; j < 8/parts*(part+1); j++ {
		w := d.YMM()
		d.VMOVDQU(at(q, 64*j+32*upper), w)
		if kind.constant {
			for i := range s {
				x := d.YMM()
				d.VPBROADCASTD(c.at(i, cellQ+4*j), x)
				d.unsigned(x, w, s[i])
			}
			continue
		}
		size := d.YMM()
		d.VPXOR(d.asm.bytes(repeat(0x80, 64)), w, w)
		d.VPABSB(w, size)
		for i := range s {
			x := d.YMM()
			d.VPBROADCASTD(c.at(i, cellQ+4*j), x)
			d.VPSIGNB(w, x, x)
			d.VPMADDUBSW(x, size, x)
			d.VPMADDWD(d.ones16(), x, x)
			d.VPADDD(x, s[i], s[i])
		}
	}
	return s
}

// tileFetch returns what asks for weights ahead in every turn, where activation
// rows are so few that memory is waited for.
func (a *asm) tileFetch(n int) func() {
	if n > 8 {
		return func() {}
	}
	ahead, step := a.arg("ahead"), a.arg("step")
	return func() {
		for line := range tileLines {
			a.PREFETCHT1(at(ahead, 64*line))
		}
		a.ADDQ(step, ahead)
	}
}

// fetchColumns asks for the results' lines, which will be read or written when
// the sums are done.
func (a *asm) fetchColumns(n int) {
	y, stride := a.arg("y"), a.arg("stride")
	a.SHLQ(Imm(2), stride)
	for i := range n {
		a.PREFETCHT0(at(y, 0))
		if i+1 < n {
			a.ADDQ(stride, y)
		}
	}
}

// storeColumns moves the sums to y, at an offset, adding if asked.
func (a *asm) storeColumns(f []reg.VecVirtual, disp int) {
	y, stride, add := a.arg("y"), a.arg("stride"), a.arg("add")
	a.SHLQ(Imm(2), stride)
	store := a.label("store")
	a.TESTQ(add, add)
	a.JZ(LabelRef(store))
	p := a.GP64()
	a.MOVQ(y, p)
	for i := range f {
		a.VADDPS(at(p, disp), f[i], f[i])
		if i+1 < len(f) {
			a.ADDQ(stride, p)
		}
	}
	a.Label(store)
	for i := range f {
		a.VMOVUPS(f[i], at(y, disp))
		if i+1 < len(f) {
			a.ADDQ(stride, y)
		}
	}
}

// tilePlain is the same for float32 tiles: 16 weights, one of each row, for every
// column k.
func tilePlain(v vec, n int) {
	v.function(fmt.Sprintf("tilePlainx%d%s", n, v.isa), "y *float32, stride int, w *float32, x *float32, xstride, k, add int",
		fmt.Sprintf("tilePlainx%d%s sets y[i*stride+row], or adds to it, for %d activation rows and the 16 rows of a float32 tile.", n, v.isa, n))
	w, k := v.arg("w"), v.arg("k")
	c := v.columns(v.arg("x"), v.arg("xstride"), n)
	halves := 16 / v.lanes
	f := v.regs(n * halves)
	v.zero(f...)
	v.loop(k, func() {
		r := v.regs(halves)
		for h := range r {
			v.VMOVUPS(at(w, 32*h), r[h])
		}
		for i := range n {
			if v.lanes == 16 {
				v.VFMADD231PS_BCST(c.at(i, 0), r[0], f[i])
				continue
			}
			x := v.reg()
			v.VBROADCASTSS(c.at(i, 0), x)
			for h := range r {
				v.VFMADD231PS(x, r[h], f[h*n+i])
			}
		}
		v.ADDQ(imm(64), w)
		c.advance(v.asm, 4)
	})
	for h := range halves {
		v.storeColumns(f[h*n:(h+1)*n], 32*h)
	}
	v.finish()
}
