package kernels

// Decoding: a matrix times one activation row, four weight rows at a time, so
// that as many streams of weights are in flight. What it costs is the memory
// that the weights come from.

// decodeRows is how many weight rows a decoding function takes at once.
const decodeRows = 4

// A decodeFunc sets y[i] = W[i] . x for groups of four rows of cells (> 0) groups
// of 32 columns. Row i starts at w + i*stride bytes; c, d and m are an Act's.
type decodeFunc func(y *float32, w *byte, stride, groups int, c *byte, d, m *float32, cells int)

// A decodePlainFunc does it for plain formats and k (> 0) float32 activations.
type decodePlainFunc func(y *float32, w *byte, stride, groups int, x *float32, k int)

// decodeBlock is how many bytes of weights are read for one activation row
// before the next, so that the others find them in the cache.
const decodeBlock = 128 << 10

// eachRows calls f for runs of rows of [n0, n1), every activation row and so many
// rows of weights that they stay cached.
func (m *Mat) eachRows(r0, r1, n0, n1 int, f func(r, n0, n1 int)) {
	step := max(decodeBlock/m.stride, decodeRows) / decodeRows * decodeRows
	if r1-r0 == 1 {
		step = n1 - n0
	}
	for n := n0; n < n1; n += step {
		for r := r0; r < r1; r++ {
			f(r, n, min(n+step, n1))
		}
	}
}

func (m *Mat) mulDecode(f decodeFunc, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	m.eachRows(r0, r1, n0, n1, func(r, lo, hi int) {
		i := r * (a.K / cellLen)
		m.decodeRun(y[r*stride:], n0, lo, hi, func(y *float32, w *byte, stride, groups int) {
			f(y, w, stride, groups, a.cells[r*a.cellStride].bytes(), &a.d[i], &a.m[i], a.K/cellLen)
		})
	})
}

func (m *Mat) mulDecodePlain(f decodePlainFunc, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	m.eachRows(r0, r1, n0, n1, func(r, lo, hi int) {
		m.decodeRun(y[r*stride:], n0, lo, hi, func(y *float32, w *byte, stride, groups int) {
			f(y, w, stride, groups, &a.F32[r*a.K], a.K)
		})
	})
}

// decodeRun computes y[lo:hi] with a function that does groups of four rows. Rows
// that are left over are done again with the three before them, if [n0, hi) has
// as many, or else one by one, each as its own group of four.
func (m *Mat) decodeRun(y []float32, n0, lo, hi int, f func(y *float32, w *byte, stride, groups int)) {
	if groups := (hi - lo) / decodeRows; groups > 0 {
		f(&y[lo], &m.data[lo*m.stride], m.stride, groups)
		lo += groups * decodeRows
	}
	switch {
	case lo == hi:
	case hi-n0 >= decodeRows:
		f(&y[hi-decodeRows], &m.data[(hi-decodeRows)*m.stride], m.stride, 1)
	default:
		t := takeScratch()
		for n := lo; n < hi; n++ {
			f(&t.out[0], &m.data[n*m.stride], 0, 1)
			y[n] = t.out[0]
		}
		t.put()
	}
}
