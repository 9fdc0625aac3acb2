package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// The product on Hopper, by wgmma with the weights in registers. A block stays on
// its multiprocessor and takes parts of the product in turn. Its last warpgroup
// produces: one thread brings tiles of x by bulk copies, as far ahead as the ring of
// Stages places is deep, also across parts, and has its warp ask L2 for the weights
// that go with them. The others consume: each warp
// dequantises its own tiles of 16 weight rows into the one set of registers while
// wgmma reads the other.
//
// Per tile of 64 columns a warpgroup with 2 row tiles a warp and 128 tokens, or 1
// and 256, issues 8 or 4 wgmma, 512 clocks of the tensor cores, which read B at 64
// of the 128 bytes a clock that shared memory has. Beside them each warp issues
// about 40 instructions and up to 300 that dequantise (Q6_K, 2 tiles), a quarter of
// the issue slots of 1024 clocks when two warpgroups share the tensor cores.

const (
	gemmProducer     = 128 // threads
	gemmProducerRegs = 24  // registers each keeps
)

// consumerRegs are the registers of a consuming thread: an even share of the 65536
// of a multiprocessor, in eights, and what the producers give away of theirs. 0
// leaves the shares as they are.
func (t GEMMTile) consumerRegs() int {
	threads := 32*t.Warps + gemmProducer
	share := 65536 / t.Blocks / threads / 8 * 8
	if share > 255 {
		return 0
	}
	return min(248, (share*threads-gemmProducerRegs*gemmProducer)/(32*t.Warps)/8*8)
}

// wgmma writes the kernel.
func (e *gemmEmit) wgmma() {
	b, t := e.b, e.g.Tile
	b.Threads(32*t.Warps+gemmProducer, t.Blocks)
	r := e.newBulkRing()
	r.tokens = e.tokenBlocks()
	b.Bar()
	b.If(b.Setp(ptx.Ge, e.warp, t.Warps), func() {
		e.give(false)
		b.GridWait()
		b.If(b.Setp(ptx.Eq, e.warp, t.Warps), func() { e.produce(r) })
	}, func() {
		e.give(true)
		e.consume(r)
	})
}

// give moves registers from the producers to the consumers.
func (e *gemmEmit) give(consumer bool) {
	switch regs := e.g.Tile.consumerRegs(); {
	case regs == 0:
	case consumer:
		e.b.SetMaxReg(regs, true)
	default:
		e.b.SetMaxReg(gemmProducerRegs, false)
	}
}

// gemmBulkRing is the ring with its barriers, full and empty for each stage, 8
// bytes each, after the stages and the staging of the epilogue.
type gemmBulkRing struct {
	e            *gemmEmit
	full         ptx.Reg // barrier of stage 0; the empty one is 8 bytes on, the next stage's 16
	tokens       ptx.Reg // blocks
	stage, phase ptx.Reg // number and parity of the stage that is next
}

func (e *gemmEmit) newBulkRing() *gemmBulkRing {
	b, t := e.b, e.g.Tile
	r := &gemmBulkRing{e: e, full: b.Add(e.shared, e.g.barriersAt())}
	b.If(b.Setp(ptx.Eq, e.tid, 0), func() {
		for s := range t.Stages {
			b.MbarInit(r.full, 16*s, 1)
			b.MbarInit(r.full, 16*s+8, t.Warps)
		}
		b.FenceMbarInit()
	})
	return r
}

func (r *gemmBulkRing) begin() { r.stage, r.phase = r.e.b.Var(ptx.U32, 0), r.e.b.Var(ptx.U32, 0) }

// barrier is where the pair of the next stage lies.
func (r *gemmBulkRing) barrier() ptx.Reg { return r.e.b.Mad(r.stage, 16, r.full) }

func (r *gemmBulkRing) next() {
	b := r.e.b
	b.AddTo(r.stage, 1)
	around := b.Setp(ptx.Eq, r.stage, r.e.g.Tile.Stages)
	b.Set(r.phase, b.Xor(r.phase, b.Selp(b.Var(ptx.U32, 1), 0, around)))
	b.Under(around, func() { b.Set(r.stage, 0) })
}

// eachPart executes f for the parts of the product the block takes: a loop for each
// path, since each needs nearly all registers in its own way.
func (r *gemmBulkRing) eachPart(f func(gemmPart)) {
	b := r.e.b
	i := b.Var(ptx.U32, b.Ctaid(0))
	for _, p := range r.e.g.paths() {
		n := b.Mul(r.tokens, p.rows)
		b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, i, n) }, func() {
			f(r.e.part(p, i, r.tokens))
			b.AddTo(i, b.Nctaid(0))
		})
		b.Set(i, b.Sub(i, n))
	}
}

// produce brings tiles of x, in the warp that does.
func (e *gemmEmit) produce(r *gemmBulkRing) {
	b, t := e.b, e.g.Tile
	r.begin()
	tiles := max(1, t.Tokens/128) // of 128 tokens
	bytes := min(t.Tokens, 128) * 128
	last := b.Shr(b.Sub(e.args["rows"], 1), 7)
	first := b.Setp(ptx.Eq, e.lane, 0)
	r.eachPart(func(p gemmPart) {
		src := []ptx.Reg{e.tokenTile(p.token)}
		if tiles == 2 { // the second may not exist; then the first is taken again
			second := b.Min(b.Mad(p.token, 2, 1), last)
			src = append(src, b.MadWide(second, e.kTiles*gemmTile, e.args["x"]))
		}
		prefetch := e.newPrefetch(p)
		b.For(0, p.mat.Units(), 1, func(ptx.Reg) {
			prefetch.unit()
			b.For(0, p.mat.Format.Parts(), 1, func(ptx.Reg) {
				bar := r.barrier()
				b.MbarWait(bar, 8, b.Xor(r.phase, 1))
				to := b.Mad(r.stage, t.stageBytes(), e.shared)
				b.Under(first, func() {
					b.MbarExpect(bar, 0, bytes*tiles)
					for i, s := range src {
						b.CpAsyncBulk(to, i*bytes, s, 0, bytes, bar, 0)
					}
				})
				for _, s := range src {
					b.AddTo(s, gemmTile)
				}
				r.next()
			})
		})
	})
}

// gemmPrefetch has L2 fetch the weights of a part, unit by unit: blocks that share
// them run in step, and would all wait for memory otherwise. Each of the block's
// row tiles has some lanes, which take turns at lines of 128 bytes.
type gemmPrefetch struct {
	e      *gemmEmit
	at     ptx.Reg // the lane's first line of the unit
	turn   ptx.Reg
	turns  int
	format Format
}

func (e *gemmEmit) newPrefetch(p gemmPart) *gemmPrefetch {
	b, rowTiles := e.b, e.g.Tile.Warps*e.g.Tile.RowTiles
	f := &gemmPrefetch{e: e, turns: 32 / rowTiles, format: p.mat.Format}
	f.turn = b.Div(e.lane, rowTiles)
	tile := b.Min(b.Mad(p.block, rowTiles, b.Rem(e.lane, rowTiles)), e.g.tiles(p.mat)-1)
	f.at = b.MadWide(f.turn, 128, b.MadWide(tile, p.mat.TileBytes(), p.args["w"]))
	return f
}

func (f *gemmPrefetch) unit() {
	b := f.e.b
	lines := (f.format.UnitBytes() + 127) / 128
	for i := 0; i < lines; i += f.turns {
		if lines-i >= f.turns {
			b.PrefetchL2(f.at, i*128)
		} else {
			b.Under(b.Setp(ptx.Lt, f.turn, lines-i), func() { b.PrefetchL2(f.at, i*128) })
		}
	}
	b.AddTo(f.at, f.format.UnitBytes())
}

// consume multiplies and stores, in the warps that do.
func (e *gemmEmit) consume(r *gemmBulkRing) {
	b, t := e.b, e.g.Tile
	r.begin()
	b.GridWait()
	b.GridLaunch()
	r.eachPart(func(p gemmPart) {
		acc := make([][]ptx.Reg, t.RowTiles)
		for j := range acc {
			// The first product writes over the zeroes. But where there is none, the
			// compilers of CUDA 12 see registers of a wgmma that something else defines
			// while it runs, and have every wgmma wait for the one before (C7515).
			acc[j] = zeroes(b, t.Tokens/2)
		}
		e.multiplyWgmma(p, r, acc)
		e.epilogue(p, acc)
	})
}

// multiplyWgmma sums a part up in acc: registers 4i to 4i+3 of a row tile are
// those of tokens 8i to 8i+7.
func (e *gemmEmit) multiplyWgmma(p gemmPart, r *gemmBulkRing, acc [][]ptx.Reg) {
	b := e.b
	w := e.newWeights(p)
	f := e.newFragmentSets(w)
	w.load(0)
	f.next(0, 0, 0)
	add := b.Var(ptx.Pred, false)
	held := b.Var(ptx.U32, 0) // barriers of the stage before
	e.columns(w, func(u int, kt any) {
		bar := r.barrier()
		b.MbarWait(bar, 0, r.phase)
		desc := e.descriptor(r.stage)
		for h := range f.groups {
			b.WgmmaFence()
			e.multiplyGroup(acc, f, u, h, desc, add)
			b.WgmmaCommit()
			b.WgmmaWait(1)
			if h == 0 {
				e.release(held)
				b.Set(held, bar)
			}
			f.next(u, h+1, kt)
		}
		r.next()
	})
	b.WgmmaWait(0)
	e.release(held)
}

// gemmFragmentSets are two sets of registers for fragments, of groups of steps of a
// tile of 64 columns: while wgmma reads one, the other is filled.
type gemmFragmentSets struct {
	w      *gemmWeights
	groups int            // of a tile
	sets   [2][][]ptx.Reg // [row tile][4*step of the group...]
}

// newFragmentSets makes groups of half a tile, or a step, where a warp has two row
// tiles: there are not enough registers for twice all of it. F16 needs none to
// unpack it, Q5_K and Q6_K many.
func (e *gemmEmit) newFragmentSets(w *gemmWeights) *gemmFragmentSets {
	f := &gemmFragmentSets{w: w, groups: 1}
	switch format := w.tiles[0].f.f; {
	case e.g.Tile.RowTiles == 1 || format == FormatF16:
	case format == FormatQ5_K || format == FormatQ6_K:
		f.groups = 4
	default:
		f.groups = 2
	}
	for set := range f.sets {
		for range w.tiles {
			f.sets[set] = append(f.sets[set], e.b.Regs(ptx.F16x2, 16/f.groups))
		}
	}
	return f
}

// of is the set for group h of tile u of a round.
func (f *gemmFragmentSets) of(u, h int) [][]ptx.Reg { return f.sets[(u*f.groups+h)%2] }

// next dequantises group h of tile u of the round that begins with tile kt, and
// after a tile's last group starts to load the next tile.
func (f *gemmFragmentSets) next(u, h int, kt any) {
	u, h = u+h/f.groups, h%f.groups
	if !f.w.loaded(u) {
		return
	}
	steps := 4 / f.groups
	for i := range steps {
		for j, x := range f.w.fragments(u, h*steps+i) {
			for r := range x {
				f.w.e.b.Set(f.of(u, h)[j][4*i+r], x[r])
			}
		}
	}
	if h == f.groups-1 {
		f.w.e.whenTile(f.w, kt, u+1, func() { f.w.load(u + 1) })
	}
}

// descriptor is that of x in a stage: address and strides in units of 16 bytes.
// Rows of 128 bytes are in groups of 8, 1024 bytes apart (bits 32-45); the stride
// of bits 16-29 does not count; 1 in bits 62-63 is the swizzle of 128 bytes.
func (e *gemmEmit) descriptor(stage ptx.Reg) ptx.Reg {
	b := e.b
	at := b.Shr(b.And(b.Mad(stage, e.g.Tile.stageBytes(), e.shared), 0x3FFFF), 4)
	return b.Or(b.Cvt(ptx.U64, at), uint64(1)<<62|uint64(1024/16)<<32|1<<16)
}

// multiplyGroup starts the products of group h of tile u.
func (e *gemmEmit) multiplyGroup(acc [][]ptx.Reg, f *gemmFragmentSets, u, h int, desc, add ptx.Reg) {
	b, steps := e.b, 4/f.groups
	for i := range steps {
		step := h*steps + i
		x := desc
		if step > 0 {
			x = b.Add(desc, 2*step) // 32 bytes on within the swizzled rows
		}
		for j, a := range f.of(u, h) {
			b.Wgmma(ptx.F16, e.g.Tile.Tokens, acc[j], a[4*i:4*i+4], x, add)
		}
		if step == 0 {
			b.Set(add, true)
		}
	}
}

// release tells the producer that the warp has read a stage; held is where its
// barriers lie, 0 for none.
func (e *gemmEmit) release(held ptx.Reg) {
	b := e.b
	b.WarpSync()
	p := b.And(b.Setp(ptx.Ne, held, 0), b.Setp(ptx.Eq, e.lane, 0))
	b.Under(p, func() { b.MbarArrive(held, 8) })
}

// SharedBytes is the dynamic shared memory: the ring; with wgmma also room for the
// results of SiLUMulPack, since the ring is filled again already, and the barriers.
func (g GEMM) SharedBytes() int {
	if g.Tile.Wgmma {
		return g.barriersAt() + 16*g.Tile.Stages
	}
	return max(g.Tile.Stages*g.Tile.stageBytes(), g.stagingBytes())
}

func (g GEMM) stagingBytes() int {
	if g.Out != SiLUMulPack {
		return 0
	}
	return g.Tile.Warps * g.Tile.RowTiles / 8 * g.Tile.stageBytes()
}

func (g GEMM) barriersAt() int { return g.Tile.Stages*g.Tile.stageBytes() + g.stagingBytes() }

// staging is where the results of SiLUMulPack are laid out.
func (e *gemmEmit) staging() ptx.Reg {
	if e.g.Tile.Wgmma {
		return e.b.Add(e.shared, e.g.Tile.Stages*e.g.Tile.stageBytes())
	}
	return e.shared
}
