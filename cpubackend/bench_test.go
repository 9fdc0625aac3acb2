package cpubackend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// dims are the sizes of a model to measure.
type dims struct{ d, ff, heads, kv, dim, blocks, vocab int }

// qwen05b is the shape of Qwen2.5-0.5B; its embeddings are tied.
var qwen05b = dims{d: 896, ff: 4864, heads: 14, kv: 2, dim: 64, blocks: 24, vocab: 151936}

// randomModel writes a model of a shape with random weights of a format.
func randomModel(b *testing.B, m dims, t tensor.DType) (*plan.Plan, [][]byte) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	pool := modeltest.RandomBlocks(r, t, m.ff*m.d, 0.02) // what all matrices are copied from
	ones := make([]byte, 4*m.ff)
	for i := range m.ff {
		ones[4*i+2], ones[4*i+3] = 0x80, 0x3f
	}
	var data [][]byte
	p := plan.NewBuilder("random", m.vocab, 4096)
	mat := func(n, k int) plan.Weight {
		w := make([]byte, t.RowBytes(k)*n)
		for rest := w; len(rest) > 0; {
			rest = rest[copy(rest, pool):]
		}
		data = append(data, w)
		return p.Weight(tensor.Desc{Name: "w", DType: t, Shape: []int{n, k}})
	}
	norm := func() plan.Weight {
		data = append(data, ones[:4*m.d])
		return p.Weight(tensor.Desc{Name: "norm", DType: tensor.F32, Shape: []int{m.d}})
	}
	rope := &plan.RopeParams{NEOX: true, Dims: m.dim, Freqs: make([]float64, m.dim/2), MScale: 1}
	embed := mat(m.vocab, m.d)
	x := p.Embed("x", embed)
	for range m.blocks {
		l := p.Cache(plan.KVLayer{Heads: m.kv, KeyDim: m.dim, ValueDim: m.dim})
		h := p.RMSNorm("h", x, norm(), 1e-6)
		q := p.Linear("q", h, mat(m.heads*m.dim, m.d), 0)
		k := p.Linear("k", h, mat(m.kv*m.dim, m.d), 0)
		v := p.Linear("v", h, mat(m.kv*m.dim, m.d), 0)
		q = p.Rope("q", q, m.heads, m.dim, rope)
		p.AppendKV(l, p.Rope("k", k, m.kv, m.dim, rope), v)
		o := p.Linear("o", p.Attention("attn", l, q, m.heads, 0.125), mat(m.d, m.heads*m.dim), 0)
		x = p.Add("x", x, o)
		h = p.RMSNorm("h", x, norm(), 1e-6)
		a := p.SiLUMul("a", p.Linear("gate", h, mat(m.ff, m.d), 0), p.Linear("up", h, mat(m.ff, m.d), 0))
		x = p.Add("x", x, p.Linear("down", a, mat(m.d, m.ff), 0))
	}
	p.Logits(p.RMSNorm("h", p.SelectRows("x", x), norm(), 1e-6), embed)
	built, err := p.Plan()
	if err != nil {
		b.Fatal(err)
	}
	return built, data
}

// benchEngine is a random model, or the file named by SANDWARP_BENCH_MODEL.
func benchEngine(b *testing.B, m dims, t tensor.DType, lim backend.Limits) *engine {
	if path := os.Getenv("SANDWARP_BENCH_MODEL"); path != "" {
		return openEngine(b, path, lim)
	}
	p, data := randomModel(b, m, t)
	return newEngine(b, p, data, lim)
}

func newMeter(b *testing.B, threads int) *Meter {
	m, err := NewMeter(threads)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

// BenchmarkDecode is decoding after a prompt of 64 tokens, 64 tokens a time, beside
// the read bandwidth measured just before: "share" is of that.
func BenchmarkDecode(b *testing.B) {
	for _, f := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q5_0} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("0.5B-%v/threads=%d", f, threads), func(b *testing.B) {
				g := benchEngine(b, qwen05b, f, backend.Limits{Threads: threads})
				logits, token := matrix(1, g.plan.Vocab), []int32{1}
				meter := newMeter(b, threads)
				tokens, bandwidth := 0, 0.0
				var took time.Duration
				for b.Loop() {
					bandwidth += meter.Measure().ReadBandwidth
					g.done = 0
					g.feed(make([]int32, 64), logits)
					began := time.Now()
					for range 64 {
						g.feed(token, logits)
						tokens++
					}
					took += time.Since(began)
				}
				rate := float64(tokens) / took.Seconds()
				b.ReportMetric(rate, "tok/s")
				b.ReportMetric(rate*float64(g.bytes)/1e9, "GB/s")
				b.ReportMetric(100*rate*float64(g.bytes)/(bandwidth/float64(b.N)), "%share")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkPrefill is a prompt of 512 tokens; "share" is of the int8 peak.
func BenchmarkPrefill(b *testing.B) {
	for _, f := range []tensor.DType{tensor.Q8_0, tensor.Q4_0} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("0.5B-%v/threads=%d", f, threads), func(b *testing.B) {
				g := benchEngine(b, qwen05b, f, backend.Limits{Threads: threads})
				logits, prompt := matrix(1, g.plan.Vocab), make([]int32, 512)
				meter := newMeter(b, threads)
				peak := 0.0
				var took time.Duration
				for b.Loop() {
					peak += meter.Measure().IntPeak
					g.done = 0
					began := time.Now()
					g.feed(prompt, logits)
					took += time.Since(began)
				}
				rate := float64(b.N*len(prompt)) / took.Seconds()
				b.ReportMetric(rate, "tok/s")
				b.ReportMetric(100*rate*2*float64(g.products)/(peak/float64(b.N)), "%share")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkBatch is decoding several sequences at once, each token at position 10.
func BenchmarkBatch(b *testing.B) {
	for _, f := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q5_0} {
		for _, n := range []int{1, 2, 4, 8, 16, 32} {
			b.Run(fmt.Sprintf("%v/%d", f, n), func(b *testing.B) { benchBatch(b, f, n) })
		}
	}
}

func benchBatch(b *testing.B, f tensor.DType, n int) {
	g := benchEngine(b, qwen05b, f, backend.Limits{Threads: 2, MaxLogit: n, MaxSeqs: n})
	var batch backend.Batch
	for i := range int32(n) {
		batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, i), append(batch.Pos, 10), append(batch.Seq, i)
		batch.Tables, batch.LogitRows = append(batch.Tables, []int32{i % 16}), append(batch.LogitRows, i)
	}
	logits := matrix(n, g.plan.Vocab)
	for b.Loop() {
		if err := g.exec.Run(context.Background(), &batch, logits); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tok/s")
}

// BenchmarkSteps is a model so small that a run is all overhead: barriers, walking
// the plan, the small operations. It reports the time per step.
func BenchmarkSteps(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p, data := randomModel(b, dims{d: 32, ff: 32, heads: 2, kv: 2, dim: 16, blocks: 24, vocab: 32}, tensor.Q8_0)
			g := newEngine(b, p, data, backend.Limits{Threads: threads})
			logits, token := matrix(1, 32), []int32{1}
			for b.Loop() {
				g.done = 0
				g.feed(token, logits)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(g.plan.Steps)), "ns/step")
		})
	}
}

// BenchmarkLongContext is decoding the token at position 1023, where attention
// counts.
func BenchmarkLongContext(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			g := benchEngine(b, qwen05b, tensor.Q8_0, backend.Limits{Threads: threads})
			logits, token := matrix(1, g.plan.Vocab), []int32{1}
			for g.done < 1023 {
				g.feed(make([]int32, min(512, 1023-g.done)), nil)
			}
			for b.Loop() {
				g.done = 1023
				g.feed(token, logits)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}
