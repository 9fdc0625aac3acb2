package ptxbackend

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// A step's products go one of two ways. Where the input of a whole small batch fits
// the shared memory of a multiprocessor, it is held there and the matrices stream by
// (kernels.GEMV); its tiles have as many rows as the batch is filled up to. Else the
// matrices are multiplied in blocks (kernels.GEMM), with tiles of largeTile rows. The
// maker of a packed value asks its readers which.

// product is a step's multiplication of one input with up to three matrices.
type product struct {
	mats []matrix
	bias []driver.Ptr // 0 for none, by matrix
	norm bool         // the input is normed with the step's weights
	act  bool         // mats are gate and up
}

// productRoles are the matrices of the kinds that multiply, and their biases.
var productRoles = [plan.NumKinds]struct{ mats, bias []plan.Role }{
	plan.Linear:            {[]plan.Role{plan.WMat}, []plan.Role{plan.WBias}},
	plan.Logits:            {mats: []plan.Role{plan.WMat}},
	plan.LMHead:            {mats: []plan.Role{plan.WMat}},
	plan.NormQKVRopeAppend: {[]plan.Role{plan.WQ, plan.WK, plan.WV}, []plan.Role{plan.BQ, plan.BK, plan.BV}},
	plan.OutResidual:       {[]plan.Role{plan.WO}, []plan.Role{plan.BO}},
	plan.NormGateUpAct:     {mats: []plan.Role{plan.WGate, plan.WUp}},
	plan.DownResidual:      {mats: []plan.Role{plan.WDown}},
}

func (l *weights) productOf(s *plan.Step) product {
	roles := productRoles[s.Kind]
	p := product{norm: s.Kind.Large() && s.W[plan.WNorm] != 0, act: s.Kind == plan.NormGateUpAct}
	p.bias = make([]driver.Ptr, len(roles.mats))
	for i, r := range roles.mats {
		p.mats = append(p.mats, l.mat(s.W[r]))
		if roles.bias != nil {
			p.bias[i] = l.vec(s.W[roles.bias[i]])
		}
	}
	return p
}

// paired reports whether the tiles of gate and up take turns, so that one kernel
// computes both and what becomes of them.
func (p *product) paired() bool { return p.act && p.mats[0].paired }

// parts are the products that one launch cannot take together.
func (p *product) parts() []product {
	same := true
	for _, b := range p.bias {
		same = same && (b == 0) == (p.bias[0] == 0)
	}
	if same {
		return []product{*p}
	}
	var parts []product
	for i := range p.mats {
		parts = append(parts, product{mats: p.mats[i : i+1], bias: p.bias[i : i+1], norm: p.norm})
	}
	return parts
}

// layouts are the matrices as the kernels take them.
func (p *product) layouts() (mats []kernels.Layout) {
	for _, m := range p.mats {
		mats = append(mats, m.layout)
	}
	if p.paired() {
		mats = mats[:1]
		mats[0].N *= 2
	}
	return mats
}

// operands are the matrices' operands.
func (p *product) operands(out []driver.Ptr) (a []kernels.GEMVMat) {
	for i, w := range p.mats {
		a = append(a, kernels.GEMVMat{Weights: w.at, Bias: p.bias[i], Out: out[i], Scale: w.scale})
	}
	if p.paired() {
		a[0].ScaleUp = a[1].Scale
		a = a[:1]
	}
	return a
}

// output is what becomes of the products.
func (p *product) output(residual driver.Ptr) kernels.Output {
	switch {
	case p.paired():
		return kernels.SiLUMulPack
	case residual != 0:
		return kernels.AddResidual
	}
	return kernels.StoreProducts
}

// gemv is the kernel for a small batch filled up to rows rows, and false if there is
// no room for its input.
func (p *product) gemv(rows int, out kernels.Output, info driver.Info) (kernels.GEMV, bool) {
	c := kernels.GEMV{Mats: p.layouts(), T: rows, Out: out, Bias: p.bias[0] != 0}
	if rows > smallRows {
		return c, false
	}
	if !c.Fits() {
		c.Shared = info.SharedPerBlock
	}
	return c, c.Fits()
}

// tile is how many rows the tiles of the input have.
func (p *product) tile(rows int, info driver.Info) int {
	for _, q := range p.parts() {
		if _, ok := q.gemv(rows, q.output(0), info); !ok {
			return largeTile
		}
	}
	return rows
}

// tileOf is how many rows the tiles of packed value v have: what all who read it,
// and who writes it, can do.
func (m *emitter) tileOf(v plan.Value) int {
	e := m.e
	for _, s := range e.users[v-1] {
		if p := e.weights.productOf(s); len(p.mats) > 0 && (s.Out == nil || s.Out[0] != v || p.paired()) {
			if p.tile(m.rows, e.info) == largeTile {
				return largeTile
			}
		}
	}
	return m.rows
}

// outTile is tileOf for kernels that write either form: 0 for float32.
func (m *emitter) outTile(v plan.Value) int {
	if m.value(v).form == packed {
		return m.tileOf(v)
	}
	return 0
}

// multiply emits step s's products of its first input to out, one address for each
// matrix, each (rows, N) float32; residual, if not 0, is added to the only one.
func (m *emitter) multiply(s *plan.Step, out []driver.Ptr, residual driver.Ptr) {
	p := m.e.weights.productOf(s)
	x := m.operand(s, &p)
	for _, q := range p.parts() {
		n := len(q.mats)
		if x.tile == largeTile {
			m.gemms(&q, x.at, out[:n], residual)
		} else {
			m.gemv(s, &q, x, out[:n], residual)
		}
		out = out[n:]
	}
}

// operand is what is multiplied: packed in tiles of tile rows or, where the product
// itself is to norm it, still float32.
type operand struct {
	at   driver.Ptr
	tile int
	raw  bool
}

// operand brings the first input of s into that form.
func (m *emitter) operand(s *plan.Step, p *product) operand {
	v := m.value(s.In[0])
	if v.form == packed {
		return operand{at: v.at, tile: m.tileOf(s.In[0])}
	}
	tile := p.tile(m.rows, m.e.info)
	if p.paired() {
		tile = m.tileOf(s.Out[0])
	}
	switch {
	case p.norm && m.normsItself(p, tile):
		return operand{v.at, tile, true}
	case p.norm:
		m.norm(s, s.In[0], m.e.packedAt, tile, s.Kind == plan.LMHead)
	default:
		c := kernels.Elem{Op: kernels.OpCopy, Cols: v.width, T: tile}
		m.add(c, c.Launch(kernels.ElemArgs{Out: m.e.packedAt, X: v.at, Rows: m.rows}))
	}
	return operand{at: m.e.packedAt, tile: tile}
}

// normsItself reports whether every block of a product computes the norm for itself,
// which for few rows is less work than a kernel of its own is.
func (m *emitter) normsItself(p *product, tile int) bool {
	for _, q := range p.parts() {
		if c, ok := q.gemv(tile, q.output(0), m.e.info); !ok || !c.CanNorm() {
			return false
		}
	}
	return true
}

// gemv emits products of a small batch.
func (m *emitter) gemv(s *plan.Step, p *product, x operand, out []driver.Ptr, residual driver.Ptr) {
	e := m.e
	c, _ := p.gemv(m.rows, p.output(residual), e.info)
	a := kernels.GEMVArgs{X: x.at, Residual: residual, Mats: p.operands(out), Work: e.sumsAt, Counters: e.sumCountersAt}
	if x.raw {
		c.Norm, c.Select, c.Batch = true, s.Kind == plan.LMHead, e.block.layout
		a.NormWeights, a.Batch, a.Eps = e.weights.vec(s.W[plan.WNorm]), m.batch(), s.Attr.Eps
	}
	if m.heads != nil && len(p.mats) == 3 && c.CanHeads(m.heads) {
		c.Heads, a.Rope, m.heads = m.heads, m.headArgs, nil
	}
	if c.WorkBytes(e.info.SMs) > e.sizes.sums || c.CounterBytes() > e.sizes.sumCounters {
		m.fail(fmt.Errorf("%s wants more workspace than was measured", c.Name()))
		return
	}
	l := c.Launch(e.info.SMs, a)
	if m.before != nil {
		m.before.c.Lead(m.before.l, e.info.SMs, c, a.Mats)
	}
	m.before = &smallProduct{c, l}
	m.add(c, l)
}

// gemms emits products of a large batch, those of each format by themselves: one
// kernel for several has more registers to hold than there are.
func (m *emitter) gemms(p *product, x driver.Ptr, out []driver.Ptr, residual driver.Ptr) {
	for first, end := 0, 0; first < len(p.mats); first = end {
		for end = first + 1; end < len(p.mats) && p.mats[end].layout.Format == p.mats[first].layout.Format; end++ {
		}
		q := *p
		q.mats, q.bias = p.mats[first:end], p.bias[first:end]
		m.gemm(&q, x, out[first:end], residual)
	}
}

// gemm emits products of a large batch with matrices of one format.
func (m *emitter) gemm(p *product, x driver.Ptr, out []driver.Ptr, residual driver.Ptr) {
	c := kernels.GEMM{Mats: p.layouts(), Bias: p.bias[0] != 0, Out: p.output(residual)}
	a := kernels.GEMMArgs{X: x, Residual: residual, Rows: m.rows, Mats: p.operands(out)}
	best, ok := tiled(c, m.e.gpu.target, m.e.info, m.rows)
	if !ok {
		m.fail(fmt.Errorf("no kernel multiplies %s", c.Name()))
		return
	}
	m.add(best, best.Launch(m.e.info.SMs, a))
}

func (m *emitter) linear(s *plan.Step) { m.multiply(s, []driver.Ptr{m.value(s.Out[0]).at}, 0) }

func (m *emitter) logits(s *plan.Step) { m.multiply(s, []driver.Ptr{m.logitRow()}, 0) }

// residual is OutResidual and DownResidual.
func (m *emitter) residual(s *plan.Step) {
	m.multiply(s, []driver.Ptr{m.value(s.Out[0]).at}, m.value(s.In[1]).at)
}

// gateUp is NormGateUpAct.
func (m *emitter) gateUp(s *plan.Step) {
	out := m.value(s.Out[0])
	p := m.e.weights.productOf(s)
	if p.paired() && out.form == packed {
		m.multiply(s, []driver.Ptr{out.at, 0}, 0)
		return
	}
	gate := m.e.productAt
	up := gate + driver.Ptr(m.rows*out.width*4)
	m.multiply(s, []driver.Ptr{gate, up}, 0)
	c := kernels.Elem{Op: kernels.OpSiLUMul, Cols: out.width, T: m.outTile(s.Out[0])}
	m.add(c, c.Launch(kernels.ElemArgs{Out: out.at, X: gate, Y: up, Rows: m.rows}))
}

// qkv is NormQKVRopeAppend: the products as float32, then everything a head at a
// time, by the product itself where it can.
func (m *emitter) qkv(s *plan.Step) {
	e, a, out := m.e, &s.Attr, m.value(s.Out[0])
	kv, pages := e.plan.KV[s.Layer], e.cache[s.Layer]
	q := e.productAt
	k := q + driver.Ptr(m.rows*a.Heads*kv.KeyDim*4)
	v := k + driver.Ptr(m.rows*kv.Heads*kv.KeyDim*4)
	c := headsOf(e.plan, s, e.block.layout, out.form == floats)
	args := kernels.RopeAppendArgs{Batch: e.blockAt, Q: q, K: k, V: v, QOut: out.at, Keys: pages.keys, Values: pages.values,
		QNorm: e.weights.vec(s.W[plan.QNorm]), KNorm: e.weights.vec(s.W[plan.KNorm]),
		Freqs: e.ropes[a.Rope], Eps: a.Eps, MScale: float32(a.Rope.MScale), Rows: m.rows}
	m.heads, m.headArgs = c, args
	m.multiply(s, []driver.Ptr{q, k, v}, 0)
	if m.heads != nil {
		m.add(c, c.Launch(args))
		m.heads = nil
	}
}

// headsOf is what becomes of the products of a NormQKVRopeAppend.
func headsOf(p *plan.Plan, s *plan.Step, l kernels.BatchLayout, q32 bool) *kernels.RopeAppend {
	kv, a := p.KV[s.Layer], &s.Attr
	return &kernels.RopeAppend{Batch: l, Heads: a.Heads, KVHeads: kv.Heads, KeyDim: kv.KeyDim, ValueDim: kv.ValueDim,
		Dims: a.Rope.Dims, NEOX: a.Rope.NEOX, QNorm: s.W[plan.QNorm] != 0, KNorm: s.W[plan.KNorm] != 0, Q32: q32}
}

// lmHead is LMHead.
func (m *emitter) lmHead(s *plan.Step) { m.multiply(s, []driver.Ptr{m.logitRow()}, 0) }
