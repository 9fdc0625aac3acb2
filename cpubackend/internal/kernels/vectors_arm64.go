//go:build !noasm

package kernels

import "unsafe"

// lanesNEON is what the assembly of the vector operations does multiples of: two
// registers of four float32. What is left over is done by the plain versions.
const lanesNEON = 8

func wholeNEON(n int) int { return n &^ (lanesNEON - 1) }

// vectorsNEON puts the vector operations into a table; they are the same at every
// level.
func vectorsNEON(s *isa) {
	s.quantize = func(dst []cell, d, m, x []float32) { quantizeNEON(dst[0].bytes(), &d[0], &m[0], &x[0], len(dst)) }
	s.rmsNorm, s.add, s.siluMul = rmsNormAnyNEON, addAnyNEON, siluMulAnyNEON
	s.ropeNormal, s.ropeNEOX = ropeNormalAnyNEON, ropeNEOXAnyNEON
	s.f32ToF16, s.f16ToF32 = f32ToF16AnyNEON, f16ToF32AnyNEON
	s.scoresF16, s.scoresF32 = scoresF16NEON, scoresF32NEON
	s.weightedSumF16, s.weightedSumF32 = weightedSumF16NEON, weightedSumF32NEON
	s.outer, s.maxRows, s.expRows, s.scaleRows = outerAnyNEON, maxRowsAnyNEON, expRowsAnyNEON, scaleRowsAnyNEON
	s.max, s.expSum, s.readSum = maxAnyNEON, expSumAnyNEON, readSumAnyNEON
	s.peakFMA = func(n int) int64 { peakFMANEON(n); return int64(n) * 16 * 8 }
}

func rmsNormAnyNEON(dst, x, w []float32, eps float32) {
	n := wholeNEON(len(x))
	sum := dotGeneric(x[n:], x[n:])
	if n > 0 {
		sum += sumSquaresNEON(&x[0], n)
	}
	scale := rmsScale(sum, len(x), eps)
	if n > 0 {
		scaleMulNEON(&dst[0], &x[0], &w[0], n, scale)
	}
	for i := n; i < len(x); i++ {
		dst[i] = x[i] * scale * w[i]
	}
}

func addAnyNEON(dst, x []float32) {
	n := wholeNEON(len(dst))
	if n > 0 {
		addNEON(&dst[0], &x[0], n)
	}
	addGeneric(dst[n:], x[n:])
}

func siluMulAnyNEON(dst, gate, up []float32) {
	n := wholeNEON(len(dst))
	if n > 0 {
		siluMulNEON(&dst[0], &gate[0], &up[0], n)
	}
	siluMulGeneric(dst[n:], gate[n:], up[n:])
}

func ropeNormalAnyNEON(x, cos, sin []float32) {
	n := wholeNEON(len(x))
	if n > 0 {
		ropeNormalNEON(&x[0], &cos[0], &sin[0], n)
	}
	ropeNormalGeneric(x[n:], cos[n/2:], sin[n/2:])
}

func ropeNEOXAnyNEON(x, cos, sin []float32) {
	half := len(cos)
	n := wholeNEON(half)
	if n > 0 {
		ropeNEOXNEON(&x[0], &x[half], &cos[0], &sin[0], n)
	}
	for i := n; i < half; i++ {
		a, b := x[i], x[i+half]
		x[i], x[i+half] = a*cos[i]-b*sin[i], a*sin[i]+b*cos[i]
	}
}

func f32ToF16AnyNEON(dst []uint16, src []float32) {
	n := wholeNEON(len(src))
	if n > 0 {
		f32ToF16NEON(&dst[0], &src[0], n)
	}
	f32ToF16Generic(dst[n:], src[n:])
}

func f16ToF32AnyNEON(dst []float32, src []uint16) {
	n := wholeNEON(len(src))
	if n > 0 {
		f16ToF32NEON(&dst[0], &src[0], n)
	}
	f16ToF32Generic(dst[n:], src[n:])
}

func maxAnyNEON(x []float32) float32 {
	n := wholeNEON(len(x))
	if n == 0 {
		return maxGeneric(x)
	}
	m := maxNEON(&x[0], n)
	if n < len(x) {
		m = max(m, maxGeneric(x[n:]))
	}
	return m
}

func expSumAnyNEON(x []float32, max float32) (sum float32) {
	n := wholeNEON(len(x))
	if n > 0 {
		sum = expSumNEON(&x[0], n, max)
	}
	return sum + expSumGeneric(x[n:], max)
}

func readSumAnyNEON(b []byte) (sum uint64) {
	n := len(b) &^ 255
	if n > 0 {
		sum = readSumNEON(&b[0], n)
	}
	return sum ^ readSumGeneric(b[n:])
}

// scoreFuncs and weighFuncs are by the logarithm of the number of heads, the
// latter then by that of the number of runs of eight columns.
type (
	scoreFuncs [3]func(dst *float32, stride int, q, k *byte, d, groups int, scale float32)
	weighFuncs [3][3]func(acc *float32, stride int, p *float32, pstride int, v *byte, vstride, n int)
)

var (
	scoresOfF16 = scoreFuncs{scoresF16x1NEON, scoresF16x2NEON, scoresF16x4NEON}
	scoresOfF32 = scoreFuncs{scoresF32x1NEON, scoresF32x2NEON, scoresF32x4NEON}
	weighF16    = weighFuncs{
		{weightedSumF16x1x1NEON, weightedSumF16x1x2NEON, weightedSumF16x1x4NEON},
		{weightedSumF16x2x1NEON, weightedSumF16x2x2NEON, weightedSumF16x2x4NEON},
		{weightedSumF16x4x1NEON, weightedSumF16x4x2NEON, nil}}
	weighF32 = weighFuncs{
		{weightedSumF32x1x1NEON, weightedSumF32x1x2NEON, weightedSumF32x1x4NEON},
		{weightedSumF32x2x1NEON, weightedSumF32x2x2NEON, weightedSumF32x2x4NEON},
		{weightedSumF32x4x1NEON, weightedSumF32x4x2NEON, nil}}
)

// keysNEON is the number of keys the assembly takes at a time.
const keysNEON = 4

func scoresF16NEON(dst []float32, dstStride int, q []float32, g int, k []uint16, n, d, _ int, scale float32) {
	if d%lanesNEON != 0 || n < keysNEON {
		scoresF16Generic(dst, dstStride, q, g, k, n, d, 0, scale)
		return
	}
	scoresOfF16.do(dst, dstStride, q, g, unsafe.Pointer(&k[0]), n, d, 2*d, scale)
}

func scoresF32NEON(dst []float32, dstStride int, q []float32, g int, k []float32, n, d, _ int, scale float32) {
	if d%lanesNEON != 0 || n < keysNEON {
		scoresF32Generic(dst, dstStride, q, g, k, n, d, 0, scale)
		return
	}
	scoresOfF32.do(dst, dstStride, q, g, unsafe.Pointer(&k[0]), n, d, 4*d, scale)
}

// do takes groups of four keys of so many bytes; the last group ends at the last
// key and may overlap the one before.
func (s *scoreFuncs) do(dst []float32, stride int, q []float32, g int, k unsafe.Pointer, n, d, key int, scale float32) {
	last := n - keysNEON
	for h := 0; h < g; {
		log, heads := headsNEON(g - h)
		head := (*byte)(unsafe.Pointer(&q[h*d]))
		s[log](&dst[h*stride], stride, head, (*byte)(k), d, n/keysNEON, scale)
		if n%keysNEON != 0 {
			s[log](&dst[h*stride+last], stride, head, (*byte)(unsafe.Add(k, last*key)), d, 1, scale)
		}
		h += heads
	}
}

// headsNEON is the number of heads, of n that are left, to do next, and its
// logarithm.
func headsNEON(n int) (log, heads int) {
	switch {
	case n >= 4:
		return 2, 4
	case n >= 2:
		return 1, 2
	}
	return 0, 1
}

func weightedSumF16NEON(acc, p []float32, pStride, g int, x []uint16, n, d, _ int) {
	if d%lanesNEON != 0 {
		weightedSumF16Generic(acc, p, pStride, g, x, n, d, 0)
		return
	}
	weighF16.do(acc, p, pStride, g, unsafe.Pointer(&x[0]), n, d, 2)
}

func weightedSumF32NEON(acc, p []float32, pStride, g int, x []float32, n, d, _ int) {
	if d%lanesNEON != 0 {
		weightedSumF32Generic(acc, p, pStride, g, x, n, d, 0)
		return
	}
	weighF32.do(acc, p, pStride, g, unsafe.Pointer(&x[0]), n, d, 4)
}

// do goes over the page once for every block of heads and columns that fit the
// registers; values are so many bytes.
func (w *weighFuncs) do(acc, p []float32, pStride, g int, x unsafe.Pointer, n, d, size int) {
	for h := 0; h < g; {
		log, heads := headsNEON(g - h)
		for c := 0; c < d; {
			columns := 2 // the logarithm of the runs
			for w[log][columns] == nil || lanesNEON<<columns > d-c {
				columns--
			}
			w[log][columns](&acc[h*d+c], d, &p[h*pStride], pStride, (*byte)(unsafe.Add(x, c*size)), d*size, n)
			c += lanesNEON << columns
		}
		h += heads
	}
}

func outerAnyNEON(c, a []float32, rows, columns int, b []float32, q, m, n int, add bool) {
	f := outerNEON
	if add {
		f = outerAddNEON
	}
	for k := 0; k < q; k += TileColumns {
		f(&c[k], q, &a[0], rows, columns, &b[k], m/OuterRows, n)
	}
}

func maxRowsAnyNEON(top, s []float32, n int) { maxRowsNEON(&top[0], &s[0], len(top), n) }

func expRowsAnyNEON(s, top, sum []float32, n int, scale float32) {
	expRowsNEON(&s[0], &top[0], &sum[0], len(top), n, scale)
}

func scaleRowsAnyNEON(c, f []float32, n int) { scaleRowsNEON(&c[0], &f[0], len(f), n) }
