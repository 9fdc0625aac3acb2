package main

// What the machine can do at most.

func emitProbe(a *asm) {
	a.function("readSumNEON", "b *byte, n int", "uint64", "combines the 64-bit words of n bytes, a multiple of 256, by exclusive or.")
	b, n := a.arg("b"), a.arg("n")
	acc := a.zeros(4)
	v := a.vs(16)
	a.loop(n, 256, func() {
		for i := 0; i < 16; i += 2 {
			a.ldpQ(v[i], v[i+1], b, 16*i)
		}
		for i := range v {
			a.eor(acc[i%4], acc[i%4], v[i])
		}
		a.add(b, 256)
	})
	for i := 1; i < 4; i++ {
		a.eor(acc[0], acc[0], acc[i])
	}
	lo, hi := a.r(), a.r()
	a.umovD(lo, acc[0], 0)
	a.umovD(hi, acc[0], 1)
	a.op("EOR %v, %v", hi, lo)
	a.op("MOVD %v, ret+%d(FP)", lo, a.offset("ret"))
	a.ret()

	peak(a, "peakFMANEON", 16, func(s, x, y V) { a.fmla(s, x, y) })
	peak(a, "peakInt8NEON", 8, func(s, x, y V) {
		a.scope(func() {
			t := a.v()
			a.smull(t, x, y)
			a.smlal2(t, x, y)
			a.sadalp(s, t)
		})
	})
	peak(a, "peakInt8DotProd", 16, func(s, x, y V) { a.sdot(s, x, y) })
	peak(a, "peakInt8I8MM", 16, func(s, x, y V) { a.smmla(s, x, y) })
}

// peak does an operation on so many independent sums.
func peak(a *asm, name string, sums int, op func(s, x, y V)) {
	a.function(name, "n int", "", "does a round of independent operations n times, n > 0.")
	n := a.arg("n")
	s, x, y := a.zeros(sums), a.bytes(1), a.bytes(2)
	a.loop(n, 1, func() {
		for _, v := range s {
			op(v, x, y)
		}
	})
	a.ret()
}
