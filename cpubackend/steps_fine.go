package cpubackend

import (
	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// The fine steps, for plans that are not fused, or not everywhere.

// embed looks tokens up: a row each.
type embed struct {
	joined
	table *kernels.Mat
	out   []float32 // (rows, K)
}

func newEmbed(e *executable, s *plan.Step) step {
	return &embed{table: e.weights.mat(s.W[plan.WEmbed]), out: e.value(s.Out[0])}
}

func (s *embed) run(w *worker) {
	k := s.table.K
	from, to := w.share(w.e.rows, 1)
	for r := from; r < to; r++ {
		s.table.Row(s.out[r*k:(r+1)*k], int(w.e.batch.Tokens[r]))
	}
}

// rmsNorm norms pieces of a row: the row, or its heads.
type rmsNorm struct {
	joined
	in, out  []float32 // (rows*pieces, len(weight))
	weight   []float32
	pieces   int
	eps      float32
	selected bool
}

func newRMSNorm(e *executable, s *plan.Step) step {
	return &rmsNorm{in: e.value(s.In[0]), out: e.value(s.Out[0]), weight: e.weights.vec(s.W[plan.WNorm]),
		pieces: 1, eps: s.Attr.Eps, selected: e.selected(s.In[0])}
}

func newHeadNorm(e *executable, s *plan.Step) step {
	n := newRMSNorm(e, s).(*rmsNorm)
	n.pieces = s.Attr.Heads
	return n
}

func (s *rmsNorm) run(w *worker) {
	k := len(s.weight)
	from, to := w.share(w.e.rowsIn(s.selected)*s.pieces, 1)
	for i := from * k; i < to*k; i += k {
		kernels.RMSNorm(s.out[i:i+k], s.in[i:i+k], s.weight, s.eps)
	}
}

// linear is one product; each worker does some columns of the output.
type linear struct {
	joined
	in       *input
	mat      *kernels.Mat
	bias     []float32 // (N), nil for none
	out      []float32 // (rows, N)
	selected bool
}

func newLinear(e *executable, s *plan.Step) step {
	m := e.weights.mat(s.W[plan.WMat])
	return &linear{in: e.newInput(s.In[0], 0, 0, m), mat: m, bias: e.weights.vec(s.W[plan.WBias]),
		out: e.value(s.Out[0]), selected: e.selected(s.In[0])}
}

func (s *linear) run(w *worker) {
	rows := w.e.rowsIn(s.selected)
	act := s.in.prepare(w, rows)
	if act == nil {
		return
	}
	from, to := w.share(s.mat.N, s.mat.Grain())
	s.mat.Mul(s.out, s.mat.N, act, 0, rows, from, to)
	addBias(s.out, s.mat.N, s.bias, rows, from, to)
}

// addBias adds bias to columns [from, to) of the rows of y (rows, stride).
func addBias(y []float32, stride int, bias []float32, rows, from, to int) {
	if bias == nil || from >= to {
		return
	}
	for r := range rows {
		kernels.Add(y[r*stride+from:r*stride+to], bias[from:to])
	}
}

// rope rotates the heads of a value.
type rope struct {
	joined
	in, out    []float32 // (rows, heads*dim)
	table      *ropeTable
	heads, dim int
}

func newRope(e *executable, s *plan.Step) step {
	return &rope{in: e.value(s.In[0]), out: e.value(s.Out[0]), table: e.ropeTable(s.Attr.Rope),
		heads: s.Attr.Heads, dim: s.Attr.HeadDim}
}

func (s *rope) run(w *worker) {
	from, to := w.share(w.e.rows*s.heads, 1)
	for i := from; i < to; i++ {
		head := s.out[i*s.dim : (i+1)*s.dim]
		copy(head, s.in[i*s.dim:])
		s.table.rotate(head, s.dim, w.e.batch.Pos[i/s.heads])
	}
}

// ropeTable finds or makes the table for p.
func (e *executable) ropeTable(p *plan.RopeParams) *ropeTable {
	for _, t := range e.ropes {
		if t.p == p {
			return t
		}
	}
	t := newRopeTable(p, e.lim.Pages)
	e.ropes = append(e.ropes, t)
	return t
}

// appendKV stores keys and values in the cache.
type appendKV struct {
	joined
	k, v  []float32 // (rows, heads*KeyDim), (rows, heads*ValueDim)
	layer *layerCache
}

func newAppendKV(e *executable, s *plan.Step) step {
	return &appendKV{k: e.value(s.In[0]), v: e.value(s.In[1]), layer: &e.cache.layers[s.Layer]}
}

func (s *appendKV) run(w *worker) {
	l := s.layer
	from, to := w.share(w.e.rows*l.heads, 1)
	for i := from; i < to; i++ {
		page, slot := w.e.place(i / l.heads)
		l.put(&w.attn, &l.k, page, i%l.heads, slot, s.k[i*l.k.dim:])
		l.put(&w.attn, &l.v, page, i%l.heads, slot, s.v[i*l.v.dim:])
	}
}

// place is where the cache keeps the position of a row.
func (e *executable) place(row int) (page int32, slot int) {
	b := e.batch
	pos := b.Pos[row]
	return b.Tables[b.Seq[row]][pos/backend.PageTokens], int(pos % backend.PageTokens)
}

// columnGrain is where single rows are cut between workers, in float32s: a cache
// line.
const columnGrain = 16

// add is the sum of two values.
type add struct {
	joined
	x, y, out []float32
	width     int
	selected  bool
}

func newAdd(e *executable, s *plan.Step) step {
	return &add{x: e.value(s.In[0]), y: e.value(s.In[1]), out: e.value(s.Out[0]),
		width: e.width(s.In[0]), selected: e.selected(s.In[0])}
}

func (s *add) run(w *worker) {
	from, to := w.share(w.e.rowsIn(s.selected)*s.width, columnGrain)
	if from >= to {
		return
	}
	x, y, out := s.x[from:to], s.y[from:to], s.out[from:to]
	if &out[0] == &y[0] {
		x, y = y, x
	}
	if &out[0] != &x[0] {
		copy(out, x)
	}
	kernels.Add(out, y)
}

// siluMul is silu(gate) * up.
type siluMul struct {
	joined
	gate, up, out []float32
	width         int
	selected      bool
}

func newSiLUMul(e *executable, s *plan.Step) step {
	return &siluMul{gate: e.value(s.In[0]), up: e.value(s.In[1]), out: e.value(s.Out[0]),
		width: e.width(s.In[0]), selected: e.selected(s.In[0])}
}

func (s *siluMul) run(w *worker) {
	from, to := w.share(w.e.rowsIn(s.selected)*s.width, columnGrain)
	kernels.SiLUMul(s.out[from:to], s.gate[from:to], s.up[from:to])
}

// selectRows copies the rows whose logits are wanted.
type selectRows struct {
	joined
	in, out []float32
	width   int
}

func newSelectRows(e *executable, s *plan.Step) step {
	return &selectRows{in: e.value(s.In[0]), out: e.value(s.Out[0]), width: e.width(s.In[0])}
}

func (s *selectRows) run(w *worker) {
	k := s.width
	from, to := w.share(len(w.e.batch.LogitRows), 1)
	for i := from; i < to; i++ {
		r := int(w.e.batch.LogitRows[i])
		copy(s.out[i*k:(i+1)*k], s.in[r*k:(r+1)*k])
	}
}

// passing is Receive and Send: between a value and Batch.Hidden.
type passing struct {
	joined
	value []float32
	width int
	sends bool
}

func newReceive(e *executable, s *plan.Step) step {
	return &passing{value: e.value(s.Out[0]), width: e.width(s.Out[0])}
}

func newSend(e *executable, s *plan.Step) step {
	return &passing{value: e.value(s.In[0]), width: e.width(s.In[0]), sends: true}
}

func (s *passing) run(w *worker) {
	from, to := w.share(w.e.rows, 1)
	mine, theirs := s.value[from*s.width:to*s.width], w.e.batch.Hidden[from*s.width:to*s.width]
	if s.sends {
		copy(theirs, mine)
		return
	}
	copy(mine, theirs)
}
