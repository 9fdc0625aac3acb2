package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Repacked matrices (repack.go): panels of 16 rows, in each the scales of all
// cells and then, at a multiple of 64 bytes, their codes in the order of a tile.
// Unpacking a cell to registers takes loads, shifts and masks.

// panelFormat says how the cells of a format are kept.
type panelFormat struct {
	name              string
	kind              tileKind
	lowBits, highBits int // bits of a code in the first plane and in the second
	zeroCode          int // the code that means weight 0, without a constant part
	values            *[16]int8
	scales            panelScales
}

// panelScales is the form of a panel's scales.
type panelScales int

const (
	scaleHalf         panelScales = iota // a half-precision scale a row and cell
	scaleHalves                          // scale and constant
	scaleExponent                        // a byte, half of 2^(e-127)
	scaleSuperMin                        // 8 cells: d and dmin; scale and minimum a byte each
	scaleSuper16                         // 8 cells: d; two signed bytes, for 16 columns each
	scaleSuper32                         // 8 cells: d; a signed byte
	scaleSuperNibbles                    // 8 cells: d and dmin; two bytes of scale and minimum
)

var panelFormats = []panelFormat{
	{name: "Q4_0", lowBits: 4, zeroCode: 8},
	{name: "Q4_1", lowBits: 4, kind: tileKind{constant: true}, scales: scaleHalves},
	{name: "Q5_0", lowBits: 4, highBits: 1, zeroCode: 16},
	{name: "Q5_1", lowBits: 4, highBits: 1, kind: tileKind{constant: true}, scales: scaleHalves},
	{name: "Q8_0", lowBits: 8, zeroCode: 128},
	{name: "Q4K", lowBits: 4, kind: tileKind{constant: true}, scales: scaleSuperMin},
	{name: "Q5K", lowBits: 4, highBits: 1, kind: tileKind{constant: true}, scales: scaleSuperMin},
	{name: "Q6K", lowBits: 4, highBits: 2, zeroCode: 32, kind: tileKind{half: true}, scales: scaleSuper16},
	{name: "Q2K", lowBits: 2, kind: tileKind{half: true, constant: true}, scales: scaleSuperNibbles},
	{name: "Q3K", lowBits: 2, highBits: 1, zeroCode: 4, kind: tileKind{half: true}, scales: scaleSuper16},
	{name: "IQ4NL", lowBits: 4, values: iq4NL.values},
	{name: "IQ4XS", lowBits: 4, values: iq4NL.values, scales: scaleSuper32},
	{name: "MXFP4", lowBits: 4, values: mxfp4.values, scales: scaleExponent},
}

// panelColumnCounts are the numbers of activation rows there are functions for.
var panelColumnCounts = []int{8, 4, 2, 1}

func emitPanel(a *asm) {
	for _, f := range panelFormats {
		for _, n := range panelColumnCounts {
			f.mul(a, n)
		}
		f.unpack(a)
	}
	for _, s := range [][2]int{{8, 0}, {4, 0}, {4, 1}, {4, 2}, {2, 0}, {2, 1}} {
		narrow(a, s[0], s[1])
	}
}

// super says that scales come in blocks of 8 cells with a head of their own.
func (f panelFormat) super() bool { return f.scales >= scaleSuperMin }

// headBytes are those before the scales of a block's cells, cellScales those of a
// cell.
func (f panelFormat) headBytes() int {
	switch f.scales {
	case scaleSuperMin, scaleSuperNibbles:
		return 64
	case scaleSuper16, scaleSuper32:
		return 32
	}
	return 0
}

func (f panelFormat) cellScales() int {
	switch f.scales {
	case scaleHalves:
		return 64
	case scaleExponent, scaleSuper32:
		return 16
	}
	return 32
}

func (f panelFormat) codeBytes() int { return 64 * (f.lowBits + f.highBits) }

func (f panelFormat) parts() int {
	if f.kind.half {
		return 2
	}
	return 1
}

// panelReader walks a panel.
type panelReader struct {
	panelFormat
	*asm
	scalesAt, codesAt         reg.GPVirtual
	lowMask, highMask, biased reg.VecVirtual // constants
	d, dmin                   reg.VecVirtual // of the super-block at hand
	lowPlane, highPlane       reg.VecVirtual // of the codes at hand
}

func (f panelFormat) reader(a *asm) *panelReader {
	r := &panelReader{panelFormat: f, asm: a}
	if f.lowBits < 8 {
		r.lowMask = a.filled(1<<f.lowBits - 1)
	}
	if f.highBits > 0 {
		r.highMask = a.filled((1<<f.highBits - 1) << f.lowBits)
	}
	if f.values != nil {
		r.biased = a.constant(nibbles{values: f.values}.biasedTable())
	}
	return r
}

// head reads what a block's cells have in common.
func (r *panelReader) head() {
	if !r.super() {
		return
	}
	r.d = r.halves(0)
	if r.headBytes() == 64 {
		r.dmin = r.halves(32)
		r.VXORPS_BCST(r.dwords(0x80000000), r.dmin, r.dmin)
	}
	r.ADDQ(imm(r.headBytes()), r.scalesAt)
}

func (r *panelReader) halves(disp int) reg.VecVirtual {
	x := r.ZMM()
	r.VCVTPH2PS(at(r.scalesAt, disp), x)
	return x
}

// bytesAt are 16 bytes as float32s.
func (r *panelReader) bytesAt(disp int, signed bool) reg.VecVirtual {
	x := r.ZMM()
	if signed {
		r.VPMOVSXBD(at(r.scalesAt, disp), x)
	} else {
		r.VPMOVZXBD(at(r.scalesAt, disp), x)
	}
	r.VCVTDQ2PS(x, x)
	return x
}

// scale returns scale and constant of a part of a cell; the latter is nil where
// there is none.
func (r *panelReader) scale(part int) (d, m reg.VecVirtual) {
	switch r.scales {
	case scaleHalf:
		return r.halves(0), nil
	case scaleHalves:
		return r.halves(0), r.halves(32)
	case scaleExponent:
		x := r.ZMM()
		r.VPMOVZXBD(at(r.scalesAt, 0), x)
		vec{r.asm, 16, ""}.exponents(x)
		r.VMULPS_BCST(r.dwords(bitsHalf), x, x)
		return x, nil
	case scaleSuperMin:
		d, m = r.bytesAt(0, false), r.bytesAt(16, false)
		r.VMULPS(r.d, d, d)
		r.VMULPS(r.dmin, m, m)
		return d, m
	case scaleSuperNibbles:
		both, four := r.ZMM(), r.dwords(15)
		d, m = r.ZMM(), r.ZMM()
		r.VPMOVZXBD(at(r.scalesAt, 16*part), both)
		r.VPANDD_BCST(four, both, d)
		r.VPSRLD(Imm(4), both, m)
		r.VCVTDQ2PS(d, d)
		r.VCVTDQ2PS(m, m)
		r.VMULPS(r.d, d, d)
		r.VMULPS(r.dmin, m, m)
		return d, m
	}
	d = r.bytesAt(16*part, true)
	r.VMULPS(r.d, d, d)
	return d, nil
}

// code returns codes j of a cell: four columns of each row. They are asked for in
// their order.
func (r *panelReader) code(j int) reg.VecVirtual {
	u := r.ZMM()
	switch r.lowBits {
	case 8:
		r.VMOVDQU32(at(r.codesAt, 64*j), u)
		return u
	case 4:
		if j%2 == 0 {
			r.lowPlane = r.ZMM()
			r.VMOVDQU32(at(r.codesAt, 32*j), r.lowPlane)
			r.VPANDD(r.lowMask, r.lowPlane, u)
		} else {
			r.VPSRLW(Imm(4), r.lowPlane, u)
			r.VPANDD(r.lowMask, u, u)
		}
	case 2:
		if j%4 == 0 {
			r.lowPlane = r.ZMM()
			r.VMOVDQU32(at(r.codesAt, 16*j), r.lowPlane)
			r.VPANDD(r.lowMask, r.lowPlane, u)
		} else {
			r.VPSRLW(Imm(uint64(2*(j%4))), r.lowPlane, u)
			r.VPANDD(r.lowMask, u, u)
		}
	}
	r.upper(j, u)
	if r.values != nil {
		r.VPSHUFB(u, r.biased, u)
	}
	return u
}

// upper adds the bits of the second plane: register i of it holds those of codes
// 8/high*i and on, the first at the lowest bits.
func (r *panelReader) upper(j int, u reg.VecVirtual) {
	if r.highBits == 0 {
		return
	}
	per := 8 / r.highBits
	if j%per == 0 {
		r.highPlane = r.ZMM()
		r.VMOVDQU32(at(r.codesAt, 64*(r.lowBits+j/per)), r.highPlane)
	}
	plane, shift := r.highPlane, r.lowBits-r.highBits*(j%per)
	x := plane
	if shift > 0 {
		x = r.ZMM()
		r.VPSLLW(Imm(uint64(shift)), plane, x)
	} else if shift < 0 {
		x = r.ZMM()
		r.VPSRLW(Imm(uint64(-shift)), plane, x)
	}
	// u | x & mask
	r.VPTERNLOGD(Imm(0xf8), r.highMask, x, u)
}

// next goes to the next cell.
func (r *panelReader) next() {
	r.ADDQ(imm(r.cellScales()), r.scalesAt)
	r.ADDQ(imm(r.codeBytes()), r.codesAt)
}

// eachCell runs body for so many cells.
func (r *panelReader) eachCell(cells reg.GPVirtual, body func()) {
	if !r.super() {
		r.loop(cells, func() {
			body()
			r.next()
		})
		return
	}
	r.SHRQ(Imm(3), cells)
	r.loop(cells, func() {
		r.head()
		eight := r.GP64()
		r.MOVQ(U32(8), eight)
		r.loop(eight, func() {
			body()
			r.next()
		})
	})
}

// panelDistance is how many bytes ahead memory is asked for.
const panelDistance = 8192

// mul emits the product of panels with n activation rows.
func (f panelFormat) mul(a *asm, n int) {
	name := fmt.Sprintf("mul%sx%dAVX512", f.name, n)
	a.function(name, "y *float32, stride int, w *byte, codes, size, panels int, c *byte, cstride, cells int",
		fmt.Sprintf("%s sets y[i*stride+row] for %d activation rows and the rows of panels of size bytes.", name, n))
	r := f.reader(a)
	w, panels, y := a.arg("w"), a.arg("panels"), a.arg("y")
	a.loop(panels, func() {
		r.begin(w)
		ahead := a.GP64()
		a.LEAQ(at(w, panelDistance), ahead)
		cells := a.arg("cells")
		c := a.columns(a.arg("c"), a.arg("cstride"), n)
		sums := a.zmms(n)
		a.zero(sums...)
		r.eachCell(cells, func() {
			r.fetch(ahead)
			for part := range f.parts() {
				r.mulPart(part, c, sums)
			}
			c.advance(a, 64)
		})
		a.storePanel(sums, y)
		a.ADDQ(imm(64), y)
		size := a.arg("size")
		a.ADDQ(size, w)
	})
	a.finish()
}

// begin goes to the beginning of a panel.
func (r *panelReader) begin(w reg.GPVirtual) {
	r.scalesAt, r.codesAt = r.GP64(), r.arg("codes")
	r.MOVQ(w, r.scalesAt)
	r.ADDQ(w, r.codesAt)
}

// fetch asks for a cell's worth of memory ahead.
func (r *panelReader) fetch(ahead reg.GPVirtual) {
	size := r.codeBytes() + r.cellScales() + r.headBytes()/8
	for line := 0; line < size; line += 64 {
		r.PREFETCHT0(at(ahead, line))
	}
	r.ADDQ(imm(size), ahead)
}

// mulPart adds the products of a part of a cell to the sums.
func (r *panelReader) mulPart(part int, c columns, sums []reg.VecVirtual) {
	s := r.zmms(len(sums))
	shift := 0
	for z := r.zeroCode; z > 0 && z < 128; z *= 2 {
		shift++
	}
	for i := range s {
		if r.kind.constant {
			r.zero(s[i])
			continue
		}
		from := cellC
		if r.kind.half {
			from = cellC2 + 4*part
		}
		r.VPBROADCASTD(c.at(i, from), s[i])
		if shift > 0 {
			r.VPSRAD(Imm(uint64(shift)), s[i], s[i])
		}
	}
	for j := 8 / r.parts() * part; j < 8/r.parts()*(part+1); j++ {
		u := r.code(j)
		for i := range s {
			r.dpBroadcast(c.at(i, cellQ+4*j), u, s[i])
		}
	}
	d, m := r.scale(part)
	for i := range s {
		t := r.ZMM()
		r.VCVTDQ2PS(s[i], s[i])
		r.VMULPS_BCST(c.at(i, cellD), d, t)
		r.VFMADD231PS(s[i], t, sums[i])
		if m == nil {
			continue
		}
		from := cellM
		if r.kind.half {
			from = cellM2 + 4*part
		}
		r.VFMADD231PS_BCST(c.at(i, from), m, sums[i])
	}
}

// storePanel writes the sums of a panel.
func (a *asm) storePanel(sums []reg.VecVirtual, y reg.GPVirtual) {
	p, stride := a.GP64(), a.arg("stride")
	a.MOVQ(y, p)
	for i := range sums {
		a.VMOVUPS(sums[i], at(p, 0))
		if i+1 < len(sums) {
			a.LEAQ(atIndex(p, stride, 4, 0), p)
		}
	}
}

// unpack emits what makes a tile of a panel's cells. Where codes are bytes anyway
// they are multiplied where they lie, and only scales are made.
func (f panelFormat) unpack(a *asm) {
	name := "unpack" + f.name + "AVX512"
	a.function(name, "q *byte, d, m *float32, scales, codes *byte, cells, ahead int", name+" makes a tile of cells of a panel. Memory ahead bytes after the codes is asked for.")
	r := f.reader(a)
	r.scalesAt, r.codesAt = a.arg("scales"), a.arg("codes")
	q, d, m, cells, ahead := a.arg("q"), a.arg("d"), a.arg("m"), a.arg("cells"), a.arg("ahead")
	var bias reg.VecVirtual
	if f.values == nil && !f.kind.constant && f.zeroCode < 128 {
		bias = a.filled(byte(128 - f.zeroCode))
	}
	r.eachCell(cells, func() {
		for line := 0; line < f.codeBytes(); line += 64 {
			a.PREFETCHT1(atIndex(r.codesAt, ahead, 1, line))
		}
		for part := range f.parts() {
			x, y := r.scale(part)
			a.VMOVUPS(x, at(d, 64*part))
			if y != nil {
				a.VMOVUPS(y, at(m, 64*part))
			}
		}
		for j := 0; j < 8 && f.lowBits < 8; j++ {
			u := r.code(j)
			if bias != nil {
				a.VPADDB(bias, u, u)
			}
			a.VMOVDQU32(u, at(q, 64*j))
		}
		a.ADDQ(imm(512), q)
		a.ADDQ(imm(64*f.parts()), d)
		a.ADDQ(imm(64*f.parts()), m)
	})
	a.finish()
}

// narrow emits what turns the bytes of a tile, less minus, into planes of codes.
func narrow(a *asm, low, high int) {
	name := fmt.Sprintf("narrow%d_%dAVX512", low, high)
	a.function(name, "dst, q *byte, cells int, minus int",
		fmt.Sprintf("%s makes planes of %d and %d bits of a tile's bytes less minus.", name, low, high))
	dst, q, cells, minus := a.arg("dst"), a.arg("q"), a.arg("cells"), a.arg("minus")
	sub, mask := a.ZMM(), a.filled(byte(1<<low-1))
	var top reg.VecVirtual
	if high > 0 {
		top = a.filled(1<<high - 1)
	}
	a.VPBROADCASTB(minus.As32(), sub)
	a.loop(cells, func() {
		plane, upper := a.zmms(low), a.zmms(high)
		for j := range 8 {
			u, x := a.ZMM(), a.ZMM()
			a.VMOVDQU32(at(q, 64*j), u)
			a.VPSUBB(sub, u, u)
			a.merge(plane, j, low, mask, u, x)
			if high > 0 {
				a.VPSRLW(Imm(uint64(low)), u, u)
				a.merge(upper, j, high, top, u, x)
			}
		}
		for i, p := range append(plane, upper...) {
			a.VMOVDQU32(p, at(dst, 64*i))
		}
		a.ADDQ(imm(512), q)
		a.ADDQ(imm(64*(low+high)), dst)
	})
	a.finish()
}

// merge puts the low bits of u, by mask, where code j goes.
func (a *asm) merge(plane []reg.VecVirtual, j, bits int, mask, u, x reg.VecVirtual) {
	per := 8 / bits
	p := plane[j/per]
	if j%per == 0 {
		a.VPANDD(mask, u, p)
		return
	}
	a.VPANDD(mask, u, x)
	a.VPSLLW(Imm(uint64(bits*(j%per))), x, x)
	a.VPORD(x, p, p)
}
