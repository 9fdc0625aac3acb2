package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// RMSNorm divides each row of x (rows, Cols) float32 by the root of its mean square
// and multiplies it by the weights (Cols) float32 (Zhang and Sennrich 2019). A head
// norm is the same with Cols = head dim and rows*heads rows. The output, a Pack
// with T or else float32, may be x.
type RMSNorm struct {
	Cols int
	T    int // tile rows of the packed output; 0 for float32
	// Select takes row LogitRow[i] of x for row i of the output.
	Select bool
	Batch  BatchLayout
}

// RMSNormArgs are the operands; Batch is for Select.
type RMSNormArgs struct {
	Out, X, Weights, Batch driver.Ptr
	Eps                    float32 // added to the mean square
	Rows                   int
}

var normSignature = signature{address("out"), address("x"), address("weights"), address("batch"), number("eps")}

// Name implements Config.
func (c RMSNorm) Name() string {
	s := fmt.Sprintf("rmsnorm_c%d", c.Cols)
	if c.T > 0 {
		s += fmt.Sprintf("_pack%d", c.T)
	}
	if c.Select {
		s += fmt.Sprintf("_select%d", c.Batch.LogitRow())
	}
	return s
}

// vector is how many consecutive columns a thread holds at a time.
func (c RMSNorm) vector() int {
	if c.Cols%4 == 0 {
		return 4
	}
	return 1
}

// columns is how many columns are written.
func (c RMSNorm) columns() int { return Elem{Cols: c.Cols, T: c.T}.columns() }

// threads has each hold one vector, as far as a block goes: a row is read in one
// round trip to memory.
func (c RMSNorm) threads() int {
	vectors := (c.columns() + c.vector() - 1) / c.vector()
	return min(1024, (vectors+31)/32*32)
}

// Launch runs c over a.Rows rows, a block each.
func (c RMSNorm) Launch(a RMSNormArgs) driver.Launch {
	return driver.Launch{
		Grid:      [3]uint32{uint32(a.Rows)},
		Block:     [3]uint32{uint32(c.threads())},
		Params:    pack(normSignature, a.Out, a.X, a.Weights, a.Batch, a.Eps),
		Dependent: true,
	}
}

// Build implements Config.
func (c RMSNorm) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(c.threads(), 0)
	p := normSignature.load(b)
	out, x, weights, batch, eps := p[0], p[1], p[2], p[3], p[4]
	scratch := b.Shared("sums", 4, 128)
	row, tid := b.Ctaid(0), b.Tid(0)
	b.GridLaunch()
	cols, w := c.loadWeights(b, tid, weights)
	from := row
	if c.Select {
		from = selectedRow(b, c.Batch, batch, row)
	}
	b.GridWait()

	v := c.loadRow(b, cols, rowAddress(b, x, from, 4*c.Cols))
	sum := b.Var(ptx.F32, 0)
	for _, part := range v {
		for _, e := range part {
			b.MadTo(sum, e, e, sum)
		}
	}
	sum = blockReduce(b, "add", sum, c.threads(), scratch)
	scale := b.Rsqrt(b.Mad(sum, 1/float64(c.Cols), eps))
	for i, part := range v {
		for j := range part {
			part[j] = b.Mul(b.Mul(part[j], scale), w[i][j])
		}
		b.If(b.Setp(ptx.Lt, cols[i], c.columns()), func() {
			if c.T > 0 {
				storePacked(b, Pack{c.T, c.Cols}, out, row, cols[i], part)
				return
			}
			storeVector(b, b.MadWide(cols[i], 4, rowAddress(b, out, row, 4*c.Cols)), part)
		})
	}
	return b.Kernel()
}

// loadWeights returns the first column of each of the thread's vectors and the
// weights there. They are there before the step begins and are loaded before it.
func (c RMSNorm) loadWeights(b *ptx.Builder, tid, weights ptx.Reg) (cols []ptx.Reg, w [][]ptx.Reg) {
	n := c.vector()
	first := b.Mul(tid, n)
	for at := 0; at < c.columns(); at += c.threads() * n {
		cols = append(cols, b.Add(first, at))
	}
	for _, col := range cols {
		v := zeroes(b, n)
		addr := b.MadWide(col, 4, weights)
		b.Under(b.Setp(ptx.Lt, col, c.Cols), func() { b.LdTo(v, ptx.Global, addr, 0, ptx.NC) })
		w = append(w, v)
	}
	return cols, w
}

// loadRow loads the thread's vectors of a row; columns past the last are zero.
func (c RMSNorm) loadRow(b *ptx.Builder, cols []ptx.Reg, row ptx.Reg) [][]ptx.Reg {
	var v [][]ptx.Reg
	for _, col := range cols {
		x := zeroes(b, c.vector())
		addr := b.MadWide(col, 4, row)
		b.Under(b.Setp(ptx.Lt, col, c.Cols), func() { b.LdTo(x, ptx.Global, addr, 0) })
		v = append(v, x)
	}
	return v
}
