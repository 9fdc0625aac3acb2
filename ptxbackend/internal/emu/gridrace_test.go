package emu

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// lastBlock sums what all blocks wrote in the one that finishes last; skip leaves a
// fence out.
func lastBlock(skip string, acqRel bool) *ptx.Builder {
	b := ptx.New("last", ptx.SM80)
	part, count, out := b.Param(ptx.U64, "part"), b.Param(ptx.U64, "count"), b.Param(ptx.U64, "out")
	flag := b.Shared("flag", 4, 4)
	tid := b.Tid(0)
	mine := b.Mad(b.Ctaid(0), 64, tid)
	b.St(ptx.Global, b.Add(part, b.MulWide(mine, 4)), 0, b.Mul(mine, mine))
	b.Bar()
	b.If(b.Setp(ptx.Eq, tid, 0), func() {
		sem := "acq_rel"
		if !acqRel {
			sem = ""
			if skip != "before" {
				b.Fence("gpu")
			}
		}
		n := b.Atom(ptx.Global, sem, "add", count, 0, b.Var(ptx.U32, 1))
		if skip != "after" && !acqRel {
			b.Fence("gpu")
		}
		b.St(ptx.Shared, flag, 0, n)
	})
	b.Bar()
	last := b.Setp(ptx.Eq, b.Ld(ptx.Shared, ptx.U32, flag, 0), b.Sub(b.Nctaid(0), 1))
	b.If(last, func() {
		sum := b.Var(ptx.U32, 0)
		b.For(0, b.Nctaid(0), 1, func(i ptx.Reg) {
			b.AddTo(sum, b.Ld(ptx.Global, ptx.U32, b.Add(part, b.MulWide(b.Mad(i, 64, tid), 4)), 0))
		})
		b.Red(ptx.Global, "", "add", out, 0, sum)
	})
	return b
}

func TestLastBlock(t *testing.T) {
	seeds(t, func(t *testing.T, r *bench) {
		for _, acqRel := range []bool{false, true} {
			f := r.build(lastBlock("", acqRel))
			out := r.words(0)
			if err := r.run(f, with(grid(12, 64), r.space(12*64), r.words(0), out)); err != nil {
				t.Fatal(err)
			}
			want := uint32(0)
			for i := range uint32(12 * 64) {
				want += i * i
			}
			if got := r.read(out, 1)[0]; got != want {
				t.Errorf("sum %d, want %d", got, want)
			}
		}
		for _, skip := range []string{"before", "after"} {
			err := r.again().run(r.build(lastBlock(skip, false)), with(grid(12, 64), r.space(12*64), r.words(0), r.words(0)))
			wantError(t, err, driver.CodeLaunchFailed, "race: it reads global memory")
		}
	})
}

// TestBlocksOverlap: two blocks write a word.
func TestBlocksOverlap(t *testing.T) {
	b := ptx.New("overlap", ptx.SM80)
	x := b.Param(ptx.U64, "x")
	i := b.Add(b.Mul(b.Ctaid(0), 31), b.Tid(0))
	b.St(ptx.Global, b.Add(x, b.MulWide(i, 4)), 0, i)
	r := newBench(t, Options{})
	f := r.build(b)
	wantError(t, r.run(f, with(grid(4, 32), r.space(128))), driver.CodeLaunchFailed, "race: it writes global memory")
}
