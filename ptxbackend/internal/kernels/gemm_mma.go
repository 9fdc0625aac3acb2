package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// The product on any GPU since 2020, by mma.m16n8k16. A block's warps each have
// RowTiles tiles of 16 weight rows and all Tokens rows of x. Tiles of x go through a
// ring of Stages places in shared memory, brought by cp.async; weights go from
// global memory to registers one tile of 64 columns ahead, are dequantised there,
// once a block, and meet the fragments of x that ldmatrix reads.
//
// Per tile of 64 columns a warp of 2 row tiles and 128 tokens issues 128 mma and 32
// ldmatrix (16 KiB of shared memory, 128 bytes an mma), 8 cp.async, 2 to 8 loads of
// weights and 0 (F16) to about 150 instructions that dequantise: 1.4 to 2.6
// instructions an mma, while the tensor cores take 8 clocks of a scheduler for it on
// sm_80 (about 6.5 on sm_90). Four such warps read 64 KiB, 512 clocks of shared
// memory, to 1024 of the tensor cores: these are the limit, as long as two blocks
// of 4 warps (255 registers a thread) hide each other's barriers.

// mma writes the kernel.
func (e *gemmEmit) mma() {
	b, t := e.b, e.g.Tile
	b.Threads(32*t.Warps, t.Blocks)
	tokens := e.tokenBlocks()
	paths := e.g.paths()
	var next func(block ptx.Reg)
	next = func(block ptx.Reg) {
		p := paths[0]
		paths = paths[1:]
		code := func() {
			part := e.part(p, block, tokens)
			e.epilogue(part, e.multiplyMma(part))
		}
		if len(paths) == 0 {
			code()
			return
		}
		own := b.Mul(tokens, p.rows)
		b.If(b.Setp(ptx.Lt, block, own), code, func() { next(b.Sub(block, own)) })
	}
	next(b.Ctaid(0))
}

// multiplyMma returns the sums of each row tile: registers 4i to 4i+3 are those of
// mma's result for tokens 8i to 8i+7.
func (e *gemmEmit) multiplyMma(p gemmPart) [][]ptx.Reg {
	b, t := e.b, e.g.Tile
	w := e.newWeights(p)
	w.load(0)
	b.GridWait()
	b.GridLaunch()
	in := e.newRing(p.token)
	for s := range t.Stages - 1 {
		if s < e.kTiles {
			in.copy(b.Add(e.shared, s*t.stageBytes()))
		}
		b.CpAsyncCommit()
	}
	acc := make([][]ptx.Reg, t.RowTiles)
	for j := range acc {
		acc[j] = zeroes(b, t.Tokens/2)
	}
	// Branches that are never taken keep ptxas from moving what one step needs far
	// ahead of it, for which there are no registers.
	none, end := b.Setp(ptx.Eq, e.args["rows"], 0), b.NewLabel()
	stage := b.Var(ptx.U32, 0) // offset of the one to read
	e.columns(w, func(u int, kt any) {
		if round, ok := kt.(ptx.Reg); ok && u == 0 {
			w.prefetch(round)
		}
		b.CpAsyncWait(t.Stages - 2)
		b.Bar() // the tile is there for all, and nobody reads the one before it any more
		before := b.Selp(b.Var(ptx.U32, (t.Stages-1)*t.stageBytes()), b.Sub(stage, t.stageBytes()), b.Setp(ptx.Eq, stage, 0))
		to := b.Add(e.shared, before)
		e.whenTile(w, kt, u+t.Stages-1, func() { in.copy(to) })
		b.CpAsyncCommit()
		x := b.Add(in.read, stage)
		for step := range 4 {
			a := w.fragments(u, step)
			if step == 2 { // from here on few of the tile's registers are needed
				e.whenTile(w, kt, u+1, func() { w.load(u + 1) })
			}
			b.Under(none, func() { b.Bra(end) })
			e.multiplyStep(acc, a, x, step)
		}
		b.AddTo(stage, t.stageBytes())
		b.Under(b.Setp(ptx.Eq, stage, t.stageBytes()*t.Stages), func() { b.Set(stage, 0) })
	})
	b.Label(end)
	b.CpAsyncWait(0)
	b.Bar()
	return acc
}

// multiplyStep adds the products of 16 columns; x is where the lane reads the
// first fragment of the tile of x.
func (e *gemmEmit) multiplyStep(acc, a [][]ptx.Reg, x ptx.Reg, step int) {
	b := e.b
	if step > 0 {
		x = b.Xor(x, step<<5) // chunks 2*step and 2*step+1 of the swizzled row
	}
	for i := range e.g.Tile.Tokens / 16 {
		y := b.Ldmatrix(4, false, x, i*16*128)
		for j := range a {
			lo, hi := acc[j][8*i:8*i+4], acc[j][8*i+4:8*i+8]
			b.Mma(ptx.F16, lo, a[j], y[:2], lo)
			b.Mma(ptx.F16, hi, a[j], y[2:], hi)
		}
	}
}

// gemmRing is the ring of tiles of x, seen by a thread that helps to fill it.
type gemmRing struct {
	e    *gemmEmit
	src  ptx.Reg // its first 16 bytes of the next tile
	own  ptx.Reg // where they go within a stage
	read ptx.Reg // where the lane reads its first fragment in the first stage
}

func (e *gemmEmit) newRing(token ptx.Reg) *gemmRing {
	b := e.b
	r := &gemmRing{e: e, own: b.Shl(e.tid, 4)}
	r.src = b.Add(e.tokenTile(token), b.Cvt(ptx.U64, r.own))
	// ldmatrix: lanes 0-7 and 8-15 are the halves (16 bytes) of tokens 0-7, the
	// other lanes those of tokens 8-15.
	half := b.And(b.Shr(e.lane, 3), 1)
	in8 := b.And(e.lane, 7)
	row := b.Mad(b.Shr(e.lane, 4), 8, in8)
	r.read = b.Add(e.shared, b.Mad(row, 128, b.Shl(b.Xor(half, in8), 4)))
	return r
}

// tokenTile is where in x a token block's first tile of columns begins.
func (e *gemmEmit) tokenTile(token ptx.Reg) ptx.Reg {
	b := e.b
	switch e.g.Tile.Tokens {
	case 64: // half a tile
		at := b.MadWide(b.Shr(token, 1), e.kTiles*gemmTile, e.args["x"])
		return b.MadWide(b.And(token, 1), gemmTile/2, at)
	case 256:
		token = b.Shl(token, 1)
	}
	return b.MadWide(token, e.kTiles*gemmTile, e.args["x"])
}

// gemmTile is the size of a tile of 128 rows of x.
const gemmTile = 128 * 128

// copy starts to copy the next tile to to.
func (r *gemmRing) copy(to ptx.Reg) {
	b, t := r.e.b, r.e.g.Tile
	to = b.Add(to, r.own)
	for at := 0; at < t.stageBytes(); at += 16 * 32 * t.Warps {
		b.CpAsync(to, at, r.src, at)
	}
	b.AddTo(r.src, gemmTile)
}
