package cpubackend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// attentionEngine is attention alone, a step for each of so many layers, of rows at
// the end of one long sequence, in the shape of Qwen2.5-0.5B.
func attentionEngine(b *testing.B, layers, depth, rows, threads int, kind backend.KVType) *executable {
	b.Helper()
	const heads, kv, dim = 14, 2, 64
	batch := &backend.Batch{Tables: [][]int32{nil}}
	for i := range rows {
		batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, 0), append(batch.Pos, int32(depth+i)), append(batch.Seq, 0)
	}
	pages := (depth+rows-1)/backend.PageTokens + 1
	for i := range pages {
		batch.Tables[0] = append(batch.Tables[0], int32(i))
	}
	p := &plan.Plan{}
	for i := range layers {
		p.KV = append(p.KV, plan.KVLayer{Heads: kv, KeyDim: dim, ValueDim: dim})
		p.Steps = append(p.Steps, plan.Step{Kind: plan.Attention, Layer: i, Attr: plan.Attr{Heads: heads, KVHeads: kv}})
	}
	e := &executable{plan: p, lim: backend.Limits{MaxRows: rows, Threads: threads, Pages: pages, KV: kind}, batch: batch, rows: rows, ctx: context.Background()}
	var err error
	if e.cache, err = newCache(p.KV, pages, kind); err != nil {
		b.Fatal(err)
	}
	e.attn = newAttnPlan(p, e.lim)
	r := rand.New(rand.NewPCG(1, 2))
	q, out := make([]float32, rows*heads*dim), make([]float32, rows*heads*dim)
	for i := range q {
		q[i] = float32(r.NormFloat64())
	}
	for i := range layers {
		e.steps = append(e.steps, &attention{layer: &e.cache.layers[i], number: i, heads: heads, group: heads / kv, scale: 0.125, q: q, out: out})
	}
	e.setPatience()
	e.crew = newCrew(e, threads)
	x := make([]float32, dim)
	for i := range e.cache.layers {
		l := &e.cache.layers[i]
		for page := range pages {
			for at := range kv * backend.PageTokens {
				for c := range x {
					x[c] = float32(r.NormFloat64())
				}
				l.put(&e.crew.workers[0].attn, &l.k, int32(page), at/backend.PageTokens, at%backend.PageTokens, x)
				l.put(&e.crew.workers[0].attn, &l.v, int32(page), at/backend.PageTokens, at%backend.PageTokens, x)
			}
		}
	}
	b.Cleanup(func() {
		e.crew.stop()
		if err := e.cache.close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

func (e *executable) attend() {
	e.attn.divide(e.batch)
	e.crew.barrier.wait(0, false, e.busy)
	e.crew.workers[0].walk()
}

// BenchmarkAttentionDecode is the attention of one token after so many, beside the
// read bandwidth measured just before.
func BenchmarkAttentionDecode(b *testing.B) {
	const layers = 12
	for _, depth := range []int{4096, 16384} {
		for _, threads := range []int{1, 2} {
			for _, kind := range []backend.KVType{backend.KVF16, backend.KVQ8_0} {
				b.Run(fmt.Sprintf("%d/threads=%d/%v", depth, threads, kind), func(b *testing.B) {
					e := attentionEngine(b, layers, depth, 1, threads, kind)
					bandwidth := newMeter(b, threads).Measure().ReadBandwidth
					for b.Loop() {
						e.attend()
					}
					sec := b.Elapsed().Seconds() / float64(b.N)
					read := float64(layers * 2 * 2 * depth * kind.RowBytes(64))
					b.ReportMetric(sec/layers*1e6, "us/layer")
					b.ReportMetric(read/sec/1e9, "GB/s")
					b.ReportMetric(100*read/sec/bandwidth, "%read")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

// BenchmarkAttentionPrefill is the attention of the last 512 tokens of a prompt,
// beside the peak of float32 products.
func BenchmarkAttentionPrefill(b *testing.B) {
	const rows = 512
	for _, depth := range []int{0, 3584, 15872} {
		for _, threads := range []int{1, 2} {
			for _, kind := range []backend.KVType{backend.KVF16, backend.KVQ8_0} {
				b.Run(fmt.Sprintf("%d/threads=%d/%v", depth+rows, threads, kind), func(b *testing.B) {
					e := attentionEngine(b, 1, depth, rows, threads, kind)
					peak := newMeter(b, threads).Measure().FloatPeak
					for b.Loop() {
						e.attend()
					}
					sec := b.Elapsed().Seconds() / float64(b.N)
					products := float64(rows*depth+rows*(rows+1)/2) * 14 * 64 * 2
					b.ReportMetric(sec*1e3, "ms")
					b.ReportMetric(2*products/sec/1e9, "GFLOP/s")
					b.ReportMetric(100*2*products/sec/peak, "%peak")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}
