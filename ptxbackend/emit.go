package ptxbackend

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// emitter turns steps into launches for batches filled up to rows rows. The first
// error stops it.
type emitter struct {
	e       *executable
	rows    int
	first   int // of the logits' rows, the first one: a head can be run in parts
	out     program
	err     error
	collect []wanted // if not nil, the kernels alone are listed here

	// heads, if not nil, is still to be done to the products of queries, keys and
	// values.
	heads    *kernels.RopeAppend
	headArgs kernels.RopeAppendArgs

	// before is the product of a small batch before this one, if any.
	before *smallProduct
}

// smallProduct is a launch of a GEMV, which can ask for what the next will read.
type smallProduct struct {
	c kernels.GEMV
	l driver.Launch
}

// emitters turn the plan's steps into launches.
var emitters [plan.NumKinds]func(m *emitter, s *plan.Step)

func init() { // a literal would refer to itself
	emitters = [plan.NumKinds]func(m *emitter, s *plan.Step){
		plan.Embed: (*emitter).embed, plan.RMSNorm: (*emitter).rmsNorm, plan.HeadNorm: (*emitter).headNorm,
		plan.Linear: (*emitter).linear, plan.Rope: (*emitter).rope, plan.AppendKV: (*emitter).appendKV,
		plan.Attention: (*emitter).attention, plan.Add: (*emitter).elementwise, plan.SiLUMul: (*emitter).elementwise,
		plan.SelectRows: (*emitter).selectRows, plan.Logits: (*emitter).logits,
		plan.NormQKVRopeAppend: (*emitter).qkv, plan.OutResidual: (*emitter).residual, plan.NormGateUpAct: (*emitter).gateUp,
		plan.DownResidual: (*emitter).residual, plan.LMHead: (*emitter).lmHead,
		plan.Receive: (*emitter).nothing, plan.Send: (*emitter).nothing,
	}
}

// steps emits steps.
func (m *emitter) steps(steps []*plan.Step) {
	for _, s := range steps {
		m.out.steps = append(m.out.steps, len(m.out.launches))
		if m.err == nil {
			emitters[s.Kind](m, s)
		}
	}
}

// program is what was emitted.
func (m *emitter) program() (*program, error) {
	if m.err != nil {
		return nil, fmt.Errorf("ptxbackend: %w", m.err)
	}
	return &m.out, nil
}

// add appends a launch of c.
func (m *emitter) add(c kernels.Config, l driver.Launch) { m.addVarying(always, c, l) }

// addVarying appends a launch that depends on the lists of a large batch.
func (m *emitter) addVarying(v varying, c kernels.Config, l driver.Launch) {
	if m.err != nil {
		return
	}
	if m.collect != nil {
		m.collect = append(m.collect, wanted{c, l.Shared})
		return
	}
	f, err := m.e.gpu.code.get(c, l.Shared)
	if err != nil {
		m.fail(err)
		return
	}
	// Overlap with what is before is for kernels alone, and of this architecture.
	l.Dependent = l.Dependent && m.e.gpu.target.Hopper()
	x := launch{function: f, args: l, varying: v}
	if v == perSingle {
		if x.countAt, err = m.e.gpu.code.paramAt(c, "rows"); err != nil {
			m.fail(err)
			return
		}
	}
	m.out.launches = append(m.out.launches, x)
}

func (m *emitter) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *emitter) value(v plan.Value) value { return m.e.values[v-1] }

// batch is the batch block's address for kernels that select rows.
func (m *emitter) batch() driver.Ptr { return m.e.blockAt + driver.Ptr(4*m.first) }

// nothing is Receive and Send, which are copies before and after the launches.
func (m *emitter) nothing(*plan.Step) {}

func (m *emitter) embed(s *plan.Step) {
	w := m.e.weights.mat(s.W[plan.WEmbed])
	c := kernels.Embed{Layout: w.layout, Batch: m.e.block.layout}
	m.add(c, c.Launch(kernels.EmbedArgs{Out: m.value(s.Out[0]).at, Weights: w.at, Batch: m.e.blockAt, Scale: w.scale, Rows: m.rows}))
}

func (m *emitter) rmsNorm(s *plan.Step) {
	out := m.value(s.Out[0])
	m.norm(s, s.In[0], out.at, m.outTile(s.Out[0]), false)
}

// norm emits the norm of x with the step's weights.
func (m *emitter) norm(s *plan.Step, x plan.Value, out driver.Ptr, tile int, selected bool) {
	c := kernels.RMSNorm{Cols: m.value(x).width, T: tile, Select: selected, Batch: m.e.block.layout}
	m.add(c, c.Launch(kernels.RMSNormArgs{Out: out, X: m.value(x).at, Weights: m.e.weights.vec(s.W[plan.WNorm]),
		Batch: m.batch(), Eps: s.Attr.Eps, Rows: m.rows}))
}

func (m *emitter) headNorm(s *plan.Step) {
	c := kernels.RMSNorm{Cols: s.Attr.HeadDim}
	m.add(c, c.Launch(kernels.RMSNormArgs{Out: m.value(s.Out[0]).at, X: m.value(s.In[0]).at, Weights: m.e.weights.vec(s.W[plan.WNorm]),
		Eps: s.Attr.Eps, Rows: m.rows * s.Attr.Heads}))
}

func (m *emitter) rope(s *plan.Step) {
	a, out := &s.Attr, m.value(s.Out[0])
	c := kernels.RopeAppend{Batch: m.e.block.layout, Heads: a.Heads, KeyDim: a.HeadDim, Dims: a.Rope.Dims, NEOX: a.Rope.NEOX, Q32: out.form == floats}
	m.add(c, c.Launch(kernels.RopeAppendArgs{Batch: m.e.blockAt, Q: m.value(s.In[0]).at, QOut: out.at,
		Freqs: m.e.ropes[a.Rope], MScale: float32(a.Rope.MScale), Rows: m.rows}))
}

func (m *emitter) appendKV(s *plan.Step) {
	kv, pages := m.e.plan.KV[s.Layer], m.e.cache[s.Layer]
	c := kernels.RopeAppend{Batch: m.e.block.layout, KVHeads: kv.Heads, KeyDim: kv.KeyDim, ValueDim: kv.ValueDim}
	m.add(c, c.Launch(kernels.RopeAppendArgs{Batch: m.e.blockAt, K: m.value(s.In[0]).at, V: m.value(s.In[1]).at,
		Keys: pages.keys, Values: pages.values, Rows: m.rows}))
}

// elementwise is Add and SiLUMul.
func (m *emitter) elementwise(s *plan.Step) {
	c := kernels.Elem{Op: kernels.OpAdd, Cols: m.value(s.Out[0]).width}
	if s.Kind == plan.SiLUMul {
		c.Op = kernels.OpSiLUMul
	}
	m.add(c, c.Launch(kernels.ElemArgs{Out: m.value(s.Out[0]).at, X: m.value(s.In[0]).at, Y: m.value(s.In[1]).at, Rows: m.rows}))
}

func (m *emitter) selectRows(s *plan.Step) {
	out := m.value(s.Out[0])
	c := kernels.Elem{Op: kernels.OpCopy, Cols: out.width, T: m.outTile(s.Out[0]), Select: true, Batch: m.e.block.layout}
	m.add(c, c.Launch(kernels.ElemArgs{Out: out.at, X: m.value(s.In[0]).at, Batch: m.batch(), Rows: m.rows}))
}

// queries returns the halves of Attention's input.
func (m *emitter) queries(s *plan.Step) driver.Ptr {
	v := m.value(s.In[0])
	if v.form == halves {
		return v.at
	}
	c := kernels.RopeAppend{Batch: m.e.block.layout, Heads: s.Attr.Heads, KeyDim: s.Attr.HeadDim}
	m.add(c, c.Launch(kernels.RopeAppendArgs{Batch: m.e.blockAt, Q: v.at, QOut: m.e.queryAt, Rows: m.rows}))
	return m.e.queryAt
}
