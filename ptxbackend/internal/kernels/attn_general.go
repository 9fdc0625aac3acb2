package kernels

import (
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// AttnGeneral is attention in any shape, a block for each row and query head, without
// tensor cores: for models whose heads the other two kernels are not made for.
type AttnGeneral struct{ AttnShape }

// AttnGeneralArgs are the operands; see AttnDecodeArgs.
type AttnGeneralArgs struct {
	Batch           driver.Ptr
	Layout          BatchLayout
	Q, Keys, Values driver.Ptr
	Out             driver.Ptr
	T, Rows         int
	Scale           float32
}

const generalThreads = 128

var attnGeneralSignature = signature{address("batch"), address("pos"), address("starts"), address("q"), address("keys"),
	address("values"), address("out"), count("tile"), number("scale")}

// Name implements Config.
func (c AttnGeneral) Name() string { return c.name("attn_general") }

// Launch runs c over the first a.Rows rows.
func (c AttnGeneral) Launch(a AttnGeneralArgs) driver.Launch {
	return driver.Launch{
		Grid: [3]uint32{uint32(c.Heads), uint32(a.Rows)}, Block: [3]uint32{generalThreads},
		Params: pack(attnGeneralSignature, a.Batch, a.Batch+driver.Ptr(a.Layout.Pos()), a.Batch+driver.Ptr(a.Layout.TableStart()),
			a.Q, a.Keys, a.Values, a.Out, tileShift(a.T), a.Scale*math.Log2E),
		Dependent: true,
	}
}

// attnGeneral is the kernel being built.
type attnGeneral struct {
	AttnGeneral
	b *ptx.Builder

	batch, keys, values, out, tile ptx.Reg

	tid, lane, warp, head, row ptx.Reg // U32
	query, scores              ptx.Reg // U32, shared memory: (KeyDim) and (PageTokens) float32
	m, l                       ptx.Reg // F32: the maximum in log2, the sum of weights
	acc                        []ptx.Reg
}

// Build implements Config.
func (c AttnGeneral) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := ptx.New(c.Name(), t)
	b.Threads(generalThreads, 0)
	p := attnGeneralSignature.load(b)
	g := &attnGeneral{AttnGeneral: c, b: b, batch: p[0], keys: p[4], values: p[5], out: p[6], tile: p[7]}
	g.tid, g.lane, g.head, g.row = b.Tid(0), b.Lane(), b.Ctaid(0), b.Ctaid(1)
	g.warp = b.Shr(g.tid, 5)
	g.query, g.scores = b.Shared("query", 4, 4*c.KeyDim), b.Shared("scores", 4, 4*backend.PageTokens)
	b.GridLaunch()
	b.GridWait()
	pos := b.Ld(ptx.Global, ptx.S32, rowAddress(b, p[1], g.row, 4), 0)
	b.If(b.Setp(ptx.Ge, pos, 0), func() {
		g.load(p[3], p[8])
		g.m, g.l = b.Var(ptx.F32, math.Inf(-1)), b.Var(ptx.F32, 0)
		for range (c.ValueDim + generalThreads - 1) / generalThreads {
			g.acc = append(g.acc, b.Var(ptx.F32, 0))
		}
		entry := b.Var(ptx.U32, b.Ld(ptx.Global, ptx.U32, rowAddress(b, p[2], g.row, 4), 0))
		n := b.Add(b.As(ptx.U32, pos), 1)
		b.For(b.Var(ptx.U32, 0), n, backend.PageTokens, func(at ptx.Reg) {
			page := b.Ld(ptx.Global, ptx.U32, rowAddress(b, g.batch, entry, 4), 0)
			g.page(page, b.Min(b.Sub(n, at), backend.PageTokens))
			b.AddTo(entry, 1)
		})
		g.store()
	})
	return b.Kernel()
}

// columns has the block's threads do f for every column below n that is theirs, i-th by
// i-th.
func (g *attnGeneral) columns(n int, f func(i int, col ptx.Reg)) {
	b := g.b
	for i := range (n + generalThreads - 1) / generalThreads {
		col := b.Add(g.tid, i*generalThreads)
		if (i+1)*generalThreads <= n {
			f(i, col)
		} else {
			b.If(b.Setp(ptx.Lt, col, n), func() { f(i, col) })
		}
	}
}

// load brings the query, times scale, to shared memory.
func (g *attnGeneral) load(q, scale ptx.Reg) {
	b := g.b
	q = b.MadWide(b.Mad(g.row, g.Heads, g.head), 2*g.KeyDim, q)
	g.columns(g.KeyDim, func(_ int, col ptx.Reg) {
		x := b.Cvt(ptx.F32, b.Ld(ptx.Global, ptx.F16, b.MadWide(col, 2, q), 0))
		b.St(ptx.Shared, b.Mad(col, 4, g.query), 0, b.Mul(x, scale))
	})
}

// headAt is where this block's head has position slot of a page.
func (g *attnGeneral) headAt(pages, page, slot ptx.Reg, dim int) ptx.Reg {
	b := g.b
	kvHead := b.Div(g.head, g.group())
	return b.MadWide(b.Mad(kvHead, backend.PageTokens, slot), 2*dim, b.MadWide(page, pageBytes(g.KVHeads, dim), pages))
}

// page takes the first n positions of a page in.
func (g *attnGeneral) page(page, n ptx.Reg) {
	b := g.b
	b.Bar() // the query is there, and the scores before are done with
	b.For(g.warp, n, generalThreads/32, func(slot ptx.Reg) {
		s := b.WarpReduce("add", g.dot(g.headAt(g.keys, page, slot, g.KeyDim)))
		b.Under(b.Setp(ptx.Eq, g.lane, 0), func() { b.St(ptx.Shared, b.Mad(slot, 4, g.scores), 0, s) })
	})
	b.Bar()
	var w [2]ptx.Reg // of the positions lane and lane+32
	at := b.Mad(g.lane, 4, g.scores)
	for i := range w {
		w[i] = b.Var(ptx.F32, math.Inf(-1))
		b.Under(b.Setp(ptx.Lt, b.Add(g.lane, 32*i), n), func() { b.LdTo(w[i:i+1], ptx.Shared, at, 128*i) })
	}
	top := b.Max(g.m, b.WarpReduce("max", b.Max(w[0], w[1])))
	by := b.Ex2(b.Sub(g.m, top))
	b.Set(g.m, top)
	for i := range w {
		w[i] = b.Ex2(b.Sub(w[i], top))
	}
	b.MadTo(g.l, g.l, by, b.WarpReduce("add", b.Add(w[0], w[1])))
	for _, acc := range g.acc {
		mulTo(b, acc, by)
	}
	b.For(b.Var(ptx.U32, 0), n, 1, func(slot ptx.Reg) {
		weight := b.Shfl("idx", b.Selp(w[0], w[1], b.Setp(ptx.Lt, slot, 32)), b.And(slot, 31))
		v := g.headAt(g.values, page, slot, g.ValueDim)
		g.columns(g.ValueDim, func(i int, col ptx.Reg) {
			x := b.Cvt(ptx.F32, b.Ld(ptx.Global, ptx.F16, b.MadWide(col, 2, v), 0))
			b.MadTo(g.acc[i], x, weight, g.acc[i])
		})
	})
}

// dot is this lane's part of the product of the query and the key at k.
func (g *attnGeneral) dot(k ptx.Reg) ptx.Reg {
	b := g.b
	sum := b.Var(ptx.F32, 0)
	b.For(b.Var(ptx.U32, 0), b.Var(ptx.U32, g.KeyDim), 32, func(c ptx.Reg) {
		col := b.Add(c, g.lane)
		b.If(b.Setp(ptx.Lt, col, g.KeyDim), func() {
			x := b.Cvt(ptx.F32, b.Ld(ptx.Global, ptx.F16, b.MadWide(col, 2, k), 0))
			b.MadTo(sum, x, b.Ld(ptx.Shared, ptx.F32, b.Mad(col, 4, g.query), 0), sum)
		})
	})
	return sum
}

// store writes the head's columns, and zeroes after the last head's.
func (g *attnGeneral) store() {
	b := g.b
	by := b.Rcp(g.l)
	put := func(col, x ptx.Reg) {
		at := packAt(b, g.out, g.row, b.Shr(col, 3), g.tile, g.kTiles())
		b.St(ptx.Global, b.MadWide(b.And(col, 7), 2, at), 0, x)
	}
	g.columns(g.ValueDim, func(i int, col ptx.Reg) {
		put(b.Mad(g.head, g.ValueDim, col), b.Cvt(ptx.F16, b.Mul(g.acc[i], by)))
	})
	k := g.Heads * g.ValueDim
	if k%64 == 0 {
		return
	}
	b.If(b.Setp(ptx.Eq, g.head, g.Heads-1), func() {
		g.columns(g.kTiles()*64-k, func(_ int, col ptx.Reg) { put(b.Add(col, k), b.Var(ptx.F16, 0)) })
	})
}
