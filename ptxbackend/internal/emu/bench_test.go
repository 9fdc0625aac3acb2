package emu

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// benchLaunch reports the lane-instructions executed a second.
func benchLaunch(b *testing.B, r *bench, f driver.Function, l driver.Launch) {
	if err := r.run(f, l); err != nil {
		b.Fatal(err)
	}
	TakeStats(r.d)
	for b.Loop() {
		if err := r.run(f, l); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(TakeStats(r.d).LaneInstructions)/b.Elapsed().Seconds()/1e6, "Mlane/s")
}

// BenchmarkArithmetic is a loop of integer and floating-point instructions.
func BenchmarkArithmetic(b *testing.B) {
	k := ptx.New("arith", ptx.SM80)
	out := k.Param(ptx.U64, "out")
	tid := k.Tid(0)
	x, y := k.Cvt(ptx.F32, tid), k.Var(ptx.F32, 0)
	k.For(0, 200, 1, func(i ptx.Reg) {
		for range 4 {
			h := k.Lop3(i, tid, 0x6400, ptx.LutA&ptx.LutB|ptx.LutC)
			k.MadTo(y, x, k.Cvt(ptx.F32, h), y)
			k.MadTo(x, x, 0.5, y)
			k.Shl(k.Add(h, i), 3)
			k.MulWide(h, 4)
		}
	})
	k.St(ptx.Global, k.Add(out, k.MulWide(k.Mad(k.Ctaid(0), 128, tid), 4)), 0, y)
	r := newBench(b, Options{})
	benchLaunch(b, r, r.build(k), with(grid(16, 128), r.space(16*128)))
}

// BenchmarkMemory copies through shared memory.
func BenchmarkMemory(b *testing.B) {
	k := ptx.New("memory", ptx.SM80)
	x, out := k.Param(ptx.U64, "x"), k.Param(ptx.U64, "out")
	s := k.Shared("s", 16, 2048)
	tid := k.Tid(0)
	off := k.Mul(tid, 16)
	k.For(0, 50, 1, func(i ptx.Reg) {
		p := k.MulWide(off, 1)
		k.StV(ptx.Shared, k.Add(s, off), 0, k.LdV(ptx.Global, ptx.U32, 4, k.Add(x, p), 0))
		k.Bar()
		v := k.LdV(ptx.Shared, ptx.U32, 4, k.Add(s, k.Xor(off, 512)), 0)
		k.Bar()
		k.StV(ptx.Global, k.Add(k.Add(out, k.MulWide(k.Ctaid(0), 2048)), p), 0, v)
	})
	r := newBench(b, Options{})
	benchLaunch(b, r, r.build(k), with(grid(16, 128), r.words(make([]uint32, 512)...), r.space(16*512)))
}

// BenchmarkMma is a product from fragments loaded by ldmatrix.
func BenchmarkMma(b *testing.B) {
	k := ptx.New("mma", ptx.SM80)
	out := k.Param(ptx.U64, "out")
	s := k.Shared("s", 16, 512)
	lane := k.Lane()
	at := k.Add(s, k.Mul(lane, 16))
	zero := make([]ptx.Reg, 4)
	for i := range zero {
		zero[i] = k.Var(ptx.B32, 0)
	}
	k.StV(ptx.Shared, at, 0, zero)
	k.Bar()
	c := k.Regs(ptx.F32, 4)
	for i := range c {
		k.Set(c[i], 0)
	}
	k.For(0, 100, 1, func(ptx.Reg) {
		a := k.Ldmatrix(4, false, at, 0)
		k.Mma(ptx.F16, c, a, a[:2], c)
	})
	k.StV(ptx.Global, k.Add(out, k.MulWide(k.Mad(k.Ctaid(0), 32, lane), 16)), 0, c)
	r := newBench(b, Options{})
	benchLaunch(b, r, r.build(k), with(grid(16, 32), r.space(16*128)))
}
