package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The vector operations are the same text for AVX-512 and for AVX2 with FMA and
// F16C: only the registers' width differs. Lengths are multiples of the width;
// the Go side does what is left.

// vec is the width.
type vec struct {
	*asm
	lanes int // 16 or 8
	isa   string
}

// widths runs f for both.
func (a *asm) widths(f func(v vec)) {
	f(vec{a, 16, "AVX512"})
	f(vec{a, 8, "AVX2"})
}

func (v vec) reg() reg.VecVirtual {
	if v.lanes == 16 {
		return v.ZMM()
	}
	return v.YMM()
}

func (v vec) regs(n int) []reg.VecVirtual {
	r := make([]reg.VecVirtual, n)
	for i := range r {
		r[i] = v.reg()
	}
	return r
}

// lowHalf loads half a register and clears the rest.
func (v vec) lowHalf(from Mem, r reg.VecVirtual) {
	if v.lanes == 16 {
		v.lowY(from, r)
	} else {
		v.lowX(from, r)
	}
}

func (v vec) bytes() int { return 4 * v.lanes }

// and, or, xor are named differently for the two.
func (v vec) and(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPANDD(x, y, dst)
	} else {
		v.VPAND(x, y, dst)
	}
}

func (v vec) or(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPORD(x, y, dst)
	} else {
		v.VPOR(x, y, dst)
	}
}

func (v vec) xor(x Op, y, dst reg.Register) {
	if v.lanes == 16 {
		v.VPXORD(x, y, dst)
	} else {
		v.VPXOR(x, y, dst)
	}
}

// constant is data of a register's width, b over and over: in a register where
// there are many.
func (v vec) constant(b []byte) Op {
	m := v.asm.bytes(each(64, func(i int) byte { return b[i%len(b)] }))
	if v.lanes == 8 {
		return m
	}
	r := v.reg()
	v.VMOVDQU32(m, r)
	return r
}

// filled is a constant of equal bytes.
func (v vec) filled(b byte) Op { return v.constant([]byte{b}) }

// inRegister is a constant that has to be in a register.
func (v vec) inRegister(b []byte) reg.VecVirtual {
	r := v.reg()
	v.VMOVUPS(v.asm.bytes(each(64, func(i int) byte { return b[i%len(b)] })), r)
	return r
}

// addWhere adds to dst where all bits of test are set in from.
func (v vec) addWhere(test, from, add Op, dst reg.VecVirtual) {
	if v.lanes == 16 {
		k := v.K()
		v.VPTESTMB(test, from, k)
		v.VPADDB(add, dst, k, dst)
		return
	}
	t := v.reg()
	v.VPAND(test, from.(reg.Register), t)
	v.VPCMPEQB(test, t, t)
	v.VPAND(add, t, t)
	v.VPADDB(t, dst, dst)
}

// store writes a register of integers.
func (v vec) store(r reg.Register, to Mem) { v.VMOVUPS(r, to) }

// all is a register full of one float32.
func (v vec) all(f float64) reg.VecVirtual { return v.allBits(math.Float32bits(float32(f))) }

func (v vec) allBits(b uint32) reg.VecVirtual {
	r := v.reg()
	v.VBROADCASTSS(v.dwords(b), r)
	return r
}

// allArg is a register full of a float32 argument.
func (v vec) allArg(name string) reg.VecVirtual {
	r := v.reg()
	x := v.XMM()
	v.Load(v.Param(name), x)
	v.VBROADCASTSS(x, r)
	return r
}

// turns divides a length by the width, leaving to the label when it is 0.
func (v vec) turns(n reg.GPVirtual, end string) {
	shift := uint64(4)
	if v.lanes == 8 {
		shift = 3
	}
	v.SHRQ(Imm(shift), n)
	v.JZ(LabelRef(end))
}

// sum adds up the lanes.
func (v vec) sum(r reg.VecVirtual) reg.Register {
	return v.fold(r, func(x, y reg.Register) { v.VADDPS(x, y, y) })
}

// fold combines the lanes pairwise into lane 0.
func (v vec) fold(r reg.VecVirtual, f func(x, y reg.Register)) reg.Register {
	if v.lanes == 16 {
		t := v.YMM()
		v.VEXTRACTF64X4(Imm(1), r, t)
		f(t, r.AsY())
	}
	x, t := r.AsX(), v.XMM()
	v.VEXTRACTF128(Imm(1), r.AsY(), t)
	f(t, x)
	v.VPERMILPS(Imm(0x4e), x, t)
	f(t, x)
	v.VPERMILPS(Imm(0xb1), x, t)
	f(t, x)
	return x
}
