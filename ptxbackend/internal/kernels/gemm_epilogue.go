package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// epilogue stores a part's sums, acc[j] those of the warp's row tile j.
func (e *gemmEmit) epilogue(p gemmPart, acc [][]ptx.Reg) {
	if e.g.Epilogue == GEMMSwiGLU {
		e.swiglu(p, acc)
		return
	}
	for j := range acc {
		j := j
		e.ifTile(p, j, func() { e.store(p, j, acc[j]) })
	}
}

// ifTile executes f where the warp's row tile j is one of the matrix.
func (e *gemmEmit) ifTile(p gemmPart, j int, f func()) {
	tiles := (p.n + 15) / 16
	if tiles%(e.g.Tile.Warps*e.g.Tile.RowTiles) == 0 {
		f()
		return
	}
	e.b.If(e.b.Setp(ptx.Lt, p.tiles[j], tiles), f)
}

// store writes the sums of a row tile, or adds them to in. A lane has columns row
// and row+8 of the tile, of tokens col and col+1 of every 8: a warp's store fills
// whole sectors of 32 bytes.
func (e *gemmEmit) store(p gemmPart, j int, acc []ptx.Reg) {
	b := e.b
	m := p.of[j]
	scale, stride := p.args[argOf("scale", m)], p.args[argOf("stride", m)]
	n := b.Mad(p.tiles[j], 16, e.row)
	bias := e.bias(p, m, n)
	token := b.Mad(p.token, e.g.Tile.Tokens, e.col)
	at := b.MadWide(n, 4, b.Mul(b.Cvt(ptx.U64, token), b.MulWide(stride, 4)))
	rowBytes := b.MulWide(stride, 4)
	left := b.As(ptx.S32, b.Sub(e.args["rows"], token)) // rows from token on
	limit := [2]ptx.Reg{left, left}
	if p.n%16 != 0 {
		for h := range limit {
			limit[h] = b.Selp(left, 0, b.Setp(ptx.Lt, b.Add(n, 8*h), p.n))
		}
	}
	out := [2]ptx.Reg{b.Add(p.args[argOf("out", m)], at)}
	out[1] = b.Add(out[0], rowBytes)
	in := out
	if e.g.Epilogue == GEMMResidual {
		in[0] = b.Add(e.args["in"], at)
		in[1] = b.Add(in[0], rowBytes)
	}
	rows8 := b.Shl(rowBytes, 3)
	const batch = 4 // loads of in before the stores
	for i := 0; i < e.g.Tile.Tokens/8; i += batch {
		e.store32(i, acc[4*i:4*i+4*batch], scale, bias, limit, &in, &out, rows8)
	}
}

// store32 stores tokens 8i to 8i+31 and moves in and out on.
func (e *gemmEmit) store32(i int, acc []ptx.Reg, scale ptx.Reg, bias [2]ptx.Reg, limit [2]ptx.Reg, in, out *[2]ptx.Reg, rows8 ptx.Reg) {
	b, residual := e.b, e.g.Epilogue == GEMMResidual
	valid := make([]ptx.Reg, len(acc))
	x := make([]ptx.Reg, len(acc))
	for r := range acc { // r%4 counts as mma's results do: token r&1, column half r>>1&1
		token, half := r&1, r>>1&1
		if half == 1 && limit[1] == limit[0] {
			valid[r] = valid[r-2]
		} else {
			valid[r] = b.Setp(ptx.Gt, limit[half], 8*(i+r/4)+token)
		}
		if residual {
			x[r] = b.Var(ptx.F32, 0)
			b.Under(valid[r], func() { b.LdTo(x[r:r+1], ptx.Global, in[token], 32*half) })
			if r%4 == 3 {
				in[0], in[1] = b.Add(in[0], rows8), b.Add(in[1], rows8)
			}
		}
	}
	for r := range acc {
		token, half := r&1, r>>1&1
		y := e.scaled(acc[r], scale, bias[half])
		if residual {
			y = b.Add(x[r], y)
		}
		b.Under(valid[r], func() { b.St(ptx.Global, out[token], 32*half, y) })
		if r%4 == 3 {
			out[0], out[1] = b.Add(out[0], rows8), b.Add(out[1], rows8)
		}
	}
}

// bias are the biases of columns n and n+8 of matrix m; zero registers without.
func (e *gemmEmit) bias(p gemmPart, m int, n ptx.Reg) (bias [2]ptx.Reg) {
	if !e.g.Mats[m].Bias {
		return bias
	}
	b := e.b
	at := b.MadWide(n, 4, p.args[argOf("bias", m)])
	for h := range bias {
		bias[h] = b.Var(ptx.F32, 0)
		b.Under(b.Setp(ptx.Lt, b.Add(n, 8*h), p.n), func() { b.LdTo(bias[h:h+1], ptx.Global, at, 32*h, ptx.NC) })
	}
	return bias
}

func (e *gemmEmit) scaled(y, scale, bias ptx.Reg) ptx.Reg {
	if bias.IsZero() {
		return e.b.Mul(y, scale)
	}
	return e.b.Mad(y, scale, bias)
}

// swiglu multiplies silu(gate) by up, both of which the same lane has, lays the
// block's halves out in shared memory as in the Pack and copies its tiles.
func (e *gemmEmit) swiglu(p gemmPart, acc [][]ptx.Reg) {
	b, t := e.b, e.g.Tile
	half := t.RowTiles / 2
	stage := e.staging()
	for j := range half {
		n := b.Mad(p.tiles[j], 16, e.row)
		gateBias, upBias := e.bias(p, 0, n), e.bias(p, 1, n)
		place := e.packPlaces(stage, j)
		exists := b.Setp(ptx.Lt, p.tiles[j], (p.n+15)/16)
		for r := range acc[j] {
			side := r >> 1 & 1
			gate := e.scaled(acc[j][r], p.args["scale0"], gateBias[side])
			up := e.scaled(acc[j+half][r], p.args["scale1"], upBias[side])
			y := b.Mul(b.Mul(gate, e.sigmoid(gate)), up)
			y = b.Max(b.Min(y, 65504.0), -65504.0)
			if p.n%64 != 0 {
				y = b.Selp(y, 0.0, exists)
			}
			b.St(ptx.Shared, place[r&3], r/4*8*128, b.Cvt(ptx.F16, y))
		}
	}
	b.BarN(1, 32*t.Warps)
	e.copyOut(p, stage)
	b.BarN(1, 32*t.Warps) // the next part's may come
}

// sigmoid is 1 / (1 + exp(-x)).
func (e *gemmEmit) sigmoid(x ptx.Reg) ptx.Reg {
	b := e.b
	return b.Rcp(b.Add(b.Ex2(b.Mul(x, -1.4426950408889634)), 1.0))
}

// packPlaces are where the results of row tile j for tokens 0 to 7 belong, in the
// order of mma's registers: (token col, column row), (col+1, row), and both 8
// columns on.
func (e *gemmEmit) packPlaces(stage ptx.Reg, j int) (place [4]ptx.Reg) {
	b, t := e.b, e.g.Tile
	tile := b.Mad(e.warp, t.RowTiles/2, j) // of 16 columns, in the block
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
	width := (p.n + 63) / 64 // tiles
	perBlock := t.Warps * t.RowTiles / 8
	own := b.Shl(e.tid, 4)
	for c := range perBlock {
		column := b.Mad(p.block, perBlock, c)
		for first := 0; first < t.Tokens; first += 128 {
			tokens := min(t.Tokens, 128)
			row := b.Mad(p.token, t.Tokens, first) // of the batch
			dst := b.MadWide(b.Mad(b.Shr(row, 7), width, column), gemmTile, e.args["out"])
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
