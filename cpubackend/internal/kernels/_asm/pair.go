package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/reg"
)

// Products of two tiles, 32 weight rows, with several activation rows. An operand
// from memory costs as much as the product itself, so what counts is how often each
// is used once it is in a register: here an activation twice, and weights as often
// as there are columns.

// pairColumns are the numbers of activation rows there are functions for: of the
// 32 registers, 24 hold the sums of six.
var pairColumns = []int{6, 5, 4, 3, 2, 1}

func emitPair(a *asm) {
	for _, half := range []bool{false, true} {
		for _, constant := range []bool{false, true} {
			for _, n := range pairColumns {
				pairAVX512(a, tileKind{half, constant}, n)
			}
		}
	}
}

// pairAVX512 keeps 32 rows x n columns of float32 sums in registers and as many
// integer sums for the cell at hand.
func pairAVX512(a *asm, kind tileKind, n int) {
	name := fmt.Sprintf("pair%vx%dAVX512", kind, n)
	a.function(name, "y *float32, stride int, q *byte, next int, d, m *float32, nextScales int, c *byte, cstride, cells, add int",
		fmt.Sprintf("%s sets y[i*stride+row], or adds to it, for %d activation rows and the 32 rows of two tiles; next and nextScales are the bytes from one tile to the other.", name, n))
	p := &pair{asm: a, kind: kind, parts: 1, q: a.arg("q"), next: a.arg("next"), d: a.arg("d"), nextScales: a.arg("nextScales")}
	if kind.constant {
		p.m = a.arg("m")
	}
	if kind.half {
		p.parts = 2
	}
	cells := a.arg("cells")
	p.c = a.columns(a.arg("c"), a.arg("cstride"), n)
	p.f = [2][]reg.VecVirtual{a.zmms(n), a.zmms(n)}
	a.zero(p.f[0]...)
	a.zero(p.f[1]...)
	a.loop(cells, func() {
		for part := range p.parts {
			s := p.sums(part, n)
			p.scale(part, s)
		}
		a.ADDQ(imm(512), p.q)
		a.ADDQ(imm(64*p.parts), p.d)
		if kind.constant {
			a.ADDQ(imm(64*p.parts), p.m)
		}
		p.c.advance(a, 64)
	})
	a.storeColumns(p.f[0], 0)
	a.storeColumns(p.f[1], 64)
	a.finish()
}

// pair is one such function.
type pair struct {
	*asm
	kind             tileKind
	parts            int // of a cell with scales of their own
	q, next          reg.GPVirtual
	d, m, nextScales reg.GPVirtual
	c                columns
	f                [2][]reg.VecVirtual // by tile and column
}

// sums are the integer sums of a part of a cell.
func (p *pair) sums(part, n int) (s [2][]reg.VecVirtual) {
	s[0], s[1] = p.zmms(n), p.zmms(n)
	for i := range n {
		switch {
		case p.kind.constant:
			p.zero(s[0][i], s[1][i])
			continue
		case p.kind.half:
			p.VPBROADCASTD(p.c.at(i, cellC2+4*part), s[0][i])
		default:
			p.VPBROADCASTD(p.c.at(i, cellC), s[0][i])
		}
		p.VMOVDQA32(s[0][i], s[1][i])
	}
	for j := 8 / p.parts * part; j < 8/p.parts*(part+1); j++ {
		w := p.zmms(2)
		p.VMOVDQU32(at(p.q, 64*j), w[0])
		p.VMOVDQU32(atIndex(p.q, p.next, 1, 64*j), w[1])
		for i := range n {
			x := p.ZMM()
			p.VPBROADCASTD(p.c.at(i, cellQ+4*j), x)
			p.dp(x, w[0], s[0][i])
			p.dp(x, w[1], s[1][i])
		}
	}
	return s
}

// scale adds the sums of a part, scaled, and the constant part to those of the row.
func (p *pair) scale(part int, s [2][]reg.VecVirtual) {
	for h := range s {
		scale, t := p.ZMM(), p.ZMM()
		if h == 0 {
			p.VMOVUPS(at(p.d, 64*part), scale)
		} else {
			p.VMOVUPS(atIndex(p.d, p.nextScales, 1, 64*part), scale)
		}
		for i, sum := range s[h] {
			p.VCVTDQ2PS(sum, sum)
			p.VMULPS_BCST(p.c.at(i, cellD), scale, t)
			p.VFMADD231PS(sum, t, p.f[h][i])
		}
		if !p.kind.constant {
			continue
		}
		if h == 0 {
			p.VMOVUPS(at(p.m, 64*part), scale)
		} else {
			p.VMOVUPS(atIndex(p.m, p.nextScales, 1, 64*part), scale)
		}
		for i := range s[h] {
			from := cellM
			if p.kind.half {
				from = cellM2 + 4*part
			}
			p.VFMADD231PS_BCST(p.c.at(i, from), scale, p.f[h][i])
		}
	}
}
