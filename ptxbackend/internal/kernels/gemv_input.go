package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// inputLoader reads what was there before the step, and returns what brings the
// input to shared memory, as a Pack.
func (g *gemv) inputLoader() (load func()) {
	if g.Norm {
		return g.normLoader()
	}
	return g.loadPack
}

func (g *gemv) loadPack() {
	b := g.b
	chunks := g.kTiles() * g.T * 8 // of 16 bytes
	given := Pack{g.T, g.layout.K}.KTiles() * g.T * 8
	const batch = 4
	for at := 0; at < chunks; at += batch * g.threads() {
		var v [batch][]ptx.Reg
		var place [batch]ptx.Reg
		for i := range v {
			first := at + i*g.threads()
			if first >= chunks {
				continue
			}
			chunk := b.Add(g.tid, first)
			v[i] = make([]ptx.Reg, 4)
			for j := range v[i] {
				v[i][j] = b.Var(ptx.B32, 0)
			}
			b.If(b.Setp(ptx.Lt, chunk, given), func() { b.LdTo(v[i], ptx.Global, b.MadWide(chunk, 16, g.x), 0) })
			place[i] = b.Mad(chunk, 16, g.inputs)
		}
		for i := range v {
			if v[i] == nil {
				continue
			}
			if at+(i+1)*g.threads() <= chunks {
				b.StV(ptx.Shared, place[i], 0, v[i])
				continue
			}
			b.Under(b.Setp(ptx.Lt, b.Add(g.tid, at+i*g.threads()), chunks), func() { b.StV(ptx.Shared, place[i], 0, v[i]) })
		}
	}
}

// heldMost is how many registers a thread has for its part of the rows to be
// normalised, and of the norm's weights.
const heldMost = 32

// normLoader normalises the rows of x. A thread has the same vectors of 4 columns of
// each row, in registers between the sum of squares and the product, or, if they are
// too many, it reads them again.
func (g *gemv) normLoader() (load func()) {
	b := g.b
	cols := make([]ptx.Reg, (g.kTiles()*16+g.threads()-1)/g.threads())
	if 4*len(cols)*(g.T+1) > heldMost {
		return g.normTwice
	}
	w := make([][]ptx.Reg, len(cols))
	for i := range cols {
		cols[i] = b.Shl(b.Add(g.tid, i*g.threads()), 2)
		w[i] = g.normVector(g.normWeights, cols[i], ptx.NC)
	}
	return func() {
		rows, sums := g.normRows(), zeroes(b, g.T)
		held := make([][][]ptx.Reg, g.T) // by row and vector
		for row := range rows {
			for _, col := range cols {
				held[row] = append(held[row], g.normVector(rows[row], col))
			}
		}
		for row := range rows {
			for _, v := range held[row] {
				addSquares(b, sums[row], v)
			}
		}
		g.normScales(sums)
		for i, col := range cols {
			for row := range rows {
				g.storeNormed(row, col, held[row][i], w[i], sums[row])
			}
		}
	}
}

func (g *gemv) normTwice() {
	b, rows, sums := g.b, g.normRows(), zeroes(g.b, g.T)
	first := b.Shl(g.tid, 2)
	b.For(first, g.layout.K, 4*g.threads(), func(col ptx.Reg) {
		for row := range rows {
			addSquares(b, sums[row], g.normVector(rows[row], col))
		}
	})
	g.normScales(sums)
	b.For(first, 64*g.kTiles(), 4*g.threads(), func(col ptx.Reg) {
		w := g.normVector(g.normWeights, col, ptx.NC)
		for row := range rows {
			g.storeNormed(row, col, g.normVector(rows[row], col), w, sums[row])
		}
	})
}

// normRows are the addresses of the rows.
func (g *gemv) normRows() []ptx.Reg {
	b, rows := g.b, make([]ptx.Reg, g.T)
	for i := range rows {
		row := b.Var(ptx.U32, i)
		if g.Select {
			row = selectedRow(b, g.Batch, g.batch, row)
		}
		rows[i] = rowAddress(b, g.x, row, 4*g.layout.K)
	}
	return rows
}

// normVector is 4 columns of a row, zeroes past the last.
func (g *gemv) normVector(row, col ptx.Reg, hints ...ptx.Hint) []ptx.Reg {
	b, v := g.b, zeroes(g.b, 4)
	at := b.MadWide(col, 4, row)
	b.Under(b.Setp(ptx.Lt, col, g.layout.K), func() { b.LdTo(v, ptx.Global, at, 0, hints...) })
	return v
}

func addSquares(b *ptx.Builder, sum ptx.Reg, v []ptx.Reg) {
	for _, e := range v {
		b.MadTo(sum, e, e, sum)
	}
}

// normScales turns the threads' sums of squares into the rows' factors.
func (g *gemv) normScales(sums []ptx.Reg) {
	b := g.b
	for row := range sums {
		sum := blockReduce(b, "add", sums[row], g.threads(), b.Add(g.words, 4*g.warps()*row))
		sums[row] = b.Rsqrt(b.Mad(sum, 1/float64(g.layout.K), g.eps))
	}
}

// storeNormed puts a vector of a row in its place.
func (g *gemv) storeNormed(row int, col ptx.Reg, v, w []ptx.Reg, scale ptx.Reg) {
	b := g.b
	var pairs []ptx.Reg
	for j := 0; j < 4; j += 2 {
		x := b.Mul(b.Mul(v[j], scale), w[j])
		y := b.Mul(b.Mul(v[j+1], scale), w[j+1])
		pairs = append(pairs, b.CvtPair(ptx.F16x2, saturate(b, x), saturate(b, y)))
	}
	chunk := b.Xor(b.And(b.Shr(col, 3), 7), row&7)
	tile := b.Mad(b.Shr(col, 6), g.T*128, g.inputs)
	place := b.Add(tile, b.Mad(chunk, 16, b.Shl(b.And(col, 7), 1)))
	b.Under(b.Setp(ptx.Lt, col, 64*g.kTiles()), func() { b.StV(ptx.Shared, place, 128*row, pairs) })
}
