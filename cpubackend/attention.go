package cpubackend

import (
	"math"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// attention attends over a layer's cache with an online softmax (Milakov and
// Gimelshein 2018), a tile of queries over a run of positions at a time (Dao et al.
// 2022): the cache is read once per tile and the scores stay in the worker's cache.
// The query heads that share a KV head are rows of the same tile.
type attention struct {
	joined
	layer        *layerCache
	number       int       // of the layer
	q, out       []float32 // (rows, heads*KeyDim), (rows, heads*ValueDim)
	heads, group int       // query heads, and how many share a KV head
	scale        float32
}

func newAttention(e *executable, s *plan.Step) step {
	return &attention{layer: &e.cache.layers[s.Layer], number: s.Layer, q: e.value(s.In[0]), out: e.value(s.Out[0]),
		heads: s.Attr.Heads, group: s.Attr.Heads / s.Attr.KVHeads, scale: s.Attr.Scale}
}

// linkAttention finds the attention steps that may follow their projections
// without waiting: their output must not overwrite what projections still read.
func (e *executable) linkAttention() {
	for i := 1; i < len(e.steps); i++ {
		q, ok := e.steps[i-1].(*qkv)
		a, ok2 := e.steps[i].(*attention)
		q0, a0 := &e.plan.Steps[max(i-1, 0)], &e.plan.Steps[i]
		if ok && ok2 && q.layer == a.layer && q0.Out[0] == a0.In[0] {
			q.attends = !overlap(e.value(q0.In[0]), a.out)
		}
	}
}

// overlap reports whether x and y, pieces of one buffer, share elements.
func overlap(x, y []float32) bool {
	return addr(x) < addr(y)+uintptr(4*len(y)) && addr(y) < addr(x)+uintptr(4*len(x))
}

// attnScratch is a worker's memory for one tile.
type attnScratch struct {
	q      []float32 // (tileQueries, KeyDim)
	scores []float32 // (tileQueries, attnRun)
	acc    []float32 // (tileQueries, ValueDim)
	state  []softmax // (tileQueries)
	// q8 rounds rows for a cache in Q8_0; nil otherwise.
	q8 *kernels.RowsQ8
	// wide is for tiles of many queries; nil over a cache in Q8_0.
	wide *wideScratch
}

// softmax is how far an online softmax has come: the largest score, and the sum of
// exp(score - max). The weighted sum of values is kept beside it.
type softmax struct{ max, sum float32 }

var softmaxStart = softmax{max: float32(math.Inf(-1))}

// attnRun is how many positions are scored before their values are summed.
const attnRun = 4 * backend.PageTokens

func (s *attention) run(w *worker) {
	p := w.e.attn
	heads := s.layer.heads
	if p.local {
		from, to := w.share(heads, 1)
		for i := range p.tiles {
			for h := from; h < to; h++ {
				s.tile(w, &p.tiles[i], h, 0)
			}
		}
		return
	}
	// The last tiles of a sequence see most, so they go first.
	for n := len(p.tiles) * heads * p.splits; ; {
		u := n - int(p.tickets[s.number].next.Add(1))
		if u < 0 {
			break
		}
		s.tile(w, &p.tiles[u/heads/p.splits], u/p.splits%heads, u%p.splits)
	}
	if p.splits > 1 && w.sync() {
		s.merge(w)
	}
}

// tile does the queries of one tile and KV head over one split of the positions.
func (s *attention) tile(w *worker, t *attnTile, head, split int) {
	p, b := w.e.attn, w.e.batch
	n, k, v := t.rows*s.group, s.layer.k.dim, s.layer.v.width()
	x := &w.attn
	q := x.q[:n*k]
	for r := range t.rows {
		at := ((t.first+r)*s.heads + head*s.group) * k
		copy(q[r*s.group*k:(r+1)*s.group*k], s.q[at:])
	}
	acc, state := x.acc[:n*v], x.state[:n]
	if p.splits > 1 {
		acc, state = p.partial(t, head, split, n, v)
	}
	from, to := t.positions(split, p.splits)
	table := b.Tables[b.Seq[t.first]]
	if x.wide != nil && n >= wideFrom {
		s.wide(x, acc, state, t, table, head, from, to)
	} else {
		s.narrow(x, q, acc, state, t, table, head, from, to)
	}
	if p.splits > 1 {
		return
	}
	for i, st := range state {
		s.finish(t.first+i/s.group, head*s.group+i%s.group, acc[i*v:(i+1)*v], 1/st.sum)
	}
}

// narrow does a tile row by row of its queries.
func (s *attention) narrow(x *attnScratch, q, acc []float32, state []softmax, t *attnTile, table []int32, head, from, to int) {
	s.layer.setQueries(x, q, len(state))
	clear(acc)
	for i := range state {
		state[i] = softmaxStart
	}
	for ; from < to; from += attnRun {
		s.advance(x, q, acc, state, t, table, head, from, min(from+attnRun, to))
	}
}

// advance takes a tile's softmax over positions [from, to), at most attnRun of
// them beginning with a page.
func (s *attention) advance(x *attnScratch, q, acc []float32, state []softmax, t *attnTile, table []int32, head, from, to int) {
	const page = backend.PageTokens
	n, scores := len(state), x.scores
	for at := from; at < to; at += page {
		s.layer.scores(x, scores[at-from:], attnRun, q, n, table[at/page], nextPage(table, at), head, min(page, to-at), s.scale)
	}
	v, pages := s.layer.v.width(), roundUp(to-from, page)
	for i := range state {
		row := scores[i*attnRun : i*attnRun+pages]
		// The causal mask: query row r sees positions up to its own.
		seen := min(max(t.pos+i/s.group+1-from, 0), to-from)
		state[i].take(row[:seen], acc[i*v:(i+1)*v])
		clear(row[seen:])
	}
	for at := from; at < to; at += page {
		s.layer.weighted(x, acc, scores[at-from:], attnRun, n, table[at/page], nextPage(table, at), head, min(page, to-at))
	}
}

// nextPage is the page after that of a position, or the same if there is none.
func nextPage(table []int32, at int) int32 {
	return table[min(at/backend.PageTokens+1, len(table)-1)]
}

// take adds scores, which become their weights, and scales acc to them.
func (s *softmax) take(scores, acc []float32) {
	if len(scores) == 0 {
		return
	}
	if m := kernels.Max(scores); m > s.max {
		if s.sum > 0 {
			s.scale(acc, exp(s.max-m))
		}
		s.max = m
	}
	s.sum += kernels.ExpSum(scores, s.max)
}

func (s *softmax) scale(acc []float32, f float32) {
	s.sum *= f
	for i := range acc {
		acc[i] *= f
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// finish writes one head of one output row.
func (s *attention) finish(row, head int, acc []float32, scale float32) {
	v := s.layer.v.dim
	acc = acc[:v]
	out := s.out[(row*s.heads+head)*v : (row*s.heads+head+1)*v]
	for i, x := range acc {
		out[i] = x * scale
	}
}

// merge puts the splits of each query together.
func (s *attention) merge(w *worker) {
	p, v := w.e.attn, s.layer.v.width()
	from, to := w.share(len(p.tiles)*s.layer.heads, 1)
	for u := from; u < to; u++ {
		t, head := &p.tiles[u/s.layer.heads], u%s.layer.heads
		n := t.rows * s.group
		acc, state := p.partial(t, head, 0, n, v)
		for split := 1; split < p.splits; split++ {
			acc2, state2 := p.partial(t, head, split, n, v)
			for i := range n {
				state[i].merge(acc[i*v:(i+1)*v], state2[i], acc2[i*v:(i+1)*v])
			}
		}
		for i, st := range state {
			s.finish(t.first+i/s.group, head*s.group+i%s.group, acc[i*v:(i+1)*v], 1/st.sum)
		}
	}
}

// merge adds the softmax o with its sum of values acc2 to s with acc.
func (s *softmax) merge(acc []float32, o softmax, acc2 []float32) {
	if o.sum == 0 {
		return
	}
	m := max(s.max, o.max)
	if s.sum > 0 {
		s.scale(acc, exp(s.max-m))
	}
	f := exp(o.max - m)
	s.max, s.sum = m, s.sum+f*o.sum
	for i, x := range acc2 {
		acc[i] += f * x
	}
}
