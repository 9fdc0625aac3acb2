package kernels

import (
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// gemv is a GEMV being written. Its registers:
type gemv struct {
	GEMV
	b                                  *ptx.Builder
	x, normWeights, batch, residual    ptx.Reg // parameters
	work, counters, eps                ptx.Reg
	weights, bias, out, scale, scaleUp ptx.Reg // of the block's matrix
	first, blocks, grains, grain       ptx.Reg // its blocks begin at first; all its grains, of so many turns
	cta, tid, lane, warp               ptx.Reg
	inputs, sums, words, ring          ptx.Reg // shared memory
	layout                             Layout  // of a matrix of the block's format; N may differ
	turn                               gemvTurn
	which, headCounts                  ptx.Reg // the block's matrix; counters of heads
	rope                               ropeParams
	next                               []ptx.Reg // see lead
	ahead                              []ptx.Reg // what is added to this thread's sums, see preload
	n                                  ptx.Reg   // rows of the matrix
}

func (g *gemv) build() {
	b := g.b
	blocks := 2 // room for one of the next kernel
	if g.T > 32 {
		blocks = 1
	}
	b.Threads(g.threads(), blocks)
	p := g.signature().load(b)
	g.x, g.normWeights, g.batch, g.residual, g.work, g.counters, g.eps = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	b.GridLaunch()
	g.cta, g.tid, g.lane = b.Ctaid(0), b.Tid(0), b.Lane()
	g.warp = b.Shr(g.tid, 5)
	shared := b.DynamicShared("shared", 128)
	g.inputs = shared
	g.sums = b.Add(shared, g.inputBytes())
	g.words = b.Add(g.sums, g.sumBytes(g.warps()))
	g.ring = b.Add(g.words, gemvWords)
	n := len(gemvSignature) + len(g.Mats)*len(gemvMatSignature)
	if q := p[n+1:]; g.Heads != nil {
		g.rope = ropeParams{q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8]}
	}
	if !g.streams() {
		g.next = p[len(p)-len(gemvLeadSignature):]
	}
	g.chooseMatrix(p[len(gemvSignature):n], p[n])
}

// chooseMatrix loads what belongs to the block's matrix and has the code for its
// format follow.
func (g *gemv) chooseMatrix(p []ptx.Reg, all ptx.Reg) {
	b, each := g.b, len(gemvMatSignature)
	last := len(g.Mats) - 1
	var my [9]ptx.Reg
	copy(my[:], p[:each])
	my[8] = b.Var(ptx.U32, g.Mats[0].N)
	end := all
	if last > 0 {
		end = p[each+5]
	}
	which := b.Var(ptx.U32, 0)
	g.headCounts = b.Add(g.counters, int(g.CounterBytes())-4*g.headCounters())
	counters := g.counters
	tiles := 0
	for i := 1; i <= last; i++ {
		q := p[i*each : (i+1)*each]
		tiles += g.Mats[i-1].Tiles()
		to := all
		if i < last {
			to = p[(i+1)*each+5]
		}
		here := b.Setp(ptx.Ge, g.cta, q[5])
		for j := range q {
			my[j] = b.Selp(q[j], my[j], here)
		}
		my[8] = b.Selp(g.Mats[i].N, my[8], here)
		end = b.Selp(to, end, here)
		which = b.Selp(i, which, here)
		counters = b.Selp(b.Add(g.counters, 4*tiles), counters, here)
	}
	g.counters, g.which = counters, which
	g.weights, g.bias, g.out, g.scale, g.scaleUp = my[0], my[1], my[2], my[3], my[4]
	g.first, g.grains, g.grain, g.n = my[5], my[6], my[7], my[8]
	g.blocks = b.Sub(end, g.first)
	g.formats(which)
}

// formats writes the body once for each format among the matrices.
func (g *gemv) formats(which ptx.Reg) {
	var kinds []Layout
	for _, m := range g.Mats {
		if !slices.ContainsFunc(kinds, func(k Layout) bool { return k.Format == m.Format }) {
			kinds = append(kinds, m)
		}
	}
	g.choose(which, kinds)
}

// choose writes the body for the matrices of the format of kinds[0], or else the
// rest.
func (g *gemv) choose(which ptx.Reg, kinds []Layout) {
	b := g.b
	if len(kinds) == 1 {
		g.layout = kinds[0]
		g.body()
		return
	}
	var mine ptx.Reg
	for i, m := range g.Mats {
		if m.Format != kinds[0].Format {
			continue
		}
		p := b.Setp(ptx.Eq, which, i)
		if !mine.IsZero() {
			p = b.Or(mine, p)
		}
		mine = p
	}
	b.If(mine, func() {
		g.layout = kinds[0]
		g.body()
	}, func() { g.choose(which, kinds[1:]) })
}

// begin is the first turn of block i, counted from first.
func (g *gemv) begin(i ptx.Reg) ptx.Reg {
	return g.b.Mul(g.b.Div(g.b.Mul(i, g.grains), g.blocks), g.grain)
}

// body is the work of a block on its matrix.
func (g *gemv) body() {
	b := g.b
	g.turn = turnOf(g.layout)
	block := b.Sub(g.cta, g.first)
	from, to := g.begin(block), g.begin(b.Add(block, 1))
	if g.streams() {
		g.newStream(from, to).run(block)
		return
	}
	r := g.newRing(from, to)
	r.fill()
	load := g.inputLoader()
	b.GridWait()
	load()
	b.Bar()
	g.tiles(r, block, from, to)
	if g.Heads != nil {
		g.finishHeads(from, to)
	}
}

// tiles goes through the tiles of turns from..to.
func (g *gemv) tiles(r *ring, block, from, to ptx.Reg) {
	b, turns := g.b, g.turn.perTile
	tile := b.Div(from, turns)
	start := b.Var(ptx.U32, b.Mul(tile, turns))
	tile = b.Var(ptx.U32, tile)
	acc := zeroes(b, 4*g.columns()*r.chains())
	values := [2][]ptx.Reg{zeroes(b, g.perThread()), zeroes(b, g.perThread())}
	parity := b.Var(ptx.U32, 0)
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, start, to) }, func() {
		end := b.Add(start, turns)
		g.preload(tile)
		r.multiply(acc, start, b.Min(end, to))
		b.If(b.Setp(ptx.Ge, end, to), g.lead)
		sum := g.addWarps(r.joined(acc), parity)
		for _, a := range acc {
			b.Set(a, 0)
		}
		for i := range sum {
			if g.subtiles() == 2 {
				b.Set(values[0][i], values[1][i])
			}
			b.Set(values[g.subtiles()-1][i], sum[i])
		}
		g.finish(block, tile, from, to, end, values[:g.subtiles()])
		b.AddTo(start, turns)
		b.AddTo(tile, 1)
	})
}

// addWarps adds up the warps' sums of a tile. Thread i gets the
// sums of rows i%16 and batch rows i/16, and so on in steps of the block's threads.
func (g *gemv) addWarps(acc []ptx.Reg, parity ptx.Reg) []ptx.Reg {
	b, tile := g.b, 16*g.T*4
	buffer := b.Mad(parity, g.warps()*tile, g.sums)
	b.Set(parity, b.Xor(parity, 1))
	row, col := b.Shr(g.lane, 2), b.Shl(b.And(g.lane, 3), 1)
	at := b.Add(b.Mad(g.warp, tile, buffer), b.Mad(col, 64, b.Shl(row, 2)))
	store := func() {
		for i := 0; i < len(acc); i += 4 {
			for j := range min(2, g.T) {
				b.St(ptx.Shared, at, 512*i/4+64*j, acc[i+j])
				b.St(ptx.Shared, at, 512*i/4+64*j+32, acc[i+j+2])
			}
		}
	}
	if g.T >= 8 {
		store()
	} else {
		b.If(b.Setp(ptx.Lt, col, g.T), store)
	}
	b.Bar()
	sum := zeroes(b, g.perThread())
	for i := range sum {
		e := b.Add(g.tid, i*g.threads())
		b.If(b.Setp(ptx.Lt, e, 16*g.T), func() {
			from := b.Mad(e, 4, buffer)
			for w := range g.warps() {
				b.AddTo(sum[i], b.Ld(ptx.Shared, ptx.F32, from, w*tile))
			}
		})
	}
	return sum
}
