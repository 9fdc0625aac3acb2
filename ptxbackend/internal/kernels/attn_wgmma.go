package kernels

import (
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Prefill on Hopper, by wgmma. Two warpgroups have 64 queries each; tiles of 128 keys
// and values lie in shared memory in slices of 64 columns, rows of 128 bytes, swizzled.
// wgmma wants the values with the positions running along the rows, so the warps turn
// each tile over, a 256th of the traffic of the products. Per tile a warpgroup
//
//	starts the scores of the next tile
//	turns its part of the values over, and starts the next copies
//	starts the sums over this tile's values, weights in registers
//	makes the next tile's scores, once there, weights, while the sums go on
//
// so that the tensor cores have work while the powers are computed (the order of
// Shah et al., FlashAttention-3, 2024, with all warps alike).

// Shared memory: queries, two tiles of keys, one of values, one of values turned over.
const wgmmaRows = 128

func (c AttnPrefill) keyTile() int     { return 2 * wgmmaRows * c.KeyDim }
func (c AttnPrefill) valueTile() int   { return 2 * wgmmaRows * c.ValueDim }
func (c AttnPrefill) keysAt() int      { return c.keyTile() }
func (c AttnPrefill) valuesAt() int    { return 3 * c.keyTile() }
func (c AttnPrefill) turnedAt() int    { return c.valuesAt() + c.valueTile() }
func (c AttnPrefill) wgmmaShared() int { return c.turnedAt() + c.valueTile() }

// attnWgmma is the rest of the kernel being built.
type attnWgmma struct {
	*attnPrefill
	row    ptx.Reg   // U32: the first row of a tile this thread copies; the others are 32 apart
	to     ptx.Reg   // U32: where its chunk of 16 bytes is in a slice
	kFrom  ptx.Reg   // U64: likewise in page 0
	vFrom  ptx.Reg   // U64
	s      []ptx.Reg // scores, then weights
	p      []ptx.Reg // weights as halves, 4 for 16 keys
	acc    []ptx.Reg
	yes    ptx.Reg // Pred: true
	turnTo [2]ptx.Reg
	turnAt [4]ptx.Reg
}

// wgmma writes the kernel up to the sums.
func (a *attnPrefill) wgmma() {
	b := a.b
	a.rows()
	w := &attnWgmma{attnPrefill: a}
	w.begin()
	b.CpAsyncWait(1)
	b.FenceAsync()
	b.Bar()
	no := b.Var(ptx.Pred, false)
	w.scores(b.Var(ptx.U32, 0), no)
	b.WgmmaWait(0)
	w.soften(b.Var(ptx.U32, 0), func() {})
	last := b.Sub(a.tiles, 1)
	b.For(b.Var(ptx.U32, 0), last, 1, func(i ptx.Reg) {
		next := b.Add(i, 1)
		w.arrive()
		w.scores(next, no)
		w.turn()
		w.copyKeys(b.Add(i, 2))
		w.copyValues(next)
		b.CpAsyncCommit()
		w.sums()
		b.WgmmaWait(1)
		w.soften(next, func() { b.WgmmaWait(0) })
	})
	w.arrive()
	w.turn()
	w.sums()
	b.WgmmaWait(0)
}

// arrive waits until all threads' copies are there.
func (w *attnWgmma) arrive() {
	w.b.CpAsyncWait(0)
	w.b.FenceAsync()
	w.b.Bar()
}

// begin starts the first copies: the queries and the first keys, then the second keys
// and the first values.
func (w *attnWgmma) begin() {
	a, b := w.attnPrefill, w.b
	w.row = b.Shr(w.tid, 3)
	chunk := b.And(w.tid, 7)
	w.to = b.Mad(w.row, 128, b.Shl(b.Xor(chunk, b.And(w.row, 7)), 4))
	from := func(pages ptx.Reg, dim int) ptx.Reg {
		slot := b.Mad(w.kvHead, backend.PageTokens, w.row)
		return b.MadWide(chunk, 16, b.MadWide(slot, 2*dim, pages))
	}
	w.kFrom, w.vFrom = from(w.keys, w.KeyDim), from(w.values, w.ValueDim)
	a.f = newFlash(b, w.AttnShape, 16, false, w.scale)
	a.queries()
	a.f.reset()
	w.s, w.p, w.yes = b.Regs(ptx.F32, wgmmaRows/2), b.Regs(ptx.B32, wgmmaRows/4), b.Var(ptx.Pred, true)
	for _, acc := range a.f.acc[0] {
		w.acc = append(w.acc, acc...)
	}
	w.copyQueries(chunk)
	w.copyKeys(b.Var(ptx.U32, 0))
	b.CpAsyncCommit()
	w.copyKeys(b.Var(ptx.U32, 1))
	w.copyValues(b.Var(ptx.U32, 0))
	b.CpAsyncCommit()
	w.places()
}

// copyQueries starts to copy the queries; where there is none, zeroes.
func (w *attnWgmma) copyQueries(chunk ptx.Reg) {
	b := w.b
	dst := b.Add(w.ring, w.to)
	from := b.MadWide(chunk, 16, w.q)
	for i := 0; i < wgmmaRows; i += 32 {
		p := w.pairOf(b.Add(w.row, i))
		row := b.Min(p.row, b.Sub(b.Add(w.row0, w.n), 1))
		src := b.MadWide(b.Mad(row, w.Heads, p.head), 2*w.KeyDim, from)
		fill := b.Selp(b.Var(ptx.U32, 16), 0, p.in)
		for c := range w.KeyDim / 64 {
			b.CpAsync(dst, 128*(wgmmaRows*c+i), src, 128*c, fill)
		}
	}
}

// copyKeys starts to copy tile i of the keys, if there is one.
func (w *attnWgmma) copyKeys(i ptx.Reg) {
	b := w.b
	at := b.Mad(b.And(i, 1), w.keyTile(), b.Add(w.ring, w.keysAt()))
	w.copyTile(i, at, w.kFrom, w.KeyDim)
}

// copyValues starts to copy tile i of the values.
func (w *attnWgmma) copyValues(i ptx.Reg) {
	w.copyTile(i, w.b.Add(w.ring, w.valuesAt()), w.vFrom, w.ValueDim)
}

func (w *attnWgmma) copyTile(i, at, from ptx.Reg, dim int) {
	b := w.b
	b.If(b.Setp(ptx.Lt, i, w.tiles), func() {
		dst := b.Add(at, w.to)
		left := b.As(ptx.S32, b.Sub(b.Sub(w.end(), b.Mul(i, wgmmaRows)), w.row))
		last := b.Shr(b.Sub(w.end(), 1), int(tileShift(backend.PageTokens)))
		for half := range wgmmaRows / backend.PageTokens {
			// The last tile may have one page; then nothing is read of the second.
			entry := b.Add(w.table, b.Min(b.Mad(i, wgmmaRows/backend.PageTokens, half), last))
			page := b.Ld(ptx.Global, ptx.U32, rowAddress(b, w.batch, entry, 4), 0)
			src := b.MadWide(page, pageBytes(w.KVHeads, dim), from)
			for r := 0; r < backend.PageTokens; r += 32 {
				row := backend.PageTokens*half + r
				fill := b.Selp(b.Var(ptx.U32, 16), 0, b.Setp(ptx.Gt, left, row))
				for c := range dim / 64 {
					b.CpAsync(dst, 128*(wgmmaRows*c+row), src, 2*dim*r+128*c, fill)
				}
			}
		}
	})
}

// wgmmaDesc describes rows of 128 bytes at a shared address, swizzled, in groups of 8
// that follow one another; see GEMM.
func wgmmaDesc(b *ptx.Builder, at ptx.Reg) ptx.Reg {
	return b.Or(b.Cvt(ptx.U64, b.Shr(b.And(at, 0x3FFFF), 4)), uint64(1)<<62|uint64(1024/16)<<32|1<<16)
}

// scores starts the products of the warpgroup's queries with tile i of the keys.
func (w *attnWgmma) scores(i, no ptx.Reg) {
	b := w.b
	q := wgmmaDesc(b, b.Mad(b.Shr(w.warp, 2), 64*128, w.ring))
	k := wgmmaDesc(b, b.Mad(b.And(i, 1), w.keyTile(), b.Add(w.ring, w.keysAt())))
	b.WgmmaFence()
	for step := range w.KeyDim / 16 {
		off := (step/4*wgmmaRows*128 + step%4*32) / 16
		add := w.yes
		if step == 0 {
			add = no
		}
		b.Wgmma(ptx.F16, wgmmaRows, w.s, []ptx.Reg{b.Add(q, off)}, b.Add(k, off), add)
	}
	b.WgmmaCommit()
}

// sums starts the products of the weights with the values turned over.
func (w *attnWgmma) sums() {
	b := w.b
	v := wgmmaDesc(b, b.Add(w.ring, w.turnedAt()))
	b.WgmmaFence()
	for step := range wgmmaRows / 16 {
		off := (step/4*w.ValueDim*128 + step%4*32) / 16
		b.Wgmma(ptx.F16, w.ValueDim, w.acc, w.p[4*step:4*step+4], b.Add(v, off), w.yes)
	}
	b.WgmmaCommit()
}

// soften turns the scores of tile i into weights; done waits for the sums over the tile
// before.
func (w *attnWgmma) soften(i ptx.Reg, done func()) {
	b, f := w.b, w.f
	s := [][][]ptx.Reg{nil}
	for k := 0; k < len(w.s); k += 4 {
		s[0] = append(s[0], w.s[k:k+4])
	}
	at := b.As(ptx.S32, b.Mul(i, wgmmaRows))
	b.If(b.Setp(ptx.Gt, b.Add(at, wgmmaRows), w.clear), func() {
		f.mask(s, func(i, side int) ptx.Reg { return b.Sub(w.sees[i][side], at) })
	})
	tops, any := f.tops(s)
	var by [2]ptx.Reg
	for side := range by {
		by[side] = f.relativeTo(0, side, tops[0][side])
		less := b.Neg(f.m[0][side])
		for _, d := range s[0] {
			for _, x := range d[2*side : 2*side+2] {
				b.Emit("ex2.approx.ftz.f32", x, b.Mad(x, f.scale, less))
			}
			b.AddTo(f.l[0][side], b.Add(d[2*side], d[2*side+1]))
		}
	}
	done()
	b.If(any, func() {
		f.rescale(0, 0, by[0])
		f.rescale(0, 1, by[1])
	})
	for k := 0; k < len(s[0]); k += 2 {
		for part := range 2 {
			for side := range 2 {
				d := s[0][k+part][2*side:]
				b.Set(w.p[2*k+2*part+side], b.CvtPair(ptx.F16x2, d[0], d[1]))
			}
		}
	}
}

// places works out where this lane reads and writes values: its warp has 16 positions.
func (w *attnWgmma) places() {
	b := w.b
	g, t := b.Shr(w.lane, 2), b.And(w.lane, 3)
	pos := b.Mad(w.warp, 16, b.And(w.lane, 15))
	for i := range w.turnAt { // columns 16i to 16i+15 of a slice
		chunk := b.Add(b.Shr(w.lane, 4), 2*i)
		w.turnAt[i] = b.Add(b.Mad(pos, 128, b.Shl(b.Xor(chunk, b.And(pos, 7)), 4)), b.Add(w.ring, w.valuesAt()))
	}
	slice := b.Mad(b.Shr(w.warp, 2), 128*w.ValueDim, b.Add(w.ring, w.turnedAt()))
	for i := range w.turnTo { // positions 8i to 8i+7 of the 16
		chunk := b.Add(b.Shl(b.And(w.warp, 3), 1), i)
		w.turnTo[i] = b.Add(b.Mad(g, 128, b.Shl(b.Xor(chunk, g), 4)), b.Mad(t, 4, slice))
	}
}

// turn writes the tile of values turned over, once the sums over the one before are
// complete in all warps.
func (w *attnWgmma) turn() {
	b := w.b
	for c := 0; c < w.ValueDim; c += 16 {
		y := b.Ldmatrix(4, true, w.turnAt[c%64/16], c/64*wgmmaRows*128)
		for i, r := range y {
			b.St(ptx.Shared, w.turnTo[i%2], 128*(c+i/2*8), r)
		}
	}
	b.FenceAsync()
	b.Bar()
}
