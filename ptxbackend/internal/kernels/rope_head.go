package kernels

import (
	"math"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// headColumns says which columns of a head the lanes of a warp hold in registers.
// Lane l has, in turn, the pairs l, l+32, ... that rotate together, and of the
// columns that do not rotate every 32nd.
type headColumns struct {
	dim   int
	pairs []headPair
	all   []headColumn // a pair's two are neighbours, the pairs come first
}

// headColumn is one column of a lane.
type headColumn struct {
	col ptx.Reg // U32
	in  ptx.Reg // Pred: whether the lane has it; zero if all have
}

// headPair are the frequencies first + lane.
type headPair struct {
	first int
	in    ptx.Reg
}

// newHeadColumns lays dim columns out over the lanes, of which the leading dims
// rotate.
func newHeadColumns(b *ptx.Builder, dim, dims int, neox bool) headColumns {
	lane := b.Lane()
	h := headColumns{dim: dim}
	within := func(left int) (in ptx.Reg) {
		if left < 32 {
			in = b.Setp(ptx.Lt, lane, left)
		}
		return in
	}
	pairs := dims / 2
	step, second := 2, 1 // pairs are neighbours
	if neox {
		step, second = 1, pairs
	}
	for i := 0; i < pairs; i += 32 {
		in, col := within(pairs-i), b.Mad(lane, step, i*step)
		h.pairs = append(h.pairs, headPair{i, in})
		h.all = append(h.all, headColumn{col, in}, headColumn{b.Add(col, second), in})
	}
	for i := 2 * pairs; i < dim; i += 32 {
		h.all = append(h.all, headColumn{b.Add(lane, i), within(dim - i)})
	}
	return h
}

// where executes f for the lanes where in, or all if it is zero.
func where(b *ptx.Builder, in ptx.Reg, f func()) {
	if in.IsZero() {
		f()
		return
	}
	b.Under(in, f)
}

// load loads a head of float32 at src in global memory; what a lane does not have
// is 0.
func (h headColumns) load(b *ptx.Builder, src ptx.Reg, hints ...ptx.Hint) []ptx.Reg {
	x := zeroes(b, len(h.all))
	for i, c := range h.all {
		addr := b.MadWide(c.col, 4, src)
		where(b, c.in, func() { b.LdTo(x[i:i+1], ptx.Global, addr, 0, hints...) })
	}
	return x
}

// loadIf loads weights of a norm, if there are any.
func (h headColumns) loadIf(b *ptx.Builder, is bool, src ptx.Reg) []ptx.Reg {
	if !is {
		return nil
	}
	return h.load(b, src, ptx.NC)
}

// norm divides x by the root of its mean square and multiplies it by the weights;
// without weights it does nothing.
func (h headColumns) norm(b *ptx.Builder, x, weights []ptx.Reg, eps ptx.Reg) {
	if weights == nil {
		return
	}
	sum := b.Var(ptx.F32, 0)
	for _, v := range x {
		b.MadTo(sum, v, v, sum)
	}
	scale := b.Rsqrt(b.Mad(b.WarpReduce("add", sum), 1/float64(h.dim), eps))
	for i, v := range x {
		b.Set(v, b.Mul(b.Mul(v, scale), weights[i]))
	}
}

// turn is what rotates a pair: sine and cosine, both times mscale.
type turn struct{ sin, cos ptx.Reg }

// turns works out the rotation of each pair at pos (S32) from a RopeTable.
func (h headColumns) turns(b *ptx.Builder, pos, table, mscale ptx.Reg) []turn {
	var all []turn
	lane, at := b.Lane(), b.Cvt(ptx.F32, pos)
	for _, p := range h.pairs {
		f := zeroes(b, 2)
		addr := b.MadWide(b.Add(lane, p.first), 8, table)
		where(b, p.in, func() { b.LdTo(f, ptx.Global, addr, 0, ptx.NC) })
		sin, cos := sinCosTurns(b, at, f[0], f[1])
		all = append(all, turn{b.Mul(sin, mscale), b.Mul(cos, mscale)})
	}
	return all
}

// rotate turns the pairs, which are the first of x.
func rotate(b *ptx.Builder, x []ptx.Reg, turns []turn) {
	for i, t := range turns {
		u, v := x[2*i], x[2*i+1]
		x[2*i] = b.Mad(b.Neg(v), t.sin, b.Mul(u, t.cos))
		x[2*i+1] = b.Mad(u, t.sin, b.Mul(v, t.cos))
	}
}

// sinCosTurns is the sine and cosine of pos (F32, a whole number up to 2^22) times
// hi+lo turns, |hi| <= 1/2 as in a RopeTable.
//
// The product is needed to a small part of one turn though it may be of hundreds of
// thousands. p = pos*hi is rounded, e = fma(pos, hi, -p) is exactly what that lost.
// p minus the nearest whole number (adding and subtracting 1.5 * 2^23 rounds to it,
// |p| being less than 2^22) is exact. Then e + pos*lo comes on top, and lo's own
// rounding error is 2^-50: the fraction of a turn is right to 2^-26, the angle in
// [-pi, pi] to 2^-21.7, where sin.approx and cos.approx are off by at most 2^-20.5.
// The error is below 2^-19.9 whatever the position.
func sinCosTurns(b *ptx.Builder, pos, hi, lo ptx.Reg) (sin, cos ptx.Reg) {
	const half = 1.5 * (1 << 23)
	p := b.Mul(pos, hi)
	e := b.Mad(pos, hi, b.Neg(p))
	whole := b.Sub(b.Add(p, half), half)
	t := b.Add(b.Sub(p, whole), b.Mad(pos, lo, e))
	angle := b.Mul(t, 2*math.Pi)
	return b.Sin(angle), b.Cos(angle)
}

// store writes a head as elements of type t, F32 or F16, at dst in global memory,
// saturating halves.
func (h headColumns) store(b *ptx.Builder, x []ptx.Reg, t ptx.Type, dst ptx.Reg) {
	for i, c := range h.all {
		v := x[i]
		if t == ptx.F16 {
			v = b.Cvt(ptx.F16, saturate(b, v))
		}
		addr := b.MadWide(c.col, t.Bytes(), dst)
		where(b, c.in, func() { b.St(ptx.Global, addr, 0, v) })
	}
}
