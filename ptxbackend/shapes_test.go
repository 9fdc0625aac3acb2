package ptxbackend

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// shape is that of a block of a model, and of what is around the blocks.
type shape struct {
	name                        string
	d, ff, heads, kv, dim       int
	vocab                       int
	qkv, v, out, gate, up, down tensor.DType
	head                        tensor.DType
	bias, norm                  bool
}

// plan is a model of one block.
func (s shape) plan(t testing.TB) *plan.Plan {
	t.Helper()
	b := plan.NewBuilder(s.name, s.vocab, 4096)
	w := func(dt tensor.DType, shape ...int) plan.Weight {
		return b.Weight(tensor.Desc{Name: fmt.Sprint(shape), DType: dt, Shape: shape})
	}
	vec := func(on bool, n int) plan.Weight {
		if !on {
			return 0
		}
		return w(tensor.F32, n)
	}
	rope := &plan.RopeParams{NEOX: true, Dims: s.dim, Freqs: make([]float64, s.dim/2), MScale: 1}
	layer := b.Cache(plan.KVLayer{Heads: s.kv, KeyDim: s.dim, ValueDim: s.dim})
	embed := w(s.head, s.vocab, s.d)
	x := b.Embed("x", embed)
	h := b.RMSNorm("h", x, vec(true, s.d), 1e-5)
	q := b.Linear("q", h, w(s.qkv, s.heads*s.dim, s.d), vec(s.bias, s.heads*s.dim))
	k := b.Linear("k", h, w(s.qkv, s.kv*s.dim, s.d), vec(s.bias, s.kv*s.dim))
	v := b.Linear("v", h, w(s.v, s.kv*s.dim, s.d), vec(s.bias, s.kv*s.dim))
	if s.norm {
		q = b.HeadNorm("qn", q, vec(true, s.dim), s.heads, s.dim, 1e-5)
		k = b.HeadNorm("kn", k, vec(true, s.dim), s.kv, s.dim, 1e-5)
	}
	q, k = b.Rope("qr", q, s.heads, s.dim, rope), b.Rope("kr", k, s.kv, s.dim, rope)
	b.AppendKV(layer, k, v)
	a := b.Attention("a", layer, q, s.heads, 0.1)
	x = b.Add("x1", x, b.Linear("o", a, w(s.out, s.d, s.heads*s.dim), 0))
	h = b.RMSNorm("h2", x, vec(true, s.d), 1e-5)
	act := b.SiLUMul("act", b.Linear("gate", h, w(s.gate, s.ff, s.d), 0), b.Linear("up", h, w(s.up, s.ff, s.d), 0))
	x = b.Add("x2", x, b.Linear("down", act, w(s.down, s.d, s.ff), 0))
	b.Logits(b.RMSNorm("n", b.SelectRows("s", x), vec(true, s.d), 1e-5), embed)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unloaded are weights that take no memory: nothing reads them.
func unloaded(g *gpu, p *plan.Plan) *weights {
	l := newWeights(g, p)
	pairs := pairsOf(p)
	for i, d := range p.Weights {
		if len(d.Shape) == 1 {
			l.vecs[i] = 256
			continue
		}
		_, paired := pairs[i]
		l.mats[i] = matrix{layout: layoutOf(d), at: 256, scale: 1, paired: paired}
	}
	return l
}

// checking is an idle device that verifies what it loads.
type checking struct {
	idle
	t  testing.TB
	mu sync.Mutex // guards what follows
	// modules is what was loaded.
	modules []*ptx.Module
}

func (d *checking) Load(m *ptx.Module) (driver.Module, error) {
	if err := ptx.Verify(m); err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	d.modules = append(d.modules, m)
	d.mu.Unlock()
	return d.idle.Load(m)
}

var spills = regexp.MustCompile(`[1-9][0-9]* bytes spill`)

// assemble has ptxas compile the modules, where SANDWARP_PTXAS says there is one.
func assemble(t *testing.T, modules []*ptx.Module) {
	t.Helper()
	ptxas := os.Getenv("SANDWARP_PTXAS")
	if ptxas == "" || testing.Short() {
		return
	}
	for i, m := range modules {
		file := filepath.Join(t.TempDir(), fmt.Sprint(i)+".ptx")
		if err := os.WriteFile(file, []byte(m.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(ptxas, "-v", "-arch="+m.Target.Arch, file, "-o", os.DevNull).CombinedOutput()
		if err != nil || spills.Match(out) {
			t.Errorf("%s: %v\n%s", m.Kernels[0].Name, err, out)
		}
	}
}

var shapes = []shape{
	{"llama-3.1-8b-q4_k_m", 4096, 14336, 32, 8, 128, 128256, tensor.Q4_K, tensor.Q6_K, tensor.Q4_K, tensor.Q4_K, tensor.Q4_K, tensor.Q6_K, tensor.Q6_K, false, false},
	{"llama-3.1-8b-bf16", 4096, 14336, 32, 8, 128, 128256, tensor.BF16, tensor.BF16, tensor.BF16, tensor.BF16, tensor.BF16, tensor.BF16, tensor.BF16, false, false},
	{"qwen2.5-7b-q8_0", 3584, 18944, 28, 4, 128, 152064, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, true, false},
	{"qwen2.5-0.5b-q4_0", 896, 4864, 14, 2, 64, 151936, tensor.Q4_0, tensor.Q4_0, tensor.Q4_0, tensor.Q4_0, tensor.Q4_0, tensor.Q4_0, tensor.Q8_0, true, false},
	{"qwen3-32b-q5_k", 5120, 25600, 64, 8, 128, 151936, tensor.Q5_K, tensor.Q6_K, tensor.Q5_K, tensor.Q5_K, tensor.Q5_K, tensor.Q6_K, tensor.Q6_K, false, true},
	{"llama-3.1-70b-q4_k", 8192, 28672, 64, 8, 128, 128256, tensor.Q4_K, tensor.Q5_K, tensor.Q4_K, tensor.Q4_K, tensor.Q4_K, tensor.Q6_K, tensor.Q6_K, false, false},
	{"gate-and-up-apart", 2048, 8192, 32, 8, 64, 32000, tensor.Q5_0, tensor.MXFP4, tensor.F16, tensor.Q4_0, tensor.Q8_0, tensor.Q5_0, tensor.F32, true, true},
}

// The kernels of models people run can be built for batches of every size, on both
// targets, and pass the verifier; and a step of decoding is as few launches as it
// should be.
func TestRealShapes(t *testing.T) {
	for i, s := range shapes {
		if testing.Short() && i > 0 {
			break
		}
		for _, target := range targets {
			t.Run(s.name+"/"+target.Arch, func(t *testing.T) {
				t.Parallel()
				info := h200
				if !target.Hopper() { // the least shared memory there is
					info.Major, info.Minor, info.SMs, info.SharedPerBlock, info.SharedPerSM = 8, 9, 128, 99<<10, 100<<10
				}
				g := idleGPU(t, info, target)
				dev := &checking{idle: g.dev.(idle), t: t}
				g.dev, g.eager = dev, true
				p := plan.Fuse(s.plan(t), g.Supports)
				e, err := compile(g, p, unloaded(g, p), backend.Limits{MaxRows: 512, MaxSeqs: 4, MaxLogit: 64, Pages: 8})
				if err != nil {
					t.Fatal(err)
				}
				eager := len(dev.modules)
				for _, n := range []int{1, 2, 4, 8, 16, 32, 64, 100, 200, 500} {
					b := promptOf(n)
					b.Tables = [][]int32{{0, 1, 2, 3, 4, 5, 6, 7}}
					if err := e.Run(context.Background(), b, matrixOf(1, p.Vocab)); err != nil {
						t.Fatal(err)
					}
					rows := capacity(n)
					t.Logf("%3d rows: %d launches and %d of the head", rows, len(e.bodies[rows].launches), len(e.heads[headID{0, 1, 0}].launches))
				}
				if n := len(e.bodies[1].launches); n > 7 {
					t.Errorf("a row takes %d launches in one block", n)
				}
				for _, p := range e.bodies {
					for _, l := range p.launches {
						if l.args.Shared > info.SharedPerBlock {
							t.Errorf("a launch with %d bytes of shared memory, there are %d", l.args.Shared, info.SharedPerBlock)
						}
					}
				}
				if len(dev.modules) > eager {
					t.Errorf("%d kernels were compiled after Compile, %s first", len(dev.modules)-eager, dev.modules[eager].Kernels[0].Name)
				}
				t.Logf("%d kernels", eager)
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				assemble(t, dev.modules)
			})
		}
	}
}
