package emu

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// correct are kernels of (x, out *[1024]uint32), x[i] = i, in the ways threads work
// together; each must run without a complaint and write what want says.
var correct = []struct {
	name    string
	threads uint32
	want    func(tid uint32) uint32
	body    func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg
}{
	{"named barriers pass work on", 64, func(tid uint32) uint32 { return 10 * 31 * tid }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		// Warp 1 writes 10 times, warp 0 reads: full is barrier 1, empty 2.
		s := b.Shared("s", 16, 128)
		at := b.Add(s, b.Mul(b.Lane(), 4))
		sum := b.Var(ptx.U32, 0)
		b.If(b.Setp(ptx.Lt, tid, 32), func() {
			b.For(0, 10, 1, func(ptx.Reg) {
				b.BarN(1, 64)
				b.AddTo(sum, b.Ld(ptx.Shared, ptx.U32, at, 0))
				b.BarArrive(2, 64)
			})
		}, func() {
			b.For(0, 10, 1, func(i ptx.Reg) {
				b.If(b.Setp(ptx.Gt, i, 0), func() { b.BarN(2, 64) })
				b.St(ptx.Shared, at, 0, b.Mul(b.Lane(), 31))
				b.BarArrive(1, 64)
			})
			b.BarN(2, 64)
			b.Set(sum, b.Mul(tid, 310))
		})
		return sum
	}},
	{"a lane waits for lanes of its warp", 32, func(tid uint32) uint32 { return 31 * 32 / 2 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s, m := b.Shared("s", 16, 128), b.Shared("m", 8, 8)
		b.If(b.Setp(ptx.Eq, tid, 0), func() { b.MbarInit(m, 0, 31) })
		b.WarpSync()
		sum := b.Var(ptx.U32, 0)
		b.If(b.Setp(ptx.Eq, tid, 0), func() {
			b.MbarWait(m, 0, b.Var(ptx.U32, 0))
		}, func() {
			b.St(ptx.Shared, b.Add(s, b.Mul(tid, 4)), 0, tid)
			b.MbarArrive(m, 0)
		})
		b.WarpSync()
		b.If(b.Setp(ptx.Eq, tid, 0), func() {
			b.For(1, 32, 1, func(i ptx.Reg) { b.AddTo(sum, b.Ld(ptx.Shared, ptx.U32, b.Add(s, b.Mul(i, 4)), 0)) })
		})
		return b.Shfl("idx", sum, 0)
	}},
	{"lanes end early, the rest meet", 64, func(tid uint32) uint32 { return 5 + tid/8 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		// Loops of different lengths, then a barrier.
		n := b.Var(ptx.U32, 5)
		b.For(0, b.Shr(tid, 3), 1, func(ptx.Reg) { b.AddTo(n, 1) })
		b.Bar()
		return n
	}},
	{"a shuffle behind a branch in a branch", 32, func(tid uint32) uint32 { return (tid ^ 1) + tid%3 - tid%3 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		r := b.Rem(tid, 3)
		b.If(b.Setp(ptx.Eq, r, 0), func() {}, func() {
			b.If(b.Setp(ptx.Eq, r, 1), func() { b.Add(r, 1) }, func() { b.For(0, tid, 1, func(ptx.Reg) {}) })
		})
		return b.Shfl("bfly", tid, 1)
	}},
	{"halves of words by different warps", 64, func(tid uint32) uint32 { return tid + 7 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s := b.Shared("s", 16, 128) // warp w writes half w of each word
		at := b.Add(s, b.Add(b.Mul(b.Lane(), 4), b.Mul(b.Shr(tid, 5), 2)))
		b.StNarrow(ptx.Shared, ptx.U16, at, 0, b.Add(tid, 7))
		b.Bar()
		return b.Cvt(ptx.U32, b.Ld(ptx.Shared, ptx.U16, at, 0))
	}},
	{"atomics on shared memory", 96, func(tid uint32) uint32 { return 96 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s := b.Shared("s", 16, 16)
		b.If(b.Setp(ptx.Eq, tid, 0), func() { b.St(ptx.Shared, s, 0, b.Var(ptx.U32, 0)) })
		b.Bar()
		b.Atom(ptx.Shared, "", "add", s, 0, b.Var(ptx.U32, 1))
		b.Bar()
		return b.Ld(ptx.Shared, ptx.U32, s, 0)
	}},
	{"copies filled with zeroes", 32, func(tid uint32) uint32 {
		if tid%4 < 2 {
			return tid
		}
		return 0
	}, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s := b.Shared("s", 16, 512)
		off := b.Mul(tid, 16)
		b.CpAsync(b.Add(s, off), 0, b.Add(x, b.MulWide(off, 1)), 0, b.Var(ptx.U32, 8))
		b.CpAsyncCommit()
		b.CpAsyncWait(0)
		b.WarpSync()
		return b.Ld(ptx.Shared, ptx.U32, b.Add(s, b.Mul(tid, 4)), 0)
	}},
	{"lanes with different numbers of groups", 32, func(tid uint32) uint32 { return 4 * tid }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s := b.Shared("s", 16, 512)
		off := b.Mul(tid, 16)
		b.If(b.Setp(ptx.Lt, tid, 9), func() { b.CpAsyncCommit() })
		b.CpAsync(b.Add(s, off), 0, b.Add(x, b.MulWide(off, 1)), 0)
		b.CpAsyncCommit()
		b.CpAsyncWait(0)
		return b.Ld(ptx.Shared, ptx.U32, b.Add(s, off), 0)
	}},
	{"constant memory", 32, func(tid uint32) uint32 { return 0x04030201 + 0x04040404*(tid%4) }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		b.Const("other", 1, []byte{9})
		t := b.Const("table", 16, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
		return b.Ld(ptx.Const, ptx.U32, b.Add(t, b.MulWide(b.And(tid, 3), 4)), 0)
	}},
	{"matrices stored and loaded", 32, func(tid uint32) uint32 { return tid * 0x10001 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		s := b.Shared("s", 16, 128)
		at := b.Add(s, b.Mul(b.And(tid, 7), 16))
		v := b.As(ptx.B32, b.Mul(tid, 0x10001))
		b.Emit("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16", ptx.Arg{Kind: ptx.ArgAddr, Reg: at}, ptx.Arg{Kind: ptx.ArgList,
			List: []ptx.Arg{{Kind: ptx.ArgReg, Reg: v}}})
		b.WarpSync()
		return b.As(ptx.U32, b.Ldmatrix(1, true, at, 0)[0])
	}},
	{"cas makes a lock", 32, func(tid uint32) uint32 { return 0 }, func(b *ptx.Builder, x, tid ptx.Reg) ptx.Reg {
		// One lane of the warp after the other gets the lock, by a loop of all.
		lock := b.Add(x, 2048)
		b.If(b.Setp(ptx.Eq, tid, 0), func() { b.St(ptx.Global, lock, 0, b.Var(ptx.U32, 0)) })
		b.WarpSync()
		done := b.Var(ptx.U32, 0)
		b.Loop(func() ptx.Reg { return b.Setp(ptx.Eq, done, 0) }, func() {
			got := b.Atom(ptx.Global, "", "cas", lock, 0, b.Var(ptx.B32, 0), b.Var(ptx.B32, 1))
			b.If(b.Setp(ptx.Eq, b.As(ptx.U32, got), 0), func() {
				b.Set(done, 1)
				b.Atom(ptx.Global, "", "exch", lock, 0, b.Var(ptx.B32, 0))
			})
		})
		return b.Ld(ptx.Global, ptx.U32, lock, 0, ptx.Volatile)
	}},
}

func TestCorrect(t *testing.T) {
	for _, c := range correct {
		t.Run(c.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, r *bench) {
				b := ptx.New("good", ptx.SM90a)
				x, out := b.Param(ptx.U64, "x"), b.Param(ptx.U64, "out")
				tid := b.Tid(0)
				v := c.body(b, x, tid)
				b.St(ptx.Global, b.Add(out, b.MulWide(tid, 4)), 0, v)
				f := r.build(b)
				in := make([]uint32, 1024)
				for i := range in {
					in[i] = uint32(i)
				}
				o := r.space(1024)
				if err := r.run(f, with(grid(1, c.threads), r.words(in...), o)); err != nil {
					t.Fatal(err)
				}
				for tid, v := range r.read(o, int(c.threads)) {
					if want := c.want(uint32(tid)); v != want {
						t.Fatalf("thread %d: %d, want %d", tid, v, want)
					}
				}
			})
		})
	}
}
