package kernels

import (
	"errors"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// With Heads a GEMV of queries, keys and values does what RopeAppend does to them:
// when a block has written its tiles, it counts them for each row and head, and the
// block that completes a head, which is in the L2 cache by then, has one of its
// warps finish it.

func (c GEMV) checkHeads() error {
	h := c.Heads
	switch {
	case h == nil:
		return nil
	case len(c.Mats) != 3 || c.Out != StoreProducts || c.streams():
		return errors.New("heads are made of three matrices' products with an input that fits shared memory")
	case h.KeyDim%16 != 0 || h.ValueDim%16 != 0 || h.QStride|h.KStride|h.VStride != 0:
		return errors.New("heads are whole tiles")
	case c.Mats[0].N != h.Heads*h.KeyDim || c.Mats[1].N != h.KVHeads*h.KeyDim || c.Mats[2].N != h.KVHeads*h.ValueDim:
		return errors.New("the matrices' rows are not those of the heads")
	}
	return nil
}

// headCounters is the number of counters of rows' heads.
func (c GEMV) headCounters() int {
	if c.Heads == nil {
		return 0
	}
	return c.T * (c.Heads.Heads + 2*c.Heads.KVHeads)
}

// ropeParams are RopeAppend's operands that are not the products.
type ropeParams struct{ batch, qOut, keys, values, qNorm, kNorm, freqs, eps, mscale ptx.Reg }

var gemvRopeSignature = signature{address("ropebatch"), address("qout"), address("keys"), address("values"), address("qnorm"),
	address("knorm"), address("freqs"), number("ropeeps"), number("mscale")}

// values are the arguments in that order.
func (a RopeAppendArgs) values() []any {
	return []any{a.Batch, a.QOut, a.Keys, a.Values, a.QNorm, a.KNorm, a.Freqs, a.Eps, a.MScale}
}

// finishHeads counts the tiles of turns from..to and finishes the heads that are
// complete with them.
func (g *gemv) finishHeads(from, to ptx.Reg) {
	b, h := g.b, g.Heads
	b.Bar()
	first, end := b.Div(from, g.turn.perTile), b.Div(to, g.turn.perTile)
	counted := 0
	for i, m := range g.Mats {
		heads, dim := h.KVHeads, h.KeyDim
		switch i {
		case 0:
			heads = h.Heads
		case 2:
			dim = h.ValueDim
		}
		if m.Format == g.layout.Format {
			b.If(b.Setp(ptx.Eq, g.which, i), func() { g.headItems(i, dim, counted, first, end) })
		}
		counted += heads * g.T
	}
}

// headItems deals the rows of the heads that have tiles in first..end to the warps.
// Matrix which has heads of dim columns; their counters begin at counted.
func (g *gemv) headItems(which, dim, counted int, first, end ptx.Reg) {
	b, tiles := g.b, dim/16
	head := b.Div(first, tiles)
	items := b.Mul(b.Sub(b.Div(b.Add(end, tiles-1), tiles), head), g.T)
	items = b.Selp(items, 0, b.Setp(ptx.Lt, first, end))
	b.For(g.warp, items, g.warps(), func(i ptx.Reg) {
		n, row := b.Add(head, b.Div(i, g.T)), b.Rem(i, g.T)
		mine := b.Sub(b.Min(end, b.Mul(b.Add(n, 1), tiles)), b.Max(first, b.Mul(n, tiles)))
		counter := b.MadWide(b.Add(b.Mad(n, g.T, row), counted), 4, g.headCounts)
		finish := g.headFinisher(which, dim, n, row)
		came := b.Var(ptx.U32, 0)
		leader := b.Setp(ptx.Eq, g.lane, 0)
		b.If(leader, func() {
			b.Fence("gpu")
			b.Set(came, b.Atom(ptx.Global, "acq_rel", "add", counter, 0, mine))
			b.Fence("gpu")
		})
		came = b.Shfl("idx", came, 0)
		b.WarpSync()
		b.If(b.Setp(ptx.Eq, b.Add(came, mine), tiles), func() {
			b.Under(leader, func() { b.St(ptx.Global, counter, 0, b.Var(ptx.U32, 0)) })
			finish()
		})
	})
}

// headFinisher loads what a row's head needs besides its products, and returns what
// finishes it.
func (g *gemv) headFinisher(which, dim int, n, row ptx.Reg) func() {
	b, h, p := g.b, g.Heads, g.rope
	at := h.place(b, p.batch, row)
	dims := h.Dims
	if which == 2 {
		dims = 0
	}
	cols := newHeadColumns(b, dim, dims, h.NEOX)
	var weights []ptx.Reg
	switch which {
	case 0:
		weights = cols.loadIf(b, h.QNorm, p.qNorm)
	case 1:
		weights = cols.loadIf(b, h.KNorm, p.kNorm)
	}
	turns := cols.turns(b, at.pos, p.freqs, p.mscale)
	return func() {
		x := cols.load(b, b.MadWide(n, 4*dim, b.Add(g.out, b.MulWide(b.Mul(row, g.n), 4))), ptx.CacheGlobal)
		cols.norm(b, x, weights, p.eps)
		rotate(b, x, turns)
		if which == 0 {
			elem := ptx.F16
			if h.Q32 {
				elem = ptx.F32
			}
			size := dim * elem.Bytes()
			cols.store(b, x, elem, b.MadWide(n, size, rowAddress(b, p.qOut, row, h.Heads*size)))
			return
		}
		pages := p.keys
		if which == 2 {
			pages = p.values
		}
		b.If(at.used, func() { cols.store(b, x, ptx.F16, at.slot(b, pages, n, h.KVHeads, dim)) })
	}
}
