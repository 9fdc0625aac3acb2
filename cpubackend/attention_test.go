package cpubackend

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// attentionCase is an attention step alone, over a cache filled at random.
type attentionCase struct {
	heads, kv, keyDim, valueDim int
	threads                     int
	cache                       backend.KVType
	seqs                        []span // rows of the batch, by sequence
}

// span is n rows from position pos on.
type span struct{ pos, n int }

func (c attentionCase) String() string {
	return fmt.Sprintf("heads=%d/%d,dims=%d/%d,threads=%d,cache=%v,rows=%v", c.heads, c.kv, c.keyDim, c.valueDim, c.threads, c.cache, c.seqs)
}

// build makes an executable whose only step is the attention.
func (c attentionCase) build(t *testing.T, r *rand.Rand) (*executable, *attention) {
	b := &backend.Batch{}
	pages := 0
	for i, s := range c.seqs {
		for j := range s.n {
			b.Tokens, b.Pos, b.Seq = append(b.Tokens, 0), append(b.Pos, int32(s.pos+j)), append(b.Seq, int32(i))
		}
		var table []int32
		for range (s.pos+s.n-1)/backend.PageTokens + 1 {
			table = append(table, int32(pages))
			pages++
		}
		b.Tables = append(b.Tables, table)
	}
	order := r.Perm(pages)
	for _, table := range b.Tables {
		for i := range table {
			table[i] = int32(order[table[i]])
		}
	}
	kv := plan.KVLayer{Heads: c.kv, KeyDim: c.keyDim, ValueDim: c.valueDim}
	p := &plan.Plan{KV: []plan.KVLayer{kv}, Steps: []plan.Step{{Kind: plan.Attention, Attr: plan.Attr{Heads: c.heads, KVHeads: c.kv}}}}
	e := &executable{plan: p, lim: backend.Limits{MaxRows: len(b.Tokens), Threads: c.threads, Pages: pages, KV: c.cache}, batch: b, rows: len(b.Tokens), ctx: context.Background()}
	var err error
	if e.cache, err = newCache(p.KV, pages, c.cache); err != nil {
		t.Fatal(err)
	}
	e.attn = newAttnPlan(p, e.lim)
	a := &attention{layer: &e.cache.layers[0], heads: c.heads, group: c.heads / c.kv, scale: 0.3,
		q: make([]float32, e.rows*c.heads*c.keyDim), out: make([]float32, e.rows*c.heads*c.valueDim)}
	for i := range a.q {
		a.q[i] = float32(r.NormFloat64())
	}
	e.steps = []step{a}
	e.crew = newCrew(e, c.threads)
	t.Cleanup(func() {
		e.crew.stop()
		if err := e.cache.close(); err != nil {
			t.Error(err)
		}
	})
	return e, a
}

// fill stores random keys and values and returns them by sequence, position and
// head, as the cache rounds them.
func fill(e *executable, a *attention, r *rand.Rand) (keys, values map[[3]int][]float64) {
	keys, values = map[[3]int][]float64{}, map[[3]int][]float64{}
	l := a.layer
	for seq, table := range e.batch.Tables {
		for pos := range len(table) * backend.PageTokens {
			for h := range l.heads {
				for _, x := range []struct {
					h    *half
					into map[[3]int][]float64
				}{{&l.k, keys}, {&l.v, values}} {
					row := make([]float32, x.h.dim)
					for i := range row {
						row[i] = float32(math.Round(r.NormFloat64()*64) / 64) // exact in half precision
					}
					l.put(&e.crew.workers[0].attn, x.h, table[pos/backend.PageTokens], h, pos%backend.PageTokens, row)
					wide := make([]float64, len(row))
					for i, v := range row {
						wide[i] = float64(v)
					}
					x.into[[3]int{seq, pos, h}] = wide
				}
			}
		}
	}
	return keys, values
}

// expect is the attention of one row and head, by its definition.
func expect(a *attention, q []float32, keys, values map[[3]int][]float64, seq, pos, head int) []float64 {
	weights, top := make([]float64, pos+1), math.Inf(-1)
	for p := range weights {
		for i, k := range keys[[3]int{seq, p, head}] {
			weights[p] += float64(a.scale) * float64(q[i]) * k
		}
		top = max(top, weights[p])
	}
	sum, out := 0.0, make([]float64, a.layer.v.dim)
	for p := range weights {
		weights[p] = math.Exp(weights[p] - top)
		sum += weights[p]
	}
	for p, w := range weights {
		for i, v := range values[[3]int{seq, p, head}] {
			out[i] += w / sum * v
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	const f16, f32, q8 = backend.KVF16, backend.KVF32, backend.KVQ8_0
	long, prompt := []span{{700, 1}}, []span{{0, 130}}
	cases := []attentionCase{
		{2, 2, 16, 16, 1, f32, []span{{0, 1}}},
		{14, 2, 64, 64, 2, f16, []span{{63, 1}}},         // local
		{14, 2, 64, 64, 2, f16, []span{{63, 3}}},         // local, a tile over two pages
		{14, 2, 64, 64, 4, f32, long},                    // splits
		{6, 3, 32, 32, 2, f32, long},                     // splits, uneven heads
		{8, 8, 16, 24, 3, f16, []span{{300, 1}, {4, 1}}}, // a short sequence beside a long one
		{4, 1, 48, 16, 5, f32, long},
		{7, 1, 8, 8, 1, f32, prompt},
		{4, 2, 16, 16, 2, f16, prompt},
		{40, 1, 16, 16, 2, f32, []span{{250, 20}}}, // a group larger than a tile
		{4, 4, 16, 16, 3, f32, []span{{0, 70}, {255, 2}, {256, 1}, {500, 40}, {64, 1}}},
		{2, 1, 16, 16, 8, f32, []span{{511, 2}}},
		{8, 1, 24, 10, 4, f32, []span{{700, 8}}}, // many queries, splits that some see nothing of
		{6, 2, 12, 10, 2, f16, []span{{130, 70}}},
		{14, 2, 64, 64, 2, f16, []span{{0, 300}, {40, 9}, {640, 1}}},
		{14, 2, 64, 64, 2, q8, []span{{63, 1}}}, // local
		{7, 1, 64, 64, 4, q8, long},             // splits
		{4, 2, 32, 40, 3, q8, []span{{300, 1}, {4, 1}}},
		{8, 4, 16, 48, 2, q8, prompt},
		{40, 1, 80, 24, 2, q8, []span{{250, 20}}},
	}
	for i, c := range cases {
		t.Run(c.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 4))
			e, a := c.build(t, r)
			keys, values := fill(e, a, r)
			e.attn.divide(e.batch)
			e.crew.barrier.wait(0, false, patience{})
			e.crew.workers[0].walk()
			_ = e.crew.failure(&weights{})
			worst, sum, count := 0.0, 0.0, 0
			for row := range e.rows {
				for h := range c.heads {
					at := row*c.heads + h
					want := expect(a, a.q[at*c.keyDim:(at+1)*c.keyDim], keys, values, int(e.batch.Seq[row]), int(e.batch.Pos[row]), h/a.group)
					for i, v := range want {
						d := float64(a.out[at*c.valueDim+i]) - v
						worst, sum, count = max(worst, math.Abs(d)), sum+d*d, count+1
					}
				}
			}
			if rms := math.Sqrt(sum / float64(count)); c.cache == q8 && rms < 1.5e-2 {
				return // numbers around 1 are off by 0.01, scores by 0.02
			}
			if !(worst < 2e-5) {
				t.Errorf("off by %g (splits %d, local %v)", worst, e.attn.splits, e.attn.local)
			}
		})
	}
}

// Work is cut so that no worker idles, and no finer.
func TestAttentionSplits(t *testing.T) {
	for _, c := range []struct{ kv, threads, rows, context, want int }{
		{2, 2, 1, 4000, 1}, // a head each
		{2, 4, 1, 4000, 2},
		{3, 2, 1, 4000, 2},
		{3, 2, 1, 100, 1}, // too short to share
		{1, 8, 1, 8000, 8},
		{8, 2, 64, 4000, 1},
	} {
		p := &plan.Plan{KV: []plan.KVLayer{{Heads: c.kv, KeyDim: 16, ValueDim: 16}}}
		a := newAttnPlan(p, backend.Limits{Threads: c.threads, MaxRows: c.rows})
		b := &backend.Batch{}
		for i := range c.rows {
			b.Pos, b.Seq = append(b.Pos, int32(c.context-c.rows+i)), append(b.Seq, 0)
		}
		if a.divide(b); a.splits != c.want {
			t.Errorf("%d KV heads, %d workers, %d rows at %d: %d splits, want %d", c.kv, c.threads, c.rows, c.context, a.splits, c.want)
		}
		// Splits of a tile cover its positions once.
		for _, tile := range a.tiles {
			at := 0
			for i := range a.splits {
				from, to := tile.positions(i, a.splits)
				if from != at || to < from || from%backend.PageTokens != 0 {
					t.Errorf("split %d of %d covers [%d, %d) after %d", i, a.splits, from, to, at)
				}
				at = to
			}
			if at != tile.pos+tile.rows {
				t.Errorf("splits end at %d, want %d", at, tile.pos+tile.rows)
			}
		}
	}
}
