package emu

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// FuzzLoad: whatever a text says, it is refused, or executed with a result or an
// error.
func FuzzLoad(f *testing.F) {
	for _, b := range []*ptx.Builder{copyPipeline(false, false), bulkPipeline(""), wgmmaKernel(16, true, ""), lastBlock("", true), addKernel("")} {
		k, err := b.Kernel()
		if err != nil {
			f.Fatal(err)
		}
		f.Add((&ptx.Module{Target: b.Target, Kernels: []*ptx.Kernel{k}}).String())
	}
	for _, op := range []string{"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r1}, {%r1}, {%r1}, {%r1};", "cvt.u32 %r1;", "mov %r1;",
		"setp %p1;", "shfl.sync %r1;", "redux %r1;", "vote.sync;", "add.u32 %r1;", "cp.async.cg;", "bar;", "mul.wide.u32 %r1, %r1;", "fence;",
		"ldmatrix %r1;", "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%r1};", "atom %r1;", "prmt.b32 %r1;", "mbarrier;"} {
		f.Add(".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .b32 %r1; .reg .pred %p1;\n" + op + "\n}\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ptx.Parse("fuzz", text)
		if err != nil {
			return
		}
		for _, k := range m.Kernels {
			if len(k.Regs) > 1000 || k.Threads > 128 {
				continue
			}
			p, err := compile(k)
			if err != nil || p.shared > 48<<10 {
				continue
			}
			r := newBench(t, Options{Steps: 1000})
			l := grid(2, uint32(max(1, k.Threads)))
			l.Params = make([]byte, p.params)
			for range min(p.params, 64) / 8 {
				at := r.space(1024)
				for i := range 8 {
					l.Params[i] = byte(at >> (8 * i))
				}
			}
			err = r.run(&function{dev: r.d.(*device), prog: p}, l)
			if _, ok := err.(*driver.Error); err != nil && !ok {
				t.Errorf("an error of another kind: %v", err)
			}
		}
	})
}

// TestOddOperands takes operands away, adds some and swaps them: decoding refuses
// what it cannot execute, and never panics.
func TestOddOperands(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, b := range []*ptx.Builder{copyPipeline(false, false), bulkPipeline(""), wgmmaKernel(16, true, ""), wgmmaKernel(16, false, ""), lastBlock("", false)} {
		k, err := b.Kernel()
		if err != nil {
			t.Fatal(err)
		}
		all := k.Body
		for range 2000 {
			i := r.IntN(len(all))
			in := all[i]
			if in.Label != "" {
				continue
			}
			in.Args = slices.Clone(in.Args)
			other := all[r.IntN(len(all))]
			switch n := len(in.Args); {
			case n > 0 && r.IntN(3) == 0:
				at := r.IntN(n)
				in.Args = slices.Delete(in.Args, at, at+1)
			case n > 0 && len(other.Args) > 0 && r.IntN(2) == 0:
				in.Args[r.IntN(n)] = other.Args[r.IntN(len(other.Args))]
			case len(other.Args) > 0 && r.IntN(2) == 0:
				in.Args = append(in.Args, other.Args[0])
			default:
				in.Op = other.Op
				if cut := strings.LastIndex(in.Op, "."); cut > 0 && r.IntN(2) == 0 {
					in.Op = in.Op[:cut]
				}
			}
			k.Body = slices.Clone(all)
			k.Body[i] = in
			if _, err := compile(k); err != nil && !strings.Contains(err.Error(), "kernel "+k.Name) {
				t.Fatalf("%s: %v", text(&in), err)
			}
		}
		k.Body = all
	}
}
