package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// ElemOp is what Elem computes of elements x and y.
type ElemOp uint8

// The operations.
const (
	OpCopy    ElemOp = iota // x
	OpAdd                   // x + y
	OpSiLUMul               // x / (1 + exp(-x)) * y
)

func (op ElemOp) String() string { return [...]string{"copy", "add", "silumul"}[op] }

// Elem is an elementwise kernel: out (rows, Cols) of x and y, which are float32.
// The output is float32 or, with T, a Pack. It may be x or y where the strides
// are the same.
type Elem struct {
	Op               ElemOp
	Cols             int
	XStride, YStride int // float32 from row to row; 0 for Cols
	T                int // tile rows of the packed output; 0 for float32 of stride Cols
	// Select takes row LogitRow[i] of x and y for row i of the output.
	Select bool
	Batch  BatchLayout
}

// ElemArgs are the operands; Y is for operations of two, Batch for Select.
type ElemArgs struct {
	Out, X, Y, Batch driver.Ptr
	Rows             int
}

const elemThreads = 128

var elemSignature = signature{address("out"), address("x"), address("y"), address("batch")}

// Name implements Config.
func (c Elem) Name() string {
	s := fmt.Sprintf("elem_%v_c%d", c.Op, c.Cols)
	if c.XStride > 0 || c.YStride > 0 {
		s += fmt.Sprintf("_sx%d_sy%d", c.XStride, c.YStride)
	}
	if c.T > 0 {
		s += fmt.Sprintf("_pack%d", c.T)
	}
	if c.Select {
		s += fmt.Sprintf("_select%d", c.Batch.LogitRow())
	}
	return s
}

func (c Elem) strides() (x, y int) {
	x, y = c.XStride, c.YStride
	if x == 0 {
		x = c.Cols
	}
	if y == 0 {
		y = c.Cols
	}
	return x, y
}

// vector is how many columns a thread computes: 4 where every row begins at a
// multiple of 16 bytes.
func (c Elem) vector() int {
	x, y := c.strides()
	if (c.Cols|x|y)%4 == 0 {
		return 4
	}
	return 1
}

// columns is how many columns are written.
func (c Elem) columns() int {
	if c.T > 0 {
		return Pack{c.T, c.Cols}.KTiles() * 64
	}
	return c.Cols
}

// Launch runs c over a.Rows rows.
func (c Elem) Launch(a ElemArgs) driver.Launch {
	perBlock := elemThreads * c.vector()
	return driver.Launch{
		Grid:      [3]uint32{uint32((c.columns() + perBlock - 1) / perBlock), uint32(a.Rows)},
		Block:     [3]uint32{elemThreads},
		Params:    pack(elemSignature, a.Out, a.X, a.Y, a.Batch),
		Dependent: true,
	}
}

// Build implements Config. A thread computes vector() columns of a row.
func (c Elem) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(elemThreads, 0)
	p := elemSignature.load(b)
	out, x, y, batch := p[0], p[1], p[2], p[3]
	n := c.vector()
	b.GridLaunch()
	row := b.Ctaid(1)
	from := row
	if c.Select {
		from = selectedRow(b, c.Batch, batch, row)
	}
	b.GridWait()
	col := b.Mul(b.Mad(b.Ctaid(0), elemThreads, b.Tid(0)), n)
	b.If(b.Setp(ptx.Lt, col, c.columns()), func() {
		sx, sy := c.strides()
		v := zeroes(b, n)
		b.If(b.Setp(ptx.Lt, col, c.Cols), func() {
			b.LdTo(v, ptx.Global, b.MadWide(col, 4, rowAddress(b, x, from, 4*sx)), 0)
			if c.Op == OpCopy {
				return
			}
			w := zeroes(b, n)
			b.LdTo(w, ptx.Global, b.MadWide(col, 4, rowAddress(b, y, from, 4*sy)), 0)
			for i := range v {
				b.Set(v[i], c.Op.emit(b, v[i], w[i]))
			}
		})
		if c.T > 0 {
			storePacked(b, Pack{c.T, c.Cols}, out, row, col, v)
			return
		}
		storeVector(b, b.MadWide(col, 4, rowAddress(b, out, row, 4*c.Cols)), v)
	})
	return b.Kernel()
}

func (op ElemOp) emit(b *ptx.Builder, x, y ptx.Reg) ptx.Reg {
	switch op {
	case OpAdd:
		return b.Add(x, y)
	case OpSiLUMul:
		return b.Mul(silu(b, x), y)
	}
	return x
}

// silu is x / (1 + exp(-x)). Where exp(-x) is infinite the quotient is -0, as it
// should be. The relative error is about (2 + |x|) 2^-22: that of rounding
// x*log2(e), of ex2 and of rcp.
func silu(b *ptx.Builder, x ptx.Reg) ptx.Reg {
	e := b.Ex2(b.Mul(x, -1.4426950408889634))
	return b.Mul(x, b.Rcp(b.Add(e, 1.0)))
}

// zeroes are n float32 registers that hold 0.
func zeroes(b *ptx.Builder, n int) []ptx.Reg {
	v := make([]ptx.Reg, n)
	for i := range v {
		v[i] = b.Var(ptx.F32, 0)
	}
	return v
}

// storeVector stores 1, 2 or 4 registers to global memory.
func storeVector(b *ptx.Builder, addr ptx.Reg, v []ptx.Reg) {
	if len(v) == 1 {
		b.St(ptx.Global, addr, 0, v[0])
		return
	}
	b.StV(ptx.Global, addr, 0, v)
}

// storePacked stores v, float32 of columns col and on (1, 2, 4 or 8 of them, col a
// multiple of their number), as row row of the Pack at base.
func storePacked(b *ptx.Builder, p Pack, base, row, col ptx.Reg, v []ptx.Reg) {
	addr := packAddress(b, p, base, row, col)
	if len(v) == 1 {
		b.St(ptx.Global, addr, 0, b.Cvt(ptx.F16, saturate(b, v[0])))
		return
	}
	pairs := make([]ptx.Reg, len(v)/2)
	for i := range pairs {
		pairs[i] = b.CvtPair(ptx.F16x2, saturate(b, v[2*i]), saturate(b, v[2*i+1]))
	}
	storeVector(b, addr, pairs)
}

// packAddress is Pack.At in PTX.
func packAddress(b *ptx.Builder, p Pack, base, row, col ptx.Reg) ptx.Reg {
	r := b.Rem(row, p.T)
	tile := b.Mad(b.Div(row, p.T), p.KTiles(), b.Shr(col, 6))
	chunk := b.Xor(b.And(b.Shr(col, 3), 7), b.And(r, 7))
	inTile := b.Mad(r, 128, b.Mad(chunk, 16, b.Shl(b.And(col, 7), 1)))
	return b.Add(b.MadWide(tile, 128*p.T, base), b.Cvt(ptx.U64, inTile))
}

// saturate keeps x within what binary16 holds.
func saturate(b *ptx.Builder, x ptx.Reg) ptx.Reg {
	return b.Min(b.Max(x, -65504.0), 65504.0)
}
