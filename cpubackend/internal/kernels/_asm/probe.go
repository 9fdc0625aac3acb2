package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func emitProbe(a *asm) {
	a.widths(readSum)
	a.widths(peakFMA)
	peak(a, "peakInt8AVX512", 16, 16, func(x, acc reg.VecVirtual) { a.dp(x, x, acc) })
	peak(a, "peakInt8AVXVNNI", 8, 12, func(x, acc reg.VecVirtual) { a.dpVEX(x, x, acc) })
	ones := func() Mem {
		return a.dwords(0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001)
	}
	peak(a, "peakInt8AVX2", 8, 10, func(x, acc reg.VecVirtual) {
		t := a.YMM()
		a.VPMADDUBSW(x, x, t)
		a.VPMADDWD(ones(), t, t)
		a.VPADDD(t, acc, acc)
	})
}

// readSum: what is read in 256 bytes a turn.
func readSum(v vec) {
	v.returning("readSum"+v.isa, "b *byte, n int", "uint64", "readSum"+v.isa+" combines the 64-bit words of n bytes, a multiple of 256, by exclusive or.")
	b, n := v.arg("b"), v.arg("n")
	acc := v.regs(4)
	v.zero(acc...)
	end := v.label("end")
	v.SHRQ(Imm(8), n)
	v.JZ(LabelRef(end))
	v.loop(n, func() {
		for line := 0; line < 256; line += 64 {
			v.PREFETCHT0(at(b, 4096+line))
		}
		for i := range 256 / v.bytes() {
			x := acc[i%4]
			if v.lanes == 16 {
				v.VPXORQ(at(b, v.bytes()*i), x, x)
			} else {
				v.VPXOR(at(b, v.bytes()*i), x, x)
			}
		}
		v.ADDQ(imm(256), b)
	})
	v.Label(end)
	v.VXORPS(acc[1], acc[0], acc[0])
	v.VXORPS(acc[3], acc[2], acc[2])
	v.VXORPS(acc[2], acc[0], acc[0])
	if v.lanes == 16 {
		t := v.YMM()
		v.VEXTRACTF64X4(Imm(1), acc[0], t)
		v.VXORPS(t, acc[0].AsY(), acc[0].AsY())
	}
	x, t := acc[0].AsX(), v.XMM()
	v.VEXTRACTF128(Imm(1), acc[0].AsY(), t)
	v.VXORPS(t, x, x)
	v.VPERMILPS(Imm(0x4e), x, t)
	v.VXORPS(t, x, x)
	sum := v.GP64()
	v.VMOVQ(x, sum)
	v.Store(sum, v.ReturnIndex(0))
	v.finish()
}

func peakFMA(v vec) {
	peak(v.asm, "peakFMA"+v.isa, v.lanes, 12, func(x, acc reg.VecVirtual) { v.VFMADD231PS(x, x, acc) })
}

// peak runs one operation on independent registers.
func peak(a *asm, name string, lanes, count int, op func(x, acc reg.VecVirtual)) {
	v := vec{a, lanes, ""}
	a.Function(name)
	a.Doc(name + " does a round of independent operations n times, n > 0.")
	a.SignatureExpr("func(n int)")
	n := v.arg("n")
	x, acc := v.reg(), v.regs(count)
	v.zero(x)
	v.zero(acc...)
	v.loop(n, func() {
		for _, r := range acc {
			op(x, r)
		}
	})
	v.finish()
}
