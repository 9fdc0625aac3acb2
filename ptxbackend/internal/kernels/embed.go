package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Embed looks the batch's tokens up in a matrix (vocab, K) that is repacked as for
// products, for it is often the matrix of the head too: row r of out (rows, K)
// float32 is row Token[r] of it, as the products see it.
type Embed struct {
	Layout Layout
	Batch  BatchLayout
}

// EmbedArgs are the operands.
type EmbedArgs struct {
	Out, Weights, Batch driver.Ptr
	Scale               float32 // of the matrix
	Rows                int
}

const embedWarps = 4

var embedSignature = signature{address("out"), address("weights"), address("batch"), number("scale")}

// Name implements Config. The number of rows of the matrix does not matter.
func (c Embed) Name() string { return fmt.Sprintf("embed_%v_k%d", c.Layout.Format, c.Layout.K) }

// Launch runs c over a.Rows rows, a warp for each unit of a row.
func (c Embed) Launch(a EmbedArgs) driver.Launch {
	return driver.Launch{
		Grid:      [3]uint32{uint32((c.Layout.Units() + embedWarps - 1) / embedWarps), uint32(a.Rows)},
		Block:     [3]uint32{32 * embedWarps},
		Params:    pack(embedSignature, a.Out, a.Weights, a.Batch, a.Scale),
		Dependent: true,
	}
}

// Build implements Config. Of a unit's 16 rows the wanted one is with 4 lanes, in
// every second register of their fragments. The other lanes need not even load.
func (c Embed) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(32*embedWarps, 0)
	p := embedSignature.load(b)
	out, weights, batch, scale := p[0], p[1], p[2], p[3]
	l := c.Layout
	b.GridLaunch()
	b.GridWait()
	row, lane := b.Ctaid(1), b.Lane()
	unit := b.Mad(b.Ctaid(0), embedWarps, b.Shr(b.Tid(0), 5))
	token := b.Ld(ptx.Global, ptx.U32, rowAddress(b, batch, row, 4), c.Batch.Token(), ptx.NC)
	mine := b.Setp(ptx.Eq, b.Shr(lane, 2), b.And(token, 7))
	upper := b.Setp(ptx.Ne, b.And(token, 8), 0)
	b.If(b.And(mine, b.Setp(ptx.Lt, unit, l.Units())), func() {
		tile := rowAddress(b, weights, b.Shr(token, 4), l.TileBytes())
		f := NewFragments(b, l.Format, lane)
		u := f.Unit(f.Place(ptx.Global, b.MadWide(unit, l.Format.UnitBytes(), tile)), 0, ptx.NC)
		col := b.Mad(unit, l.UnitCols(), b.Shl(b.And(lane, 3), 1))
		dst := b.MadWide(col, 4, rowAddress(b, out, row, 4*l.K))
		for n := range l.Format.Parts() {
			part := u.Part(n)
			for s := range 4 {
				x := part.Step(s)
				for i := range 2 {
					pair := b.Selp(x[2*i+1], x[2*i], upper)
					c.store(b, dst, col, 64*n+16*s+8*i, pair, scale)
				}
			}
		}
	})
	return b.Kernel()
}

// store writes a pair of halves times scale, off columns after column col at dst.
func (c Embed) store(b *ptx.Builder, dst, col ptx.Reg, off int, pair, scale ptx.Reg) {
	lo, hi := b.Unpack(ptx.F16, pair)
	v := []ptx.Reg{b.Mul(b.Cvt(ptx.F32, lo), scale), b.Mul(b.Cvt(ptx.F32, hi), scale)}
	at := b.Add(col, off)
	if c.Layout.K%2 == 0 {
		b.Under(b.Setp(ptx.Lt, at, c.Layout.K), func() { b.StV(ptx.Global, dst, 4*off, v) })
		return
	}
	for i := range v {
		b.Under(b.Setp(ptx.Lt, b.Add(at, i), c.Layout.K), func() { b.St(ptx.Global, dst, 4*(off+i), v[i]) })
	}
}
