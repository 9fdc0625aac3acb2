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
		f.pack(a)
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
// of 16. F16 and BF16 are widened after the transposition of pairs.
func (f plain) pack(a *asm) {
	a.function("pack"+f.name+"AVX512", "t *float32, w *byte, stride, n int", "pack"+f.name+"AVX512 packs n columns of 16 rows into a tile; n is a multiple of 16.")
	t, n, w, stride := a.arg("t"), a.arg("n"), a.arg("w"), a.arg("stride")
	rows := a.rows16(w, stride)
	a.SHRQ(Imm(4), n)
	a.loop(n, func() {
		for part := range f.size {
			for j, v := range a.column16(&rows, 16*part) {
				if f.size == 4 {
					a.VMOVUPS(v, at(t, 64*(4*part+j)))
					continue
				}
				k := 8*part + 2*j
				if f.name == "F16" {
					a.VMOVUPS(a.lowHalves(v), at(t, 64*k))
					a.VMOVUPS(a.highHalves(v), at(t, 64*(k+1)))
					continue
				}
				low, high := a.ZMM(), a.ZMM()
				a.VPSLLD(Imm(16), v, low)
				a.VPSRLD(Imm(16), v, high)
				a.VPSLLD(Imm(16), high, high)
				a.VMOVUPS(low, at(t, 64*k))
				a.VMOVUPS(high, at(t, 64*(k+1)))
			}
		}
		rows.advance(a, 16*f.size)
		a.ADDQ(imm(1024), t)
	})
	a.finish()
}
