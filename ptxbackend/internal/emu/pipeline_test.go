package emu

import (
	"fmt"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// seeds runs f on devices whose warps take turns differently.
func seeds(t *testing.T, f func(t *testing.T, r *bench)) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, newBench(t, Options{Seed: seed})) })
	}
}

// copyPipeline sums n tiles of 2 KiB through a ring of stages of cp.async. skip
// leaves a wait or a barrier out.
func copyPipeline(skipWait, skipBar bool) *ptx.Builder {
	const stages, threads, tile = 3, 128, 2048
	b := ptx.New("pipeline", ptx.SM80)
	x, n, out := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "n"), b.Param(ptx.U64, "out")
	sh := b.Shared("ring", 16, stages*tile)
	tid := b.Tid(0)
	mine := b.Mul(tid, 16)
	fetch := func(i ptx.Reg) {
		b.If(b.Setp(ptx.Lt, i, n), func() {
			dst := b.Add(sh, b.Mad(b.Rem(i, stages), tile, mine))
			b.CpAsync(dst, 0, b.Add(x, b.MulWide(b.Mad(i, tile, mine), 1)), 0)
		})
		b.CpAsyncCommit()
	}
	for i := range stages - 1 {
		fetch(b.Var(ptx.U32, i))
	}
	sum := b.Var(ptx.U32, 0)
	b.For(0, n, 1, func(i ptx.Reg) {
		if !skipWait {
			b.CpAsyncWait(stages - 2)
		}
		if !skipBar {
			b.Bar()
		}
		// Read what another thread copied.
		other := b.Mul(b.Xor(tid, 37), 16)
		src := b.Add(sh, b.Mad(b.Rem(i, stages), tile, other))
		for _, v := range b.LdV(ptx.Shared, ptx.U32, 4, src, 0) {
			b.AddTo(sum, v)
		}
		fetch(b.Add(i, stages-1))
	})
	b.CpAsyncWait(0)
	b.St(ptx.Global, b.Add(out, b.MulWide(tid, 4)), 0, sum)
	return b
}

func TestCopyPipeline(t *testing.T) {
	seeds(t, func(t *testing.T, r *bench) {
		f := r.build(copyPipeline(false, false))
		in := make([]uint32, 7*512)
		want := uint32(0)
		for i := range in {
			in[i] = uint32(i * i)
			want += in[i]
		}
		out := r.space(128)
		if err := r.run(f, with(grid(1, 128), r.words(in...), uint32(7), uint32(0), out)); err != nil {
			t.Fatal(err)
		}
		got := uint32(0)
		for _, v := range r.read(out, 128) {
			got += v
		}
		if got != want {
			t.Errorf("sum %d, want %d", got, want)
		}
	})
}

// bulkPipeline: warp 4 brings tiles by bulk copies, warps 0 to 3 sum them.
func bulkPipeline(skip string) *ptx.Builder {
	const stages, tile = 2, 512
	b := ptx.New("bulk", ptx.SM90a)
	x, n, out := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "n"), b.Param(ptx.U64, "out")
	ring := b.Shared("ring", 128, stages*tile)
	bars := b.Shared("bars", 8, 16*stages) // full, then empty
	tid := b.Tid(0)
	b.If(b.Setp(ptx.Eq, tid, 0), func() {
		for s := range stages {
			b.MbarInit(bars, 16*s, 1)
			b.MbarInit(bars, 16*s+8, 128)
		}
		if skip != "fence" {
			b.FenceMbarInit()
		}
	})
	if skip != "bar" {
		b.Bar()
	}
	stage := func(i ptx.Reg) (slot, bar, parity ptx.Reg) {
		s := b.Rem(i, stages)
		return b.Add(ring, b.Mul(s, tile)), b.Add(bars, b.Mul(s, 16)), b.And(b.Div(i, stages), 1)
	}
	b.If(b.Setp(ptx.Ge, tid, 128), func() {
		b.If(b.Setp(ptx.Eq, tid, 128), func() {
			b.For(0, n, 1, func(i ptx.Reg) {
				slot, bar, parity := stage(i)
				if skip != "empty" {
					b.MbarWait(bar, 8, b.Xor(parity, 1))
				}
				b.MbarExpect(bar, 0, tile)
				b.CpAsyncBulk(slot, 0, b.Add(x, b.MulWide(i, tile)), 0, tile, bar, 0)
			})
		})
	}, func() {
		sum := b.Var(ptx.U32, 0)
		b.For(0, n, 1, func(i ptx.Reg) {
			slot, bar, parity := stage(i)
			if skip != "full" {
				b.MbarWait(bar, 0, parity)
			}
			b.AddTo(sum, b.Ld(ptx.Shared, ptx.U32, b.Add(slot, b.Mul(tid, 4)), 0))
			if skip != "arrive" {
				b.MbarArrive(bar, 8)
			}
		})
		b.St(ptx.Global, b.Add(out, b.MulWide(tid, 4)), 0, sum)
	})
	return b
}

func TestBulkPipeline(t *testing.T) {
	seeds(t, func(t *testing.T, r *bench) {
		f := r.build(bulkPipeline(""))
		in := make([]uint32, 9*128)
		for i := range in {
			in[i] = uint32(i * 3)
		}
		out := r.space(128)
		if err := r.run(f, with(grid(1, 160), r.words(in...), uint32(9), uint32(0), out)); err != nil {
			t.Fatal(err)
		}
		for l, v := range r.read(out, 128) {
			want := uint32(0)
			for i := range 9 {
				want += in[128*i+l]
			}
			if v != want {
				t.Fatalf("thread %d: %d, want %d", l, v, want)
			}
		}
	})
}

// TestLdmatrix: lane l gets (l/4, 2(l%4)) of each matrix, or of its transpose.
func TestLdmatrix(t *testing.T) {
	for _, trans := range []bool{false, true} {
		b := ptx.New("ldmatrix", ptx.SM80)
		x, out := b.Param(ptx.U64, "x"), b.Param(ptx.U64, "out")
		sh := b.Shared("m", 16, 512)
		lane := b.Lane()
		off := b.Mul(lane, 16)
		b.StV(ptx.Shared, b.Add(sh, off), 0, b.LdV(ptx.Global, ptx.B32, 4, b.Add(x, b.MulWide(off, 1)), 0))
		b.WarpSync()
		d := b.Ldmatrix(4, trans, b.Add(sh, off), 0)
		b.StV(ptx.Global, b.Add(out, b.MulWide(off, 1)), 0, d)
		r := newBench(t, Options{})
		f := r.build(b)
		in := make([]uint32, 128) // element (m, row, col) is 64m+8row+col
		for i := range in {
			in[i] = uint32(2*i) | uint32(2*i+1)<<16
		}
		o := r.space(128)
		if err := r.run(f, with(grid(1, 32), r.words(in...), o)); err != nil {
			t.Fatal(err)
		}
		for i, v := range r.read(o, 128) {
			l, m := i/4, i%4
			lo := uint32(64*m + 8*(l/4) + 2*(l%4))
			hi := lo + 1
			if trans {
				lo = uint32(64*m + 8*(2*(l%4)) + l/4)
				hi = lo + 8
			}
			if v != lo|hi<<16 {
				t.Fatalf("trans %v lane %d matrix %d: %#x, want %#x", trans, l, m, v, lo|hi<<16)
			}
		}
	}
}

// wgmmaKernel multiplies (64, 64) by (64, n)^T, both in shared memory by columns of
// 64 halves with 128-byte swizzle, or x in registers.
func wgmmaKernel(n int, inRegs bool, skip string) *ptx.Builder {
	b := ptx.New("wgmma", ptx.SM90a)
	px, py, out := b.Param(ptx.U64, "x"), b.Param(ptx.U64, "y"), b.Param(ptx.U64, "out")
	sx, sy := b.Shared("sx", 1024, 64*128), b.Shared("sy", 1024, n*128)
	tid := b.Tid(0)
	load := func(dst, src ptx.Reg, rows int) {
		for at := 0; at < rows*128; at += 128 * 16 {
			o := b.Add(b.Mul(tid, 16), at)
			b.If(b.Setp(ptx.Lt, o, rows*128), func() {
				v := b.LdV(ptx.Global, ptx.B32, 4, b.Add(src, b.MulWide(o, 1)), 0)
				// chunk c of row r lies in place c^(r&7)
				sw := b.Xor(o, b.And(b.Shr(o, 3), 7<<4))
				b.StV(ptx.Shared, b.Add(dst, sw), 0, v)
			})
		}
	}
	load(sx, px, 64)
	load(sy, py, n)
	if skip != "fence.proxy" {
		b.FenceAsync()
	}
	if skip != "bar" {
		b.Bar()
	}
	desc := func(a ptx.Reg) ptx.Reg {
		d := b.Cvt(ptx.U64, b.Shr(a, 4))
		return b.Or(d, uint64(1)<<62|uint64(1024>>4)<<32|uint64(1)<<16)
	}
	d := b.Regs(ptx.F32, n/2)
	for i := range d {
		b.Set(d[i], 0)
	}
	on := b.Var(ptx.Pred, true)
	dy := desc(sy)
	dx := desc(sx)
	var a [][]ptx.Reg
	warp, lane := b.Shr(tid, 5), b.Lane()
	for k := 0; inRegs && k < 4; k++ {
		// ldmatrix of rows 16*warp..: matrices (rows 0-7, k), (8-15, k), (0-7, k+8), (8-15, k+8)
		row := b.Mad(warp, 16, b.And(lane, 15))
		chunk := b.Xor(b.Add(b.Shr(lane, 4), 2*k), b.And(row, 7))
		a = append(a, b.Ldmatrix(4, false, b.Add(sx, b.Mad(row, 128, b.Mul(chunk, 16))), 0))
	}
	if skip != "wgmma.fence" {
		b.WgmmaFence()
	}
	for k := range 4 {
		x := []ptx.Reg{b.Add(dx, uint64(2*k))}
		if inRegs {
			x = a[k]
		}
		b.Wgmma(ptx.F16, n, d, x, b.Add(dy, uint64(2*k)), on)
	}
	b.WgmmaCommit()
	if skip == "overwrite" {
		b.St(ptx.Shared, b.Add(sy, b.Mul(tid, 4)), 0, tid)
	}
	if skip == "change" {
		b.Set(d[3], 1)
	}
	if skip == "changeA" {
		b.Set(a[3][1], 1)
	}
	if skip != "wait" {
		b.WgmmaWait(0)
	}
	base := b.Mad(warp, 16, b.Shr(lane, 2))
	col := b.Mul(b.And(lane, 3), 2)
	for i := range d {
		row := b.Add(base, i%4/2*8)
		o := b.Add(b.Mad(row, n, b.Add(col, i/4*8+i%2)), 0)
		b.St(ptx.Global, b.Add(out, b.MulWide(o, 4)), 0, d[i])
	}
	return b
}

func TestWgmma(t *testing.T) {
	for _, n := range []int{8, 16, 64, 136, 256} {
		for _, inRegs := range []bool{false, true} {
			t.Run(fmt.Sprint(n, inRegs), func(t *testing.T) {
				r := newBench(t, Options{Seed: uint64(n)})
				f := r.build(wgmmaKernel(n, inRegs, ""))
				x, y := make([]uint32, 64*32), make([]uint32, n*32)
				val := func(i, j int) float32 { return float32((i*7+j*5)%13-6) / 4 }
				for i := range x {
					x[i] = halfFrom32(val(i/32, i%32*2)) | halfFrom32(val(i/32, i%32*2+1))<<16
				}
				for i := range y {
					y[i] = halfFrom32(val(3+i/32, i%32*2)) | halfFrom32(val(3+i/32, i%32*2+1))<<16
				}
				out := r.space(64 * n)
				if err := r.run(f, with(grid(1, 128), r.words(x...), r.words(y...), out)); err != nil {
					t.Fatal(err)
				}
				for i, v := range r.read(out, 64*n) {
					want := float32(0)
					for k := range 64 {
						want += val(i/n, k) * val(3+i%n, k)
					}
					if got := math.Float32frombits(v); got != want {
						t.Fatalf("(%d, %d) = %v, want %v", i/n, i%n, got, want)
					}
				}
			})
		}
	}
}
