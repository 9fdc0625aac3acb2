package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The plain formats: F32, F16 and BF16 weights with float32 activations.
type plain struct {
	name string
	size int
}

var plains = []plain{{"F32", 4}, {"F16", 2}, {"BF16", 2}}

func emitPlain(a *asm) {
	for _, f := range plains {
		f.decode(a)
		f.decode256(a)
		a.widths(f.pack)
	}
}

// load widens 16 weights, or those of a mask.
func (f plain) load(a *asm, from Mem, k reg.Register, w reg.VecVirtual) {
	switch f.name {
	case "F32":
		if k == nil {
			a.VMOVUPS(from, w)
		} else {
			a.VMOVUPS_Z(from, k, w)
		}
	case "F16":
		if k == nil {
			a.VCVTPH2PS(from, w)
		} else {
			a.VMOVDQU16_Z(from, k, w.AsY())
			a.VCVTPH2PS(w.AsY(), w)
		}
	case "BF16":
		if k == nil {
			a.VPMOVZXWD(from, w)
		} else {
			a.VPMOVZXWD_Z(from, k, w)
		}
		a.VPSLLD(Imm(16), w, w)
	}
}

// tailMask is a mask of the low n%16 lanes.
func (a *asm) tailMask(n reg.GPVirtual) reg.OpmaskVirtual {
	count, ones, k := a.GP64(), a.GP64(), a.K()
	a.MOVQ(n, count)
	a.ANDQ(Imm(15), count)
	a.MOVQ(I32(-1), ones)
	a.BZHIQ(count, ones, ones)
	a.KMOVQ(ones, k)
	return k
}

func (f plain) decode(a *asm) {
	a.function("decode"+f.name+"AVX512", "y *float32, w *byte, stride, groups int, x *float32, k int",
		"decode"+f.name+"AVX512 multiplies groups of four rows with one activation row.")
	y, w, stride, groups := a.arg("y"), a.arg("w"), a.arg("stride"), a.arg("groups")
	k := &decode{asm: a, stride: stride, thrice: a.GP64(), p: a.GP64(), ahead: a.GP64(), step: 16 * f.size}
	a.LEAQ(atIndex(stride, stride, 2, 0), k.thrice)
	k.setDistance()
	columns := a.arg("k")
	tail := a.tailMask(columns)
	a.loop(groups, func() {
		x := a.arg("x")
		a.MOVQ(w, k.p)
		k.aim(w)
		acc := a.zmms(4)
		a.zero(acc...)
		n := a.GP64()
		a.MOVQ(columns, n)
		a.SHRQ(Imm(4), n)
		rest, end := a.label("rest"), a.label("end")
		a.JZ(LabelRef(rest))
		a.loop(n, func() {
			v := a.ZMM()
			a.VMOVUPS(at(x, 0), v)
			for r := range 4 {
				weights := a.ZMM()
				k.fetch(r)
				f.load(a, k.row(r, 0), nil, weights)
				a.VFMADD231PS(v, weights, acc[r])
			}
			a.ADDQ(imm(16*f.size), k.p)
			a.ADDQ(imm(64*f.size), k.ahead)
			a.ADDQ(imm(64), x)
		})
		a.Label(rest)
		a.TESTQ(U32(15), columns)
		a.JZ(LabelRef(end))
		v := a.ZMM()
		a.VMOVUPS_Z(at(x, 0), tail, v)
		for r := range 4 {
			weights := a.ZMM()
			f.load(a, k.row(r, 0), tail, weights)
			a.VFMADD231PS(v, weights, acc[r])
		}
		a.Label(end)
		s := a.joinRows(acc)
		a.sumLanes(s)
		a.VMOVUPS(s.AsX(), at(y, 0))
		a.ADDQ(imm(16), y)
		a.LEAQ(atIndex(w, stride, 4, 0), w)
	})
	a.finish()
}

// pack transposes 16 rows into a float32 tile, 16 columns a turn; n is a multiple
// of 16. F16 and BF16 are widened after pairs of columns are transposed.
func (f plain) pack(v vec) {
	v.function("pack"+f.name+v.isa, "t *float32, w *byte, stride, n int, ahead *byte, step int", "pack"+f.name+v.isa+" packs n columns of 16 rows into a tile; n is a multiple of 16.")
	to, n, w, stride := v.arg("t"), v.arg("n"), v.arg("w"), v.arg("stride")
	p := &packer{vec: v, ahead: v.arg("ahead"), step: v.arg("step"), rows: v.rows16(w, stride)}
	v.SHRQ(Imm(4), n)
	v.loop(n, func() {
		p.fetch(16*f.size, 1, 0)
		for p.upper = range 16 / v.lanes {
			out := func(r reg.VecVirtual, k int) { v.store(r, at(to, 64*k+32*p.upper)) }
			for part := range f.size {
				for j, t := range p.column16(16 * part) {
					k := 8*part + 2*j
					switch f.name {
					case "F32":
						out(t, 4*part+j)
					case "F16":
						out(v.lowHalves(t), k)
						out(v.highHalves(t), k+1)
					case "BF16":
						low := v.reg()
						v.VPSLLD(Imm(16), t, low)
						out(low, k)
						v.and(v.constant([]byte{0, 0, 0xff, 0xff}), t, t)
						out(t, k+1)
					}
				}
			}
		}
		p.rows.advance(v.asm, 16*f.size)
		v.ADDQ(imm(1024), to)
	})
	v.finish()
}
