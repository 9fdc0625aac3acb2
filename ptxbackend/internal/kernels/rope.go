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

// Build implements Config.
func (c RopeAppend) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(32*ropeWarps, 0)
	p := ropeSignature.load(b)
	batch, q, k, v, qOut, keys, values, qNorm, kNorm := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
	rot := Rotation{Dims: c.Dims, NEOX: c.NEOX, Freqs: p[9], MScale: p[11]}
	eps := p[10]
	b.GridLaunch()
	b.GridWait()
	row := b.Ctaid(1)
	warp := b.Mad(b.Ctaid(0), ropeWarps, b.Shr(b.Tid(0), 5))
	pos := b.Ld(ptx.Global, ptx.S32, rowAddress(b, batch, row, 4), c.Batch.Pos())
	rot.Pos = pos
	head := func(src ptx.Reg, stride, dim int, h ptx.Reg) ptx.Reg {
		return b.MadWide(h, 4*dim, rowAddress(b, src, row, 4*stride))
	}
	within := func(from, n int, f func(h ptx.Reg)) {
		if n == 0 {
			return
		}
		h := b.Sub(warp, from)
		b.If(b.Setp(ptx.Lt, h, n), func() { f(h) }) // unsigned: below from it is huge
	}
	qs, ks, vs := c.strides()
	within(0, c.Heads, func(h ptx.Reg) {
		x := LoadHead(b, ptx.Global, c.KeyDim, rot, head(q, qs, c.KeyDim, h))
		if c.QNorm {
			x.Norm(b, qNorm, eps)
		}
		x.Rotate(b, rot)
		if c.Q32 {
			x.Store(b, ptx.F32, b.MadWide(h, 4*c.KeyDim, rowAddress(b, qOut, row, 4*c.Heads*c.KeyDim)))
			return
		}
		x.Store(b, ptx.F16, b.MadWide(h, 2*c.KeyDim, rowAddress(b, qOut, row, 2*c.Heads*c.KeyDim)))
	})
	used := b.Setp(ptx.Ge, pos, 0)
	within(c.Heads, c.KVHeads, func(h ptx.Reg) {
		x := LoadHead(b, ptx.Global, c.KeyDim, rot, head(k, ks, c.KeyDim, h))
		if c.KNorm {
			x.Norm(b, kNorm, eps)
		}
		x.Rotate(b, rot)
		b.If(used, func() {
			x.Store(b, ptx.F16, PageAddress(b, c.Batch, batch, row, pos, keys, h, c.KVHeads, c.KeyDim))
		})
	})
	within(c.Heads+c.KVHeads, c.KVHeads, func(h ptx.Reg) {
		x := LoadHead(b, ptx.Global, c.ValueDim, Rotation{}, head(v, vs, c.ValueDim, h))
		b.If(used, func() {
			x.Store(b, ptx.F16, PageAddress(b, c.Batch, batch, row, pos, values, h, c.KVHeads, c.ValueDim))
		})
	})
	return b.Kernel()
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

// PageAddress is where position pos (S32, not negative) of row's sequence keeps
// head h of a layer with heads heads of dim halves, in the layer's pages.
func PageAddress(b *ptx.Builder, l BatchLayout, batch, row, pos, pages, h ptx.Reg, heads, dim int) ptx.Reg {
	at := b.As(ptx.U32, pos)
	start := b.Ld(ptx.Global, ptx.U32, rowAddress(b, batch, row, 4), l.TableStart())
	entry := b.Add(start, b.Div(at, backend.PageTokens))
	page := b.Ld(ptx.Global, ptx.U32, b.MadWide(entry, 4, batch), 0)
	slot := b.Mad(h, backend.PageTokens, b.Rem(at, backend.PageTokens))
	return b.MadWide(slot, 2*dim, b.MadWide(page, 2*heads*backend.PageTokens*dim, pages))
}

// Rotation is what turns a head's pairs of columns.
type Rotation struct {
	Dims   int
	NEOX   bool
	Freqs  ptx.Reg // U64, the address of a RopeTable
	Pos    ptx.Reg // S32
	MScale ptx.Reg // F32
}

// RopeTable is the table of frequencies the kernels read: for each the turns (not
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

// Head is a head's columns in the registers of a warp. Lane l has, in turn, the
// pairs l, l+32, ... that rotate together, and of the columns that do not rotate
// every 32nd.
type Head struct {
	dim   int
	slots []headSlot
}

// headSlot is one column of a lane: the lane's number times scale plus first, where
// in (if not zero) says that there is one.
type headSlot struct {
	col ptx.Reg // U32
	in  ptx.Reg // Pred
	x   ptx.Reg // F32
	// freq is lane 0's frequency where this column turns with the next slot's, else -1.
	freq int
}

// headSlots lays dim columns out over the lanes: the two columns of a pair are
// adjacent slots.
func headSlots(b *ptx.Builder, dim int, rot Rotation) Head {
	lane := b.Lane()
	h := Head{dim: dim}
	add := func(first, scale, left, freq int) {
		s := headSlot{col: b.Mad(lane, scale, first), x: b.Var(ptx.F32, 0), freq: freq}
		if left < 32 {
			s.in = b.Setp(ptx.Lt, lane, left)
		}
		h.slots = append(h.slots, s)
	}
	pairs := rot.Dims / 2
	for i := 0; i < pairs; i += 32 {
		if rot.NEOX {
			add(i, 1, pairs-i, i)
			add(i+pairs, 1, pairs-i, -1)
		} else {
			add(2*i, 2, pairs-i, i)
			add(2*i+1, 2, pairs-i, -1)
		}
	}
	for i := 2 * pairs; i < dim; i += 32 {
		add(i, 1, dim-i, -1)
	}
	return h
}

// under executes f for the lanes that have slot s.
func (s headSlot) under(b *ptx.Builder, f func()) {
	if s.in.IsZero() {
		f()
		return
	}
	b.Under(s.in, f)
}

// LoadHead has a whole warp load a head of dim float32 at src, for rot to turn.
func LoadHead(b *ptx.Builder, space ptx.Space, dim int, rot Rotation, src ptx.Reg) Head {
	h := headSlots(b, dim, rot)
	for _, s := range h.slots {
		addr := columnAddress(b, src, s.col, 4)
		s.under(b, func() { b.LdTo([]ptx.Reg{s.x}, space, addr, 0) })
	}
	return h
}

// columnAddress is base, of shared memory or another, plus col*bytes.
func columnAddress(b *ptx.Builder, base, col ptx.Reg, bytes int) ptx.Reg {
	if base.Type == ptx.U32 {
		return b.Mad(col, bytes, base)
	}
	return b.MadWide(col, bytes, base)
}

// Norm divides the head by the root of its mean square and multiplies it by the
// weights (dim) float32 in global memory.
func (h Head) Norm(b *ptx.Builder, weights, eps ptx.Reg) {
	sum := b.Var(ptx.F32, 0)
	for _, s := range h.slots {
		b.MadTo(sum, s.x, s.x, sum)
	}
	scale := b.Rsqrt(b.Mad(b.WarpReduce("add", sum), 1/float64(h.dim), eps))
	for _, s := range h.slots {
		w := b.Var(ptx.F32, 0)
		addr := b.MadWide(s.col, 4, weights)
		s.under(b, func() { b.LdTo([]ptx.Reg{w}, ptx.Global, addr, 0, ptx.NC) })
		b.Set(s.x, b.Mul(b.Mul(s.x, scale), w))
	}
}

// Rotate turns the pairs.
func (h Head) Rotate(b *ptx.Builder, rot Rotation) {
	lane := b.Lane()
	for i, s := range h.slots {
		if s.freq < 0 {
			continue
		}
		f := []ptx.Reg{b.Var(ptx.F32, 0), b.Var(ptx.F32, 0)}
		addr := b.MadWide(b.Add(lane, s.freq), 8, rot.Freqs)
		s.under(b, func() { b.LdTo(f, ptx.Global, addr, 0, ptx.NC) })
		sin, cos := SinCosTurns(b, b.Cvt(ptx.F32, rot.Pos), f[0], f[1])
		sin, cos = b.Mul(sin, rot.MScale), b.Mul(cos, rot.MScale)
		x, y := s.x, h.slots[i+1].x
		u := b.Mad(b.Neg(y), sin, b.Mul(x, cos))
		v := b.Mad(x, sin, b.Mul(y, cos))
		b.Set(x, u)
		b.Set(y, v)
	}
}

// SinCosTurns is the sine and cosine of pos (F32, a whole number up to 2^22) times
// hi+lo turns, |hi| <= 1/2 as in a RopeTable.
//
// The product is needed to a small part of one turn though it may be of hundreds of
// thousands. p = pos*hi is rounded, e = fma(pos, hi, -p) is exactly what that lost.
// p minus the nearest whole number (adding and subtracting 1.5 * 2^23 rounds to it,
// |p| being less than 2^22) is exact. Then e + pos*lo comes on top, and lo's own
// rounding error is 2^-50: the fraction of a turn is right to about 2^-25, the angle
// in [-pi, pi] to 2^-22, where sin.approx and cos.approx are off by at most 2^-20.9.
// The error is below 2^-20 whatever the position.
func SinCosTurns(b *ptx.Builder, pos, hi, lo ptx.Reg) (sin, cos ptx.Reg) {
	const half = 1.5 * (1 << 23)
	p := b.Mul(pos, hi)
	e := b.Mad(pos, hi, b.Neg(p))
	whole := b.Sub(b.Add(p, half), half)
	turn := b.Add(b.Sub(p, whole), b.Mad(pos, lo, e))
	angle := b.Mul(turn, 2*math.Pi)
	return b.Sin(angle), b.Cos(angle)
}

// Store writes the head as dim elements of type F32 or F16 at dst in global memory,
// saturating halves.
func (h Head) Store(b *ptx.Builder, t ptx.Type, dst ptx.Reg) {
	for _, s := range h.slots {
		x := s.x
		if t == ptx.F16 {
			x = b.Cvt(ptx.F16, saturate(b, x))
		}
		addr := b.MadWide(s.col, t.Bytes(), dst)
		s.under(b, func() { b.St(ptx.Global, addr, 0, x) })
	}
}
