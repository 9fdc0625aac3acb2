package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// gemmEmit writes one kernel.
type gemmEmit struct {
	b        *ptx.Builder
	g        GEMM
	kTiles   int // tiles of 64 columns
	args     map[string]ptx.Reg
	shared   ptx.Reg // dynamic shared memory
	tid      ptx.Reg
	warp     ptx.Reg // of those that multiply
	lane     ptx.Reg
	row, col ptx.Reg // of a fragment: lane/4 and 2*(lane%4)
}

// Build writes the kernel.
func (g GEMM) Build(target ptx.Target) (*ptx.Kernel, error) {
	if err := g.check(target); err != nil {
		return nil, err
	}
	b := ptx.New(g.Name(), target)
	e := &gemmEmit{b: b, g: g, kTiles: (g.Mats[0].K + 63) / 64, args: map[string]ptx.Reg{}}
	s := g.signature()
	for i, r := range s.load(b) {
		e.args[s[i].Name] = r
	}
	e.shared = b.DynamicShared("ring", 1024)
	e.thread()
	if g.Tile.Wgmma {
		e.wgmma()
	} else {
		e.mma()
	}
	return b.Kernel()
}

// thread finds out which thread it is.
func (e *gemmEmit) thread() {
	b := e.b
	e.tid = b.Tid(0)
	e.warp, e.lane = b.Shr(e.tid, 5), b.And(e.tid, 31)
	e.row, e.col = b.Shr(e.lane, 2), b.Shl(b.And(e.lane, 3), 1)
}

// gemmPart is a block's part of the product.
type gemmPart struct {
	mat   Layout
	token ptx.Reg            // token block
	block ptx.Reg            // row block within the matrix
	tiles []ptx.Reg          // the warp's tiles of 16 rows, within the matrix
	args  map[string]ptx.Reg // of the matrix: w, scale, out, scaleup, bias
}

// tokenBlocks is the number of token blocks.
func (e *gemmEmit) tokenBlocks() ptx.Reg {
	return e.b.Div(e.b.Add(e.args["rows"], e.g.Tile.Tokens-1), e.g.Tile.Tokens)
}

// part works out what a warp does for block block of path p.
func (e *gemmEmit) part(p gemmPath, block, tokenBlocks ptx.Reg) gemmPart {
	b, t := e.b, e.g.Tile
	row, token := e.place(p, block, tokenBlocks)
	part := gemmPart{mat: e.g.Mats[p.mats[0]], token: token, args: map[string]ptx.Reg{}}
	start := b.Var(ptx.U32, p.first[0])
	for i, m := range p.mats {
		past := ptx.Reg{}
		if i > 0 {
			past = b.Setp(ptx.Ge, row, p.first[i])
			start = b.Selp(p.first[i], start, past)
		}
		for _, a := range e.g.matSignature() {
			arg := e.args[a.Name+fmt.Sprint(m)]
			if i > 0 {
				arg = b.Selp(arg, part.args[a.Name], past)
			}
			part.args[a.Name] = arg
		}
	}
	part.block = b.Sub(row, start)
	first := b.Mul(b.Mad(part.block, t.Warps, e.warp), t.RowTiles)
	for j := range t.RowTiles {
		part.tiles = append(part.tiles, b.Add(first, j))
	}
	return part
}

// columns executes step's code for every tile of 64 columns, in rounds of w.unroll
// tiles: kt is the number of the round's first tile, a register or, past the last
// whole round, a number; u counts within the round.
func (e *gemmEmit) columns(w *gemmWeights, step func(u int, kt any)) {
	rounds := e.kTiles / w.unroll
	if rounds < 2 {
		rounds = 0
	}
	whole := rounds * w.unroll
	if rounds > 0 {
		w.enter()
		e.b.For(0, whole, w.unroll, func(kt ptx.Reg) {
			for u := range w.unroll {
				step(u, kt)
			}
			w.leave()
		})
	}
	for u := range e.kTiles - whole {
		step(u, whole)
	}
}

// whenTile executes f where there is a tile kt+ahead. f may hold no labels.
func (e *gemmEmit) whenTile(w *gemmWeights, kt any, ahead int, f func()) {
	switch kt := kt.(type) {
	case int:
		if kt+ahead < e.kTiles {
			f()
		}
	case ptx.Reg:
		last := (e.kTiles/w.unroll - 1) * w.unroll // round's first tile
		if last+ahead < e.kTiles {
			f()
		} else if ahead < e.kTiles {
			e.b.Under(e.b.Setp(ptx.Lt, kt, e.kTiles-ahead), f)
		}
	}
}
