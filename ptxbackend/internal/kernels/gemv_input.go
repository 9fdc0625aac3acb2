package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// loadInput brings the input to shared memory, as a Pack.
func (g *gemv) loadInput() {
	if g.Norm {
		g.normInput()
		return
	}
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

// normInput normalises the rows of x. A thread has the same vectors of 4 columns
// of each row.
func (g *gemv) normInput() {
	b, k := g.b, g.layout.K
	vectors := (g.kTiles()*16 + g.threads() - 1) / g.threads()
	rows := make([]ptx.Reg, g.T)
	for i := range rows {
		row := b.Var(ptx.U32, i)
		if g.Select {
			row = selectedRow(b, g.Batch, g.batch, row)
		}
		rows[i] = rowAddress(b, g.x, row, 4*k)
	}
	load := func(base, col ptx.Reg) []ptx.Reg {
		v := zeroes(b, 4)
		b.If(b.Setp(ptx.Lt, col, k), func() { b.LdTo(v, ptx.Global, b.MadWide(col, 4, base), 0) })
		return v
	}
	cols := make([]ptx.Reg, vectors)
	held := make([][][]ptx.Reg, g.T) // by row and vector
	sums := zeroes(b, g.T)
	for i := range cols {
		cols[i] = b.Shl(b.Add(g.tid, i*g.threads()), 2)
		for row := range rows {
			v := load(rows[row], cols[i])
			held[row] = append(held[row], v)
		}
	}
	for row := range rows {
		for _, v := range held[row] {
			for _, e := range v {
				b.MadTo(sums[row], e, e, sums[row])
			}
		}
		sums[row] = blockReduce(b, "add", sums[row], g.threads(), b.Add(g.words, 4*g.warps()*(row%4)))
		sums[row] = b.Rsqrt(b.Mad(sums[row], 1/float64(k), g.eps))
	}
	for i, col := range cols {
		w := load(g.normWeights, col)
		for row := range rows {
			v := held[row][i]
			var pairs []ptx.Reg
			for j := 0; j < 4; j += 2 {
				x := b.Mul(b.Mul(v[j], sums[row]), w[j])
				y := b.Mul(b.Mul(v[j+1], sums[row]), w[j+1])
				pairs = append(pairs, b.CvtPair(ptx.F16x2, saturate(b, x), saturate(b, y)))
			}
			chunk := b.Xor(b.And(b.Shr(col, 3), 7), row&7)
			tile := b.Mad(b.Shr(col, 6), g.T*128, g.inputs)
			place := b.Add(tile, b.Mad(chunk, 16, b.Shl(b.And(col, 7), 1)))
			b.Under(b.Setp(ptx.Lt, col, 64*g.kTiles()), func() { b.StV(ptx.Shared, place, 128*row, pairs) })
		}
	}
}
