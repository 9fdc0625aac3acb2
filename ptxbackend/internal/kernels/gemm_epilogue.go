package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// epilogue stores a part's sums, acc[j] those of the warp's row tile j.
func (e *gemmEmit) epilogue(p gemmPart, acc [][]ptx.Reg) {
	if e.g.Out == SiLUMulPack {
		e.siluMul(p, acc)
		return
	}
	for j := range acc {
		e.ifTile(p, j, func() { e.store(p, j, acc[j]) })
	}
}

// ifTile executes f where the warp's row tile j is one of the matrix.
func (e *gemmEmit) ifTile(p gemmPart, j int, f func()) {
	tiles := e.g.tiles(p.mat)
	if tiles%(e.g.Tile.Warps*e.g.Tile.RowTiles) == 0 {
		f()
		return
	}
	e.b.If(e.b.Setp(ptx.Lt, p.tiles[j], tiles), f)
}

// store writes the sums of a row tile, or adds them to the residual. A lane has
// columns row and row+8 of the tile, of tokens col and col+1 of every 8: a warp's
// store fills whole sectors of 32 bytes.
func (e *gemmEmit) store(p gemmPart, j int, acc []ptx.Reg) {
	b := e.b
	stride := e.g.Stride
	if stride == 0 {
		stride = p.mat.N
	}
	n := b.Mad(p.tiles[j], 16, e.row)
	bias := e.bias(p, n)
	token := b.Mad(p.token, e.g.Tile.Tokens, e.col)
	at := b.MadWide(token, 4*stride, b.MulWide(n, 4))
	left := b.As(ptx.S32, b.Sub(e.args["rows"], token)) // rows from token on
	limit := [2]ptx.Reg{left, left}
	if p.mat.N%16 != 0 {
		for h := range limit {
			limit[h] = b.Selp(left, 0, b.Setp(ptx.Lt, b.Add(n, 8*h), p.mat.N))
		}
	}
	out := b.Add(p.args["out"], at)
	in := out
	if e.g.Out == AddResidual {
		in = b.Add(e.args["residual"], at)
	}
	const batch = 4 // loads of the residual before the stores
	for i := 0; i < e.g.Tile.Tokens/8; i += batch {
		e.store32(i, acc[4*i:4*i+4*batch], p.args["scale"], bias, limit, in, out, 4*stride)
		b.AddTo(out, 32*4*stride)
		if in != out {
			b.AddTo(in, 32*4*stride)
		}
	}
}

// store32 stores tokens 8i to 8i+31 at out, rowBytes from row to row.
func (e *gemmEmit) store32(i int, acc []ptx.Reg, scale ptx.Reg, bias, limit [2]ptx.Reg, in, out ptx.Reg, rowBytes int) {
	b, residual := e.b, e.g.Out == AddResidual
	x := make([]ptx.Reg, len(acc))
	// Register r is of token 8(i+r/4) + (r&1) and of the column half r>>1&1.
	at := func(r int) int { return (r/4*8+r&1)*rowBytes + 32*(r>>1&1) }
	valid := func(r int) ptx.Reg { return b.Setp(ptx.Gt, limit[r>>1&1], 8*(i+r/4)+r&1) }
	for r := range acc {
		if residual {
			x[r] = b.Var(ptx.F32, 0)
			b.Under(valid(r), func() { b.LdTo(x[r:r+1], ptx.Global, in, at(r)) })
		}
	}
	for r := range acc {
		y := e.scaled(acc[r], scale, bias[r>>1&1])
		if residual {
			y = b.Add(x[r], y)
		}
		b.Under(valid(r), func() { b.St(ptx.Global, out, at(r), y) })
	}
}

// bias are the biases of columns n and n+8; zero registers without.
func (e *gemmEmit) bias(p gemmPart, n ptx.Reg) (bias [2]ptx.Reg) {
	if !e.g.Bias {
		return bias
	}
	b := e.b
	at := b.MadWide(n, 4, p.args["bias"])
	for h := range bias {
		bias[h] = b.Var(ptx.F32, 0)
		b.Under(b.Setp(ptx.Lt, b.Add(n, 8*h), p.mat.N), func() { b.LdTo(bias[h:h+1], ptx.Global, at, 32*h, ptx.NC) })
	}
	return bias
}

func (e *gemmEmit) scaled(y, scale, bias ptx.Reg) ptx.Reg {
	if bias.IsZero() {
		return e.b.Mul(y, scale)
	}
	return e.b.Mad(y, scale, bias)
}

// siluMul multiplies silu(gate) by up, both of which the same lane has, lays the
// block's halves out in shared memory as in the Pack and copies its tiles.
func (e *gemmEmit) siluMul(p gemmPart, acc [][]ptx.Reg) {
	b, t := e.b, e.g.Tile
	stage := e.staging()
	for pair := range t.RowTiles / 2 {
		place := e.packPlaces(stage, pair)
		exists := b.Setp(ptx.Lt, p.tiles[2*pair], e.g.tiles(p.mat))
		for r := range acc[2*pair] {
			gate := b.Mul(acc[2*pair][r], p.args["scale"])
			y := saturate(b, b.Mul(silu(b, gate), b.Mul(acc[2*pair+1][r], p.args["scaleup"])))
			if e.g.tiles(p.mat)%8 != 0 { // columns that fill up the last 64
				y = b.Selp(y, 0.0, exists)
			}
			b.St(ptx.Shared, place[r&3], r/4*8*128, b.Cvt(ptx.F16, y))
		}
	}
	b.BarN(1, 32*t.Warps)
	e.copyOut(p, stage)
	b.BarN(1, 32*t.Warps) // the next part's may come
}

// packPlaces are where the results of a pair of row tiles for tokens 0 to 7 belong, in the
// order of mma's registers: (token col, column row), (col+1, row), and both 8
// columns on.
func (e *gemmEmit) packPlaces(stage ptx.Reg, pair int) (place [4]ptx.Reg) {
	b, t := e.b, e.g.Tile
	tile := b.Mad(e.warp, t.RowTiles/2, pair) // of 16 columns, in the block
	chunk := b.Shl(b.And(tile, 3), 1)
	at := b.Mad(b.Shr(tile, 2), t.stageBytes(), b.Mad(e.row, 2, stage))
	for r := range place {
		token, c := b.Add(e.col, r&1), b.Add(chunk, r>>1)
		place[r] = b.Add(b.Mad(token, 128, at), b.Shl(b.Xor(c, token), 4))
	}
	return place
}

// copyOut copies the block's tiles of 64 columns from stage into the Pack.
func (e *gemmEmit) copyOut(p gemmPart, stage ptx.Reg) {
	b, t := e.b, e.g.Tile
	width := (p.mat.N/2 + 63) / 64 // tiles
	perBlock := t.Warps * t.RowTiles / 8
	own := b.Shl(e.tid, 4)
	for c := range perBlock {
		column := b.Mad(p.block, perBlock, c)
		for first := 0; first < t.Tokens; first += 128 {
			tokens := min(t.Tokens, 128)
			row := b.Mad(p.token, t.Tokens, first) // of the batch
			dst := b.MadWide(b.Mad(b.Shr(row, 7), width, column), gemmTile, p.args["out"])
			dst = b.MadWide(b.And(row, 127), 128, dst)
			dst = b.Add(dst, b.Cvt(ptx.U64, own))
			src := b.Add(b.Add(stage, c*t.stageBytes()+first*128), own)
			there := b.And(b.Setp(ptx.Lt, column, width), b.Setp(ptx.Lt, row, e.args["rows"]))
			b.If(there, func() {
				for at := 0; at < tokens*128; at += 16 * 32 * t.Warps {
					b.StV(ptx.Global, dst, at, b.LdV(ptx.Shared, ptx.B32, 4, src, at))
				}
			})
		}
	}
}
