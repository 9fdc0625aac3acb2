package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// stream has the input pass through shared memory beside the weights: a stage is a
// turn of each warp's tile and the same columns of the input. Stages are one group
// of asynchronous copies each. The stage all warps have left when they meet at the
// barrier is filled again, so one fewer than there are is under way.
type stream struct {
	g          *gemv
	f          *Fragments
	from, to   ptx.Reg // turns of the block, counted by tasks of a tile for each warp
	slot       ptx.Reg // of the turn to multiply
	weights    cursor  // the next turn to copy
	tile       ptx.Reg // its tile
	source     ptx.Reg // and this lane's 16 bytes of it
	input      cursor
	stages     int
	lane16     ptx.Reg
	weightsAt  ptx.Reg // this warp's turn in slot 0
	matrixRow0 ptx.Reg
}

// cursor is a turn and its place within the tile.
type cursor struct{ turn, k ptx.Reg }

func (g *gemv) newStream(from, to ptx.Reg) *stream {
	b, turns := g.b, g.turn.perTile
	s := &stream{g: g, f: NewFragments(b, g.layout.Format, g.lane), from: from, to: to, stages: g.stages(g.layout)}
	task := b.Div(from, turns)
	k := b.Sub(from, b.Mul(task, turns))
	s.weights = cursor{b.Var(ptx.U32, from), b.Var(ptx.U32, k)}
	s.input = cursor{b.Var(ptx.U32, from), b.Var(ptx.U32, k)}
	s.tile = b.Var(ptx.U32, b.Mad(task, g.warps(), g.warp))
	s.slot = b.Var(ptx.U32, 0)
	s.lane16 = b.Shl(g.lane, 4)
	first := b.Mad(s.tile, turns, k)
	s.source = b.Var(ptx.U64, b.MadWide(first, g.turn.bytes, b.Add(g.weights, b.Cvt(ptx.U64, s.lane16))))
	s.weightsAt = b.Mad(g.warp, g.turn.bytes, g.ring)
	s.matrixRow0 = g.matrixRow(g.inputs)
	return s
}

// run is the work of a block.
func (s *stream) run(block ptx.Reg) {
	g, b, turns := s.g, s.g.b, s.g.turn.perTile
	for i := range s.stages - 1 {
		s.copyWeights(b.Var(ptx.U32, i))
	}
	b.CpAsyncCommit()
	b.GridWait()
	for i := range s.stages - 1 {
		s.copyInput(b.Var(ptx.U32, i))
		b.CpAsyncCommit()
	}
	task := b.Var(ptx.U32, b.Div(s.from, turns))
	turn := b.Var(ptx.U32, s.from)
	acc := zeroes(b, 4*g.columns())
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, turn, s.to) }, func() {
		end := b.Min(b.Mul(b.Add(task, 1), turns), s.to)
		mine := b.Setp(ptx.Lt, b.Mad(task, g.warps(), g.warp), g.layoutTiles())
		b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, turn, end) }, func() {
			s.turn(acc, mine)
			b.AddTo(turn, 1)
		})
		g.finishTask(block, task, s.from, s.to, [][]ptx.Reg{acc})
		for _, a := range acc {
			b.Set(a, 0)
		}
		b.AddTo(task, 1)
	})
}

// layoutTiles is the number of tiles of the block's matrix.
func (g *gemv) layoutTiles() ptx.Reg { return g.b.Shr(g.b.Add(g.n, 15), 4) }

// turn multiplies a stage and begins to fill the one before.
func (s *stream) turn(acc []ptx.Reg, mine ptx.Reg) {
	g, b := s.g, s.g.b
	b.CpAsyncWait(s.stages - 2)
	b.Bar()
	free := b.Selp(b.Var(ptx.U32, s.stages-1), b.Sub(s.slot, 1), b.Setp(ptx.Eq, s.slot, 0))
	s.copyWeights(free)
	s.copyInput(free)
	b.CpAsyncCommit()
	b.If(mine, func() {
		p := s.f.Place(ptx.Shared, b.Mad(s.slot, g.warps()*g.turn.bytes, s.weightsAt))
		input := b.Mad(s.slot, g.inputTurn(g.layout), s.matrixRow0)
		g.products(s.f, p, acc, input, func() {})
	})
	b.AddTo(s.slot, 1)
	b.Set(s.slot, b.Selp(b.Var(ptx.U32, 0), s.slot, b.Setp(ptx.Eq, s.slot, s.stages)))
}

// copyWeights begins to copy the warp's next turn, if there is one.
func (s *stream) copyWeights(slot ptx.Reg) {
	g, b := s.g, s.g.b
	bytes, turns := g.turn.bytes, g.turn.perTile
	there := b.And(b.Setp(ptx.Lt, s.weights.turn, s.to), b.Setp(ptx.Lt, s.tile, g.layoutTiles()))
	b.If(there, func() {
		g.copyLane(b.Add(b.Mad(slot, g.warps()*bytes, s.weightsAt), s.lane16), 0, s.source)
	})
	wrap := s.weights.advance(b, turns)
	b.AddTo(s.source, bytes)
	b.Under(wrap, func() {
		b.AddTo(s.tile, g.warps())
		b.AddTo(s.source, (g.warps()-1)*turns*bytes)
	})
}

// copyInput begins to copy the columns of the next turn.
func (s *stream) copyInput(slot ptx.Reg) {
	g, b := s.g, s.g.b
	bytes := g.inputTurn(g.layout)
	at := b.Shl(g.tid, 4)
	dst := b.Add(b.Mad(slot, bytes, g.inputs), at)
	src := b.Add(b.MadWide(s.input.k, bytes, g.x), b.Cvt(ptx.U64, at))
	there := b.Setp(ptx.Lt, s.input.turn, s.to)
	step := 16 * g.threads()
	for off := 0; off < bytes; off += step {
		p := there
		if off+step > bytes {
			p = b.And(there, b.Setp(ptx.Lt, at, bytes-off))
		}
		b.Under(p, func() { b.CpAsync(dst, off, src, off) })
	}
	s.input.advance(b, g.turn.perTile)
}

// advance moves on by a turn and returns whether that is the first of a tile.
func (c cursor) advance(b *ptx.Builder, turns int) ptx.Reg {
	b.AddTo(c.turn, 1)
	b.AddTo(c.k, 1)
	wrap := b.Setp(ptx.Eq, c.k, turns)
	b.Set(c.k, b.Selp(b.Var(ptx.U32, 0), c.k, wrap))
	return wrap
}

// writeFragments is write where every warp has a tile and its lanes have sums as
// mma leaves them.
func (g *gemv) writeFragments(task ptx.Reg, acc []ptx.Reg) {
	b := g.b
	tile := b.Mad(task, g.warps(), g.warp)
	row, col := b.Shr(g.lane, 2), b.Shl(b.And(g.lane, 3), 1)
	batchRow := func(i int) ptx.Reg { return b.Add(col, 8*(i/4)+i%2) }
	each := func(f func(i int)) {
		for i := range acc {
			if g.T < 8 {
				b.If(b.Setp(ptx.Lt, batchRow(i), g.T), func() { f(i) })
			} else {
				f(i)
			}
		}
	}
	if g.Out != SiLUMulPack {
		first := b.Mad(tile, 16, row)
		for _, up := range []int{0, 8} {
			at := b.Add(first, up)
			b.If(b.Setp(ptx.Lt, at, g.n), func() {
				each(func(i int) {
					if i%4/2*8 == up {
						v := b.Mul(acc[i], g.scale)
						if g.Bias || g.Out == AddResidual {
							v = b.Add(v, g.added(at, batchRow(i)))
						}
						g.store(at, batchRow(i), v)
					}
				})
			})
		}
		return
	}
	odd := b.Setp(ptx.Ne, b.And(g.warp, 1), 0)
	there := b.Setp(ptx.Lt, tile, g.layoutTiles())
	place := b.Add(b.Mad(b.Shr(g.warp, 1), 128*len(acc), g.sums), b.Shl(g.lane, 2))
	b.If(odd, func() {
		for i := range acc {
			b.St(ptx.Shared, place, 128*i, b.Mul(acc[i], g.scaleUp))
		}
	})
	b.Bar()
	b.If(b.And(there, b.Not(odd)), func() {
		first := b.Mad(b.Shr(tile, 1), 16, row)
		each(func(i int) {
			up := b.Ld(ptx.Shared, ptx.F32, place, 128*i)
			g.writePair(b.Shr(tile, 1), b.Add(first, i%4/2*8), batchRow(i), b.Mul(acc[i], g.scale), up)
		})
	})
}
