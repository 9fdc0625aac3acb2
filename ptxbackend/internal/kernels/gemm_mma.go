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
	tokens := b.Div(b.Add(e.args["rows"], t.Tokens-1), t.Tokens)
	row, token := e.place(b.Ctaid(0), tokens)
	// The sums leave few registers: what only the epilogue needs waits elsewhere.
	b.Under(b.Setp(ptx.Eq, e.tid, 0), func() { b.StV(ptx.Shared, e.shared, e.g.notesAt(), []ptx.Reg{row, token}) })
	e.eachPath(row, token, func(p gemmPart) {
		acc := e.multiplyMma(p)
		again := b.LdV(ptx.Shared, ptx.U32, 2, e.shared, e.g.notesAt())
		end := *e
		end.thread()
		end.epilogue(end.part(p.path, again[0], again[1]), acc)
	})
}

// multiplyMma returns the sums of each row tile: registers 4i to 4i+3 are those of
// mma's result for tokens 8i to 8i+7.
func (e *gemmEmit) multiplyMma(p gemmPart) [][]ptx.Reg {
	b, t := e.b, e.g.Tile
	w := e.newWeights(p)
	w.load(0)
	b.GridWait()
	b.GridLaunch()
	acc := make([][]ptx.Reg, t.RowTiles)
	for j := range acc {
		for range t.Tokens / 2 {
			acc[j] = append(acc[j], b.Var(ptx.F32, 0))
		}
	}
	in := e.newRing(p.token)
	for s := range t.Stages - 1 {
		if s < e.kTiles {
			in.copy(e.shared, s*t.stageBytes())
			in.next()
		}
		b.CpAsyncCommit()
	}
	read, fill := b.Var(ptx.U32, 0), b.Var(ptx.U32, (t.Stages-1)*t.stageBytes())
	e.columns(w, func(u int, kt any) {
		b.CpAsyncWait(t.Stages - 2)
		b.Bar() // the tile is there for all, and the one before it is no longer read
		to := b.Add(e.shared, fill)
		e.whenTile(w, kt, u+t.Stages-1, func() { in.copy(to, 0) })
		in.next()
		b.CpAsyncCommit()
		e.multiplyTile(acc, w, u, b.Add(in.read, read), func(step int) {
			if step == 0 {
				e.whenTile(w, kt, u+1, func() { w.load(u + 1) })
			}
		})
		e.advance(read)
		e.advance(fill)
	})
	b.CpAsyncWait(0)
	b.Bar()
	return acc
}

// multiplyTile adds the products of one tile of 64 columns; x is where the lane
// reads the first fragment of x.
func (e *gemmEmit) multiplyTile(acc [][]ptx.Reg, w *gemmWeights, u int, x ptx.Reg, between func(step int)) {
	b, t := e.b, e.g.Tile
	for step := range 4 {
		at := x
		if step > 0 {
			at = b.Xor(x, step<<5) // chunks 2*step and 2*step+1 of the swizzled row
		}
		var a [][]ptx.Reg
		for j := range t.RowTiles {
			a = append(a, w.fragment(j, u, step))
		}
		between(step)
		for i := range t.Tokens / 16 {
			y := b.Ldmatrix(4, false, at, i*16*128)
			for j := range t.RowTiles {
				lo, hi := acc[j][8*i:8*i+4], acc[j][8*i+4:8*i+8]
				b.Mma(ptx.F16, lo, a[j], y[:2], lo)
				b.Mma(ptx.F16, hi, a[j], y[2:], hi)
			}
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

// copy starts to copy the next tile to to+off.
func (r *gemmRing) copy(to ptx.Reg, off int) {
	t := r.e.g.Tile
	to = r.e.b.Add(to, r.own)
	for at := 0; at < t.stageBytes(); at += 16 * 32 * t.Warps {
		r.e.b.CpAsync(to, off+at, r.src, at)
	}
}

func (r *gemmRing) next() { r.e.b.AddTo(r.src, gemmTile) }
