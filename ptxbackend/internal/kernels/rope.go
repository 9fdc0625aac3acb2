package kernels

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// RopeAppend takes queries, keys and values (rows, heads*dim) float32 as the
// products of their matrices, and
//
//   - normalises each head of queries and keys, where QNorm and KNorm say so,
//   - rotates their leading Dims columns by the row's position,
//   - writes the queries as float16 (rows, Heads, KeyDim), or float32 with Q32,
//   - stores keys and values as float16 at the row's position in the pages of the
//     layer; rows of position -1 store nothing.
//
// With no heads of one kind it leaves that out: Rope alone has no KVHeads, and no
// Dims leaves the rotation out.
type RopeAppend struct {
	Batch                     BatchLayout
	Heads, KVHeads            int
	KeyDim, ValueDim          int // of a head; queries have KeyDim columns
	QStride, KStride, VStride int // float32 from row to row; 0 for the row's width
	Dims                      int // leading columns that are rotated
	NEOX                      bool
	QNorm, KNorm              bool
	Q32                       bool
}

// RopeAppendArgs are the operands; what the kernel leaves out is 0.
type RopeAppendArgs struct {
	Batch, Q, K, V, QOut, Keys, Values driver.Ptr
	QNorm, KNorm                       driver.Ptr // weights (KeyDim) float32
	Freqs                              driver.Ptr // RopeTable
	Eps, MScale                        float32    // see plan.Attr, plan.RopeParams
	Rows                               int
}

const ropeWarps = 4

var ropeSignature = signature{address("batch"), address("q"), address("k"), address("v"), address("qout"), address("keys"),
	address("values"), address("qnorm"), address("knorm"), address("freqs"), number("eps"), number("mscale")}

// Name implements Config.
func (c RopeAppend) Name() string {
	s := fmt.Sprintf("rope_h%d_kv%d_k%d_v%d_r%d", c.Heads, c.KVHeads, c.KeyDim, c.ValueDim, c.Dims)
	if c.QStride|c.KStride|c.VStride != 0 {
		s += fmt.Sprintf("_s%d_%d_%d", c.QStride, c.KStride, c.VStride)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{c.NEOX, "_neox"}, {c.QNorm, "_qnorm"}, {c.KNorm, "_knorm"}, {c.Q32, "_q32"}} {
		if f.on {
			s += f.name
		}
	}
	return s + fmt.Sprintf("_b%d", c.Batch.MaxRows)
}

// Launch runs c over a.Rows rows, a warp for each head.
func (c RopeAppend) Launch(a RopeAppendArgs) driver.Launch {
	warps := c.Heads + 2*c.KVHeads
	return driver.Launch{
		Grid:  [3]uint32{uint32((warps + ropeWarps - 1) / ropeWarps), uint32(a.Rows)},
		Block: [3]uint32{32 * ropeWarps},
		Params: pack(ropeSignature, a.Batch, a.Q, a.K, a.V, a.QOut, a.Keys, a.Values, a.QNorm, a.KNorm, a.Freqs,
			a.Eps, a.MScale),
		Dependent: true,
	}
}

// Build implements Config. What the batch block, the weights and the table of
// frequencies say was there before the step began, so it is read, and the angles are
// worked out, while the products are still on their way.
func (c RopeAppend) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(32*ropeWarps, 0)
	p := ropeSignature.load(b)
	batch, q, k, v, qOut, keys, values := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	eps := p[10]
	b.GridLaunch()
	row := b.Ctaid(1)
	warp := b.Mad(b.Ctaid(0), ropeWarps, b.Shr(b.Tid(0), 5))
	at := c.place(b, batch, row)
	cols := newHeadColumns(b, c.KeyDim, c.Dims, c.NEOX)
	qNorm, kNorm := cols.loadIf(b, c.QNorm, p[7]), cols.loadIf(b, c.KNorm, p[8])
	turns := cols.turns(b, at.pos, p[9], p[11])
	b.GridWait()

	head := func(src ptx.Reg, stride, dim int, h ptx.Reg) ptx.Reg {
		return b.MadWide(h, 4*dim, rowAddress(b, src, row, 4*stride))
	}
	qs, ks, vs := c.strides()
	withHead(b, warp, 0, c.Heads, func(h ptx.Reg) {
		x := cols.load(b, head(q, qs, c.KeyDim, h))
		cols.norm(b, x, qNorm, eps)
		rotate(b, x, turns)
		elem := ptx.F16
		if c.Q32 {
			elem = ptx.F32
		}
		n := c.KeyDim * elem.Bytes()
		cols.store(b, x, elem, b.MadWide(h, n, rowAddress(b, qOut, row, c.Heads*n)))
	})
	withHead(b, warp, c.Heads, c.KVHeads, func(h ptx.Reg) {
		x := cols.load(b, head(k, ks, c.KeyDim, h))
		cols.norm(b, x, kNorm, eps)
		rotate(b, x, turns)
		b.If(at.used, func() { cols.store(b, x, ptx.F16, at.slot(b, keys, h, c.KVHeads, c.KeyDim)) })
	})
	withHead(b, warp, c.Heads+c.KVHeads, c.KVHeads, func(h ptx.Reg) {
		cols := newHeadColumns(b, c.ValueDim, 0, false)
		x := cols.load(b, head(v, vs, c.ValueDim, h))
		b.If(at.used, func() { cols.store(b, x, ptx.F16, at.slot(b, values, h, c.KVHeads, c.ValueDim)) })
	})
	return b.Kernel()
}

// withHead executes f for the warps from first to first+n-1, h counting from 0.
func withHead(b *ptx.Builder, warp ptx.Reg, first, n int, f func(h ptx.Reg)) {
	if n == 0 {
		return
	}
	h := b.Sub(warp, first)
	b.If(b.Setp(ptx.Lt, h, n), func() { f(h) }) // unsigned: of a warp before first it is huge
}

func (c RopeAppend) strides() (q, k, v int) {
	q, k, v = c.Heads*c.KeyDim, c.KVHeads*c.KeyDim, c.KVHeads*c.ValueDim
	if c.QStride > 0 {
		q = c.QStride
	}
	if c.KStride > 0 {
		k = c.KStride
	}
	if c.VStride > 0 {
		v = c.VStride
	}
	return q, k, v
}

// rowPlace is where a row's keys and values go.
type rowPlace struct {
	pos, used    ptx.Reg // S32; whether it is not negative
	page, inPage ptx.Reg
}

// place reads a row's position and page.
func (c RopeAppend) place(b *ptx.Builder, batch, row ptx.Reg) rowPlace {
	entry := rowAddress(b, batch, row, 4)
	p := rowPlace{pos: b.Ld(ptx.Global, ptx.S32, entry, c.Batch.Pos(), ptx.NC), page: b.Var(ptx.U32, 0)}
	p.used = b.Setp(ptx.Ge, p.pos, 0)
	if c.KVHeads == 0 {
		return p
	}
	at := b.As(ptx.U32, p.pos)
	p.inPage = b.Rem(at, backend.PageTokens)
	start := b.Ld(ptx.Global, ptx.U32, entry, c.Batch.TableStart(), ptx.NC)
	table := b.MadWide(b.Add(start, b.Div(at, backend.PageTokens)), 4, batch)
	b.Under(p.used, func() { b.LdTo([]ptx.Reg{p.page}, ptx.Global, table, 0, ptx.NC) })
	return p
}

// slot is where head h of heads of dim halves goes in pages.
func (p rowPlace) slot(b *ptx.Builder, pages, h ptx.Reg, heads, dim int) ptx.Reg {
	at := b.Mad(h, backend.PageTokens, p.inPage)
	return b.MadWide(at, 2*dim, b.MadWide(p.page, 2*heads*backend.PageTokens*dim, pages))
}

// RopeTable is the table of frequencies the kernel reads: for each the turns (not
// radians) per position in two float32, the second what the first lacks. Whole
// turns are left out: they change nothing at whole positions.
func RopeTable(freqs []float64) []float32 {
	var t []float32
	for _, f := range freqs {
		turns := f / (2 * math.Pi)
		turns -= math.RoundToEven(turns)
		hi := float32(turns)
		t = append(t, hi, float32(turns-float64(hi)))
	}
	return t
}
