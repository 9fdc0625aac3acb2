package ptxbackend

import (
	"errors"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// least is the number of adjacent rows of a sequence from which on, in a large
// batch, they share tiles of keys; fewer are decoded one by one.
const least = 4

func shapeOf(p *plan.Plan, s *plan.Step) kernels.AttnShape {
	kv := p.KV[s.Layer]
	return kernels.AttnShape{Heads: s.Attr.Heads, KVHeads: kv.Heads, KeyDim: kv.KeyDim, ValueDim: kv.ValueDim}
}

// decodeOf is the kernel of attention in small batches, and of the rows of large
// ones that stand alone. rows is the largest batch.
func decodeOf(p *plan.Plan, s *plan.Step, rows int, lim backend.Limits, info driver.Info) kernels.AttnDecode {
	most := rows
	if rows > smallRows {
		most = max(smallRows, min(rows, (least-1)*lim.MaxSeqs))
	}
	return kernels.AttnDecode{AttnShape: shapeOf(p, s), MaxRows: most}.Fit(info)
}

func prefillOf(p *plan.Plan, s *plan.Step, info driver.Info) kernels.AttnPrefill {
	return kernels.AttnPrefill{AttnShape: shapeOf(p, s)}.Fit(info)
}

// rowsPerItem is how many rows of a sequence an item of attention in a large batch
// has at most: what all layers can do. 0 where no layer has tensor attention.
func rowsPerItem(p *plan.Plan, info driver.Info) int {
	n := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Kind == plan.Attention && shapeOf(p, s).Tensor() {
			if m := prefillOf(p, s, info).RowsPerItem(); n == 0 || m < n {
				n = m
			}
		}
	}
	return n
}

// attention emits Attention: queries in halves, packed sums out.
func (m *emitter) attention(s *plan.Step) {
	e := m.e
	if m.value(s.Out[0]).form != packed {
		m.fail(errors.New("what attention puts out can be used as the input of products alone"))
		return
	}
	shape, kv := shapeOf(e.plan, s), e.cache[s.Layer]
	q, out, tile := m.queries(s), e.values[s.Out[0]-1].at, m.tileOf(s.Out[0])
	if !shape.Tensor() {
		c := kernels.AttnGeneral{AttnShape: shape}
		m.add(c, c.Launch(kernels.AttnGeneralArgs{Batch: e.blockAt, Layout: e.block.layout, Q: q, Keys: kv.keys, Values: kv.values,
			Out: out, T: tile, Rows: m.rows, Scale: s.Attr.Scale}))
		return
	}
	d := decodeOf(e.plan, s, e.sizes.rows, e.lim, e.info)
	args := kernels.AttnDecodeArgs{Batch: e.blockAt, Layout: e.block.layout, Q: q, Keys: kv.keys, Values: kv.values, Out: out,
		Work: e.splitAt, Counters: e.countersAt, T: tile, Rows: m.rows, Shares: d.Shares(e.info.SMs), Scale: s.Attr.Scale}
	if m.rows <= smallRows {
		m.add(d, d.Launch(args))
		return
	}
	c := prefillOf(e.plan, s, e.info)
	m.addVarying(perItem, c, c.Launch(kernels.AttnPrefillArgs{Batch: e.blockAt, Layout: e.block.layout, ItemList: e.blockAt + driver.Ptr(e.block.items()),
		Q: q, Keys: kv.keys, Values: kv.values, Out: out, T: tile, Items: 1, Scale: s.Attr.Scale}))
	args.List, args.Rows = e.blockAt+driver.Ptr(e.block.singles()), 1
	m.addVarying(perSingle, d, d.Launch(args))
}
