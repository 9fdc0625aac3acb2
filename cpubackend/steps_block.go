package cpubackend

import (
	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// The large steps inside a block. Each computes its products and what follows
// element by element in one go: a worker owns some columns of the output, and
// nobody waits in between.

// qkv is NormQKVRopeAppend. Its unit of work is a head of q, k or v: with the whole
// head at hand a worker can norm, rotate and store it at once.
type qkv struct {
	in    *input
	parts [3]projection // q, k, v
	eps   float32
	rope  *ropeTable
	layer *layerCache
	cuts  []int // worker w does heads [cuts[w], cuts[w+1]) of q|k|v, counted through
	// attends says that the next step is attention over the same layer, which may
	// go on with the heads of its own worker.
	attends bool
}

// projection is one of a qkv's products.
type projection struct {
	mat   *kernels.Mat
	bias  []float32 // (heads*dim), nil for none
	norm  []float32 // (dim), nil for none
	y     []float32 // (rows, heads*dim)
	heads int
	dim   int // columns of a head
	cost  int // of a head: bytes to read
}

const partQ, partK, partV = 0, 1, 2

func newQKV(e *executable, s *plan.Step) step {
	a, l, rows := &s.Attr, e.weights, e.lim.MaxRows
	q := &qkv{eps: a.Eps, rope: e.ropeTable(a.Rope), layer: &e.cache.layers[s.Layer]}
	k, v := q.layer.heads*q.layer.k.dim, q.layer.heads*q.layer.v.dim
	for i, p := range []struct {
		mat, bias plan.Role
		norm      plan.Weight
		y         []float32
		dim       int
	}{
		{plan.WQ, plan.BQ, s.W[plan.QNorm], e.value(s.Out[0]), a.HeadDim},
		{plan.WK, plan.BK, s.W[plan.KNorm], e.side[:rows*k], q.layer.k.dim},
		{plan.WV, plan.BV, 0, e.side[rows*k : rows*(k+v)], q.layer.v.dim},
	} {
		m := l.mat(s.W[p.mat])
		q.parts[i] = projection{mat: m, bias: l.vec(s.W[p.bias]), norm: l.vec(p.norm), y: p.y, heads: m.N / p.dim,
			dim: p.dim, cost: p.dim * e.plan.WeightDesc(s.W[p.mat]).DType.RowBytes(m.K)}
	}
	q.in = e.newInput(s.In[0], s.W[plan.WNorm], a.Eps, q.parts[0].mat, q.parts[1].mat, q.parts[2].mat)
	q.cut(e.lim.Threads)
	return q
}

// cut gives n workers heads of about the same cost.
func (s *qkv) cut(n int) {
	var costs []int
	total := 0
	for _, p := range s.parts {
		for range p.heads {
			costs = append(costs, p.cost)
			total += p.cost
		}
	}
	s.cuts = make([]int, n+1)
	at, sum := 0, 0
	for w := 1; w <= n; w++ {
		// A head goes to the worker in whose part its middle lies.
		for at < len(costs) && (2*sum+costs[at])*n <= 2*total*w {
			sum += costs[at]
			at++
		}
		s.cuts[w] = at
	}
	s.cuts[n] = len(costs)
}

func (s *qkv) joins(e *executable) bool { return !(s.attends && e.attn.local) }

func (s *qkv) run(w *worker) {
	act := s.in.prepare(w, w.e.rows)
	if act == nil {
		return
	}
	if w.e.attn.local { // the heads of whole KV groups
		from, to := w.share(s.layer.heads, 1)
		group := s.parts[partQ].heads / s.layer.heads
		s.project(w, act, partQ, from*group, to*group)
		s.project(w, act, partK, from, to)
		s.project(w, act, partV, from, to)
		return
	}
	first := 0
	for i := range s.parts {
		n := s.parts[i].heads
		s.project(w, act, i, min(max(s.cuts[w.id]-first, 0), n), min(max(s.cuts[w.id+1]-first, 0), n))
		first += n
	}
}

// project computes heads [from, to) of one part for all rows.
func (s *qkv) project(w *worker, act *kernels.Act, part, from, to int) {
	if from >= to {
		return
	}
	p, rows, dim := &s.parts[part], w.e.rows, s.parts[part].dim
	stride := p.heads * dim
	p.mat.Mul(p.y, stride, act, 0, rows, from*dim, to*dim)
	addBias(p.y, stride, p.bias, rows, from*dim, to*dim)
	for r := range rows {
		y := p.y[r*stride+from*dim : r*stride+to*dim]
		if p.norm != nil {
			for i := 0; i < len(y); i += dim {
				kernels.RMSNorm(y[i:i+dim], y[i:i+dim], p.norm, s.eps)
			}
		}
		if part != partV {
			s.rope.rotate(y, dim, w.e.batch.Pos[r])
		}
		if part != partQ {
			s.store(w, part, r, from, y)
		}
	}
}

// store puts a row's key or value heads, from head first on, into the cache.
func (s *qkv) store(w *worker, part, row, first int, y []float32) {
	h := &s.layer.k
	if part == partV {
		h = &s.layer.v
	}
	page, slot := w.e.place(row)
	for i := 0; i*h.dim < len(y); i++ {
		s.layer.put(&w.attn, h, page, first+i, slot, y[i*h.dim:])
	}
}

// blockColumns is how many columns of a large batch a worker computes before it
// does what follows, so that they are still in its cache.
const blockColumns = 64

// blocks calls f for the worker's share of n columns, in blocks if rows are many.
func (w *worker) blocks(rows, n, grain int, f func(from, to int)) {
	from, to := w.share(n, grain)
	size := to - from
	if rows > soloRows {
		size = roundUp(blockColumns, grain)
	}
	for ; from < to; from += size {
		f(from, min(from+size, to))
	}
}

// residual is OutResidual and DownResidual: x + in * mat (+ bias).
type residual struct {
	joined
	in     *input
	mat    *kernels.Mat
	bias   []float32 // (N), nil for none
	x, out []float32 // (rows, N), possibly the same
}

func newOutResidual(e *executable, s *plan.Step) step {
	return newResidual(e, s, s.W[plan.WO], s.W[plan.BO])
}

func newDownResidual(e *executable, s *plan.Step) step { return newResidual(e, s, s.W[plan.WDown], 0) }

func newResidual(e *executable, s *plan.Step, mat, bias plan.Weight) step {
	m := e.weights.mat(mat)
	return &residual{in: e.newInput(s.In[0], 0, 0, m), mat: m, bias: e.weights.vec(bias),
		x: e.value(s.In[1]), out: e.value(s.Out[0])}
}

func (s *residual) run(w *worker) {
	rows, n := w.e.rows, s.mat.N
	act := s.in.prepare(w, rows)
	if act == nil {
		return
	}
	w.blocks(rows, n, s.mat.Grain(), func(from, to int) {
		s.mat.Mul(w.e.side, n, act, 0, rows, from, to)
		for r := range rows {
			out := s.out[r*n+from : r*n+to]
			if x := s.x[r*n+from : r*n+to]; &x[0] != &out[0] {
				copy(out, x)
			}
			kernels.Add(out, w.e.side[r*n+from:r*n+to])
		}
		addBias(s.out, n, s.bias, rows, from, to)
	})
}

// gateUp is NormGateUpAct.
type gateUp struct {
	joined
	in       *input
	gate, up *kernels.Mat
	out      []float32 // (rows, N)
}

func newGateUp(e *executable, s *plan.Step) step {
	g, u := e.weights.mat(s.W[plan.WGate]), e.weights.mat(s.W[plan.WUp])
	return &gateUp{in: e.newInput(s.In[0], s.W[plan.WNorm], s.Attr.Eps, g, u), gate: g, up: u, out: e.value(s.Out[0])}
}

func (s *gateUp) run(w *worker) {
	rows, n := w.e.rows, s.gate.N
	act := s.in.prepare(w, rows)
	if act == nil {
		return
	}
	w.blocks(rows, n, max(s.gate.Grain(), s.up.Grain()), func(from, to int) {
		s.gate.Mul(s.out, n, act, 0, rows, from, to)
		s.up.Mul(w.e.side, n, act, 0, rows, from, to)
		for r := range rows {
			out := s.out[r*n+from : r*n+to]
			kernels.SiLUMul(out, out, w.e.side[r*n+from:r*n+to])
		}
	})
}
