package tensor

import "math"

// The searches behind Quantize. They minimise the weighted squared error
//
//	sum over i of w[i] * (x[i] - y[i])^2,   y[i] = d*q[i] + m
//
// over the codes q and the real numbers d and m (symmetric formats have no m).
// For given codes the best d and m are a least-squares solution; for given d and
// m the best codes are the nearest ones. Alternating the two only finds the
// nearest valley, so each search first walks a grid of scales that map the
// largest element at, or a little beyond, or well inside the last code: beyond
// clips the largest elements, which pays for finer steps everywhere else.
//
// Sums are float64, which has room for the squares of any float32, and every
// product is rounded before it is added, so that all platforms choose the same
// codes.

// beyondLast is that grid, in steps beyond the last code.
var beyondLast = [...]float64{-2, -1.5, -1, -0.6, -0.3, 0, 0.25, 0.45, 0.7}

// polish is how often a search alternates at most from the best point of the grid.
const polish = 3

// symmetric finds the scale d, of either sign, that fits d*q best to x with
// lo <= q <= hi. It is 0 only if x is.
func symmetric(x, w []float64, lo, hi int) float64 {
	peak := 0.0 // the element of largest magnitude
	for _, v := range x {
		if math.Abs(v) > math.Abs(peak) {
			peak = v
		}
	}
	if peak == 0 {
		return 0
	}
	best, gain := peak/float64(lo), 0.0
	try := func(inverse float64) {
		xq, qq := correlate(x, w, inverse, lo, hi)
		if qq > 0 && float64(xq*xq) > float64(gain*qq) {
			best, gain = xq/qq, float64(xq*xq)/qq
		}
	}
	for _, beyond := range beyondLast {
		try((float64(lo) - beyond) / peak)
		try((float64(hi) + beyond) / peak)
	}
	for range polish {
		last := gain
		if try(1 / best); gain == last {
			break
		}
	}
	return best
}

// correlate rounds x*inverse to codes and returns sum(w*x*q) and sum(w*q*q).
// With these codes a scale d lowers the squared error by 2*d*xq - d*d*qq, at
// most by xq*xq/qq with d = xq/qq.
func correlate(x, w []float64, inverse float64, lo, hi int) (xq, qq float64) {
	w = w[:len(x)]
	least, most := float64(lo), float64(hi)
	for i, v := range x {
		q := nearest(float64(v*inverse), least, most)
		t := w[i] * q
		xq += float64(t * v)
		qq += float64(t * q)
	}
	return xq, qq
}

// nearest rounds v to the nearest integer, ties to even, and keeps it within
// lo..hi.
func nearest(v, lo, hi float64) float64 {
	const integers = 3 << 51 // between 2^52 and 2^53 there are only integers
	q := v + integers - integers
	if q < lo {
		return lo
	}
	if q > hi {
		return hi
	}
	return q
}

// invert is 1/d, and 0 for 0: a zero scale gives every element the code of zero.
func invert(d float64) float64 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// line is a group of elements to be fitted by y = d*q + m with 0 <= q <= hi,
// d >= 0 and m <= top.
type line struct {
	x, w        []float64
	hi          int
	top         float64
	least, most float64 // of x, least also of top
	sw, swx     float64 // sum(w), sum(w*x)
}

func newLine(x, w []float64, hi int, top float64) line {
	f := line{x: x, w: w, hi: hi, top: top, least: min(x[0], top), most: x[0]}
	for i, v := range x {
		f.least, f.most = min(f.least, v), max(f.most, v)
		f.sw += w[i]
		f.swx += float64(w[i] * v)
	}
	return f
}

// codeSums are what the squared error of a line depends on once codes are
// chosen: sum(w*q), sum(w*q*q), sum(w*x*q).
type codeSums struct{ wq, wqq, wxq float64 }

// round chooses the codes nearest to (x-m)/d and sums them up.
func (f *line) round(d, m float64) (s codeSums) {
	inverse, w, hi := invert(d), f.w[:len(f.x)], float64(f.hi)
	for i, v := range f.x {
		q := nearest(float64((v-m)*inverse), 0, hi)
		t := w[i] * q
		s.wq += t
		s.wqq += float64(t * q)
		s.wxq += float64(t * v)
	}
	return s
}

// gain is how much d and m lower sum(w*x*x) with codes of sums s.
func (f *line) gain(s codeSums, d, m float64) float64 {
	return 2*(float64(d*s.wxq)+float64(m*f.swx)) -
		float64(d*(float64(d*s.wqq)+float64(2*m*s.wq))) - float64(float64(m*m)*f.sw)
}

// solve returns the best d and m for codes of sums s; ok is false if they
// determine none.
func (f *line) solve(s codeSums) (d, m float64, ok bool) {
	det := float64(f.sw*s.wqq) - float64(s.wq*s.wq)
	if det <= 0 {
		return 0, 0, false
	}
	d = (float64(f.sw*s.wxq) - float64(f.swx*s.wq)) / det
	m = (f.swx - float64(d*s.wq)) / f.sw
	if m > f.top {
		m = f.top
		d = (s.wxq - float64(m*s.wq)) / s.wqq
	}
	return d, m, d > 0
}

// fit finds the best d and m.
func (f *line) fit() (d, m float64) {
	if f.most <= f.least {
		return 0, f.least
	}
	d, m = (f.most-f.least)/float64(f.hi), f.least
	best := math.Inf(-1)
	try := func(td, tm float64) bool {
		s := f.round(td, tm)
		td, tm, ok := f.solve(s)
		if !ok {
			return false
		}
		g := f.gain(s, td, tm)
		if g <= best {
			return false
		}
		d, m, best = td, tm, g
		return true
	}
	for _, beyond := range beyondLast {
		step := (f.most - f.least) / (float64(f.hi) + beyond)
		try(step, f.least)                      // what does not fit is at the top
		try(step, f.least+float64(beyond*step)) // or at the bottom
	}
	for range polish {
		if !try(d, m) {
			break
		}
	}
	return d, m
}
