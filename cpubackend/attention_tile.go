package cpubackend

import (
	"slices"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
)

// A tile of many queries attends page by page with products of matrices: see
// kernels/attention_tile.go. Its queries are columns, filled up with zeros to a
// multiple of kernels.TileColumns, in blocks that fit the first cache; each page of
// the KV cache is widened to float32 once for all of them.

// wideFrom is how many query rows are worth that: fewer are done row by row.
const wideFrom = 17

// wideColumns is how many queries are multiplied together: four registers.
const wideColumns = 64

// wideScratch is a worker's memory for it.
type wideScratch struct {
	blocks []wideBlock
	scores []float32 // (PageTokens, wideColumns), then the weights
	k, v   []float32 // a page, widened: (PageTokens, KeyDim), (PageTokens, ValueDim)
	fade   []float32 // (wideColumns) what the sums so far are worth under a new maximum
	spare  []float32 // (wideColumns)
}

// wideBlock is wideColumns queries, fewer in a tile's last one: n of them, in Q
// columns.
type wideBlock struct {
	first, n, columns int
	q                 []float32 // (KeyDim, Q)
	acc               []float32 // (ValueDim, Q)
	max, sum          []float32 // (Q)
}

func newWideScratch(queries, keyDim, valueDim int) *wideScratch {
	const page = backend.PageTokens
	y := &wideScratch{scores: make([]float32, page*wideColumns), k: make([]float32, page*keyDim), v: make([]float32, page*valueDim+kernels.OuterRows),
		fade: make([]float32, wideColumns), spare: make([]float32, wideColumns)}
	for range roundUp(queries, wideColumns) / wideColumns {
		y.blocks = append(y.blocks, wideBlock{q: make([]float32, keyDim*wideColumns), acc: make([]float32, roundUp(valueDim, kernels.OuterRows)*wideColumns),
			max: make([]float32, wideColumns), sum: make([]float32, wideColumns)})
	}
	return y
}

// begin sets the blocks to the n rows of q (n, k), for sums of v columns.
func (y *wideScratch) begin(q []float32, n, k, v int) []wideBlock {
	blocks := y.blocks[:roundUp(n, wideColumns)/wideColumns]
	for i := range blocks {
		b := &blocks[i]
		b.first = i * wideColumns
		b.n = min(n-b.first, wideColumns)
		b.columns = roundUp(b.n, kernels.TileColumns)
		transpose(b.q[:k*b.columns], b.columns, q[b.first*k:], k, b.n)
		clear(b.acc[:roundUp(v, kernels.OuterRows)*b.columns])
		b.max, b.sum = b.max[:b.columns], b.sum[:b.columns]
		clear(b.sum)
		for j := range b.max {
			b.max[j] = noScore
		}
	}
	return blocks
}

// Scores are finite, masked ones below whatever a maximum begins with, so that no
// difference of two is infinity less infinity.
const (
	noScore     = -1e36
	maskedScore = -1e37
)

// wide is tile for many queries: the rows of x.q; it leaves acc and state as narrow
// does.
func (s *attention) wide(x *attnScratch, acc []float32, state []softmax, t *attnTile, table []int32, head, from, to int) {
	const page = backend.PageTokens
	y, l := x.wide, s.layer
	k, v := l.k.dim, l.v.dim
	blocks := y.begin(x.q, len(state), k, v)
	for at := from; at < to; at += page {
		m := min(page, to-at)
		keys := l.widen(&l.k, y.k, table[at/page], head, roundUp(m, kernels.OuterRows))
		values := l.widen(&l.v, y.v, table[at/page], head, m)
		for i := range blocks {
			b := &blocks[i]
			scores := y.scores[:page*b.columns]
			kernels.Outer(scores, keys, k, 1, b.q, b.columns, m, k, false)
			s.mask(b, scores, t, at, m)
			y.advance(b, scores, m, v, s.scale)
			kernels.Outer(b.acc, values, 1, v, scores, b.columns, v, m, true)
		}
	}
	for i := range blocks {
		b := &blocks[i]
		for j := range b.n {
			state[b.first+j] = softmax{max: b.max[j] * s.scale, sum: b.sum[j]}
			for c := range v {
				acc[(b.first+j)*v+c] = b.acc[c*b.columns+j]
			}
		}
	}
}

// mask hides from each query the positions from at on that come after its own.
func (s *attention) mask(b *wideBlock, scores []float32, t *attnTile, at, m int) {
	for j := max(0, t.pos+1-at); j < m; j++ {
		blind := min((at+j-t.pos)*s.group-b.first, b.n)
		if blind <= 0 {
			continue
		}
		row := scores[j*b.columns : j*b.columns+blind]
		for i := range row {
			row[i] = maskedScore
		}
	}
}

// advance turns a page's scores into weights, under maxima that it raises.
func (y *wideScratch) advance(b *wideBlock, scores []float32, m, v int, scale float32) {
	fade, spare := y.fade[:b.columns], y.spare[:b.columns]
	copy(fade, b.max)
	kernels.MaxRows(b.max, scores, m)
	if !slices.Equal(b.max, fade) {
		kernels.ExpRows(fade, b.max, spare, 1, scale)
		kernels.ScaleRows(b.sum, fade, 1)
		kernels.ScaleRows(b.acc, fade, v)
	}
	kernels.ExpRows(scores, b.max, b.sum, m, scale)
}

// transpose sets dst (k, columns) to src (n, k) turned over, filled up with zeros.
func transpose(dst []float32, columns int, src []float32, k, n int) {
	if n < columns {
		clear(dst)
	}
	for i := range n {
		for c, x := range src[i*k : (i+1)*k] {
			dst[c*columns+i] = x
		}
	}
}
