package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Attention of many queries: attention_tile.go of the kernels.

func emitAttentionTile(a *asm) {
	a.widths(func(v vec) {
		registers := []int{4, 2, 1} // of columns
		if v.lanes == 8 {
			registers = []int{2}
		}
		for _, columns := range registers {
			outer(v, columns, true)
			outer(v, columns, false)
		}
		maxRows(v)
		expRows(v)
		scaleRows(v)
	})
}

// outerRows is how many rows the product takes at a time.
const outerRows = 4

// outer keeps four rows of so many registers.
func outer(v vec, columns int, add bool) {
	name, does := fmt.Sprintf("outerx%d%s", columns, v.isa), "sets c to"
	if add {
		name, does = fmt.Sprintf("outerAddx%d%s", columns, v.isa), "adds to c"
	}
	v.function(name, "c *float32, stride int, a *float32, rows, columns int, b *float32, blocks, n int",
		fmt.Sprintf("%s %s a*b, %d columns of blocks of %d rows; c and b have rows of stride numbers.", name, does, columns*v.lanes, outerRows))
	c, stride, a, rows, step, blocks := v.arg("c"), v.arg("stride"), v.arg("a"), v.arg("rows"), v.arg("columns"), v.arg("blocks")
	for _, r := range []reg.Register{stride, rows, step} {
		v.SHLQ(Imm(2), r)
	}
	rows3 := v.GP64()
	v.LEAQ(atIndex(rows, rows, 2, 0), rows3)
	v.loop(blocks, func() {
		ap, b, n, out := v.GP64(), v.arg("b"), v.arg("n"), v.GP64()
		v.MOVQ(a, ap)
		v.MOVQ(c, out)
		acc := make([][]reg.VecVirtual, outerRows)
		for i := range acc {
			acc[i] = v.regs(columns)
			if !add {
				v.zero(acc[i]...)
				continue
			}
			for k := range columns {
				v.VMOVUPS(at(out, v.bytes()*k), acc[i][k])
			}
			v.ADDQ(stride, out)
		}
		v.loop(n, func() {
			y := v.regs(columns)
			for k := range y {
				v.VMOVUPS(at(b, v.bytes()*k), y[k])
			}
			for i, m := range []Mem{at(ap, 0), atIndex(ap, rows, 1, 0), atIndex(ap, rows, 2, 0), atIndex(ap, rows3, 1, 0)} {
				x := v.reg()
				v.VBROADCASTSS(m, x)
				for k := range y {
					v.VFMADD231PS(x, y[k], acc[i][k])
				}
			}
			v.ADDQ(step, ap)
			v.ADDQ(stride, b)
		})
		for i := range acc {
			for k := range columns {
				v.VMOVUPS(acc[i][k], at(c, v.bytes()*k))
			}
			v.ADDQ(stride, c)
		}
		v.LEAQ(atIndex(a, rows, 4, 0), a)
	})
	v.finish()
}

// columnsOf begins a function that goes down the columns of (n, q), a register of
// columns at a time.
func (v vec) columnsOf(matrix string, top string, body func(p, stride reg.Register, n reg.Register, top reg.Register)) {
	m, t, q := v.arg(matrix), v.arg(top), v.arg("q")
	stride := v.GP64()
	v.MOVQ(q, stride)
	v.SHLQ(Imm(2), stride)
	v.SHRQ(Imm(map[int]uint64{16: 4, 8: 3}[v.lanes]), q)
	v.loop(q, func() {
		p, n := v.GP64(), v.arg("n")
		v.MOVQ(m, p)
		body(p, stride, n, t)
		v.ADDQ(imm(v.bytes()), m)
		v.ADDQ(imm(v.bytes()), t)
	})
}

func maxRows(v vec) {
	v.function("maxRows"+v.isa, "top, s *float32, q, n int", "maxRows"+v.isa+" raises each of q numbers to the largest in its column of n.")
	v.columnsOf("s", "top", func(p, stride, n, top reg.Register) {
		most := v.reg()
		v.VMOVUPS(at(top, 0), most)
		v.loop(n, func() {
			v.VMAXPS(at(p, 0), most, most)
			v.ADDQ(stride, p)
		})
		v.VMOVUPS(most, at(top, 0))
	})
	v.finish()
}

func scaleRows(v vec) {
	v.function("scaleRows"+v.isa, "c, f *float32, q, n int", "scaleRows"+v.isa+" multiplies columns of n numbers by q factors.")
	v.columnsOf("c", "f", func(p, stride, n, f reg.Register) {
		x := v.reg()
		v.VMOVUPS(at(f, 0), x)
		v.loop(n, func() {
			y := v.reg()
			v.VMULPS(at(p, 0), x, y)
			v.VMOVUPS(y, at(p, 0))
			v.ADDQ(stride, p)
		})
	})
	v.finish()
}

func expRows(v vec) {
	v.function("expRows"+v.isa, "s, top, sum *float32, q, n int, scale float32", "expRows"+v.isa+" sets s = exp((s-top)*scale) and adds up its columns.")
	scale, sum := v.allArg("scale"), v.arg("sum")
	var exp func(x reg.VecVirtual)
	if v.lanes == 16 {
		exp = v.exp2()
		t := v.reg()
		v.VBROADCASTSS(v.dwords(0x3fb8aa3b), t) // log2(e)
		v.VMULPS(t, scale, scale)
	} else {
		exp = v.newExp().exp
	}
	v.columnsOf("s", "top", func(p, stride, n, top reg.Register) {
		t, acc := v.reg(), v.reg()
		v.VMOVUPS(at(top, 0), t)
		v.VMOVUPS(at(sum, 0), acc)
		v.loop(n, func() {
			x := v.reg()
			v.VMOVUPS(at(p, 0), x)
			v.VSUBPS(t, x, x)
			v.VMULPS(scale, x, x)
			exp(x)
			v.VMOVUPS(x, at(p, 0))
			v.VADDPS(x, acc, acc)
			v.ADDQ(stride, p)
		})
		v.VMOVUPS(acc, at(sum, 0))
		v.ADDQ(imm(v.bytes()), sum)
	})
	v.finish()
}

// exp2 makes constants and returns what replaces x by 2^x, 0 below any exponent.
// Beside exp it leaves the ends of the range to VSCALEFPS.
func (v vec) exp2() func(x reg.VecVirtual) {
	ln2 := v.all(0.6931471805599453)
	var c [7]reg.VecVirtual
	for i, k := range expCoefficients {
		c[i] = v.all(k)
	}
	return func(x reg.VecVirtual) {
		n, p := v.reg(), v.reg()
		v.VRNDSCALEPS(Imm(0), x, n)
		v.VSUBPS(n, x, x)
		v.VMULPS(ln2, x, x)
		v.VMOVAPS(c[6], p)
		for i := 5; i >= 0; i-- {
			v.VFMADD213PS(c[i], x, p)
		}
		v.VSCALEFPS(n, p, x)
	}
}
