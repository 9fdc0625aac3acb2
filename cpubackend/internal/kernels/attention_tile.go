package kernels

// Attention of many query rows at once works on their transposes: a tile's queries
// are the columns of every matrix, so that what is one number per query (its
// softmax, the weight of a position) is a lane, and nothing is added up across
// lanes. With Q queries, keys and values as they lie in the cache,
//
//	S (positions, Q) = K (positions, d) * q^T (d, Q)
//	O (dv, Q)       += V^T (dv, positions) * exp(S - max) (positions, Q)
//
// both are Outer, once with K's rows and once with V's columns.

// TileColumns is the multiple of which the number of columns of a tile must be.
const TileColumns = 16

// OuterRows is how many rows Outer does at a time: it reads and writes rows up to a
// multiple of it.
const OuterRows = 4

// Outer sets c (m, q) = a (m, n) * b (n, q), or adds that to it. Element (i, j) of a
// is a[i*rows+j*columns]; c and b are contiguous, q a multiple of TileColumns, and
// m is rounded up to OuterRows.
func Outer(c []float32, a []float32, rows, columns int, b []float32, q, m, n int, add bool) {
	if m <= 0 || n <= 0 || q <= 0 {
		return
	}
	m = (m + OuterRows - 1) / OuterRows * OuterRows
	if q%TileColumns != 0 || m*q > len(c) || n*q > len(b) || (m-1)*rows+(n-1)*columns >= len(a) || rows < 1 || columns < 1 {
		panic("kernels: tile operands are too short")
	}
	best.outer(c, a, rows, columns, b, q, m, n, add)
}

// MaxRows sets top[i] = max(top[i], s[j*q+i]) over the n rows of s (n, q), where q
// is len(top), a multiple of TileColumns.
func MaxRows(top, s []float32, n int) {
	checkTile(len(top), len(s), n)
	best.maxRows(top, s, n)
}

// ExpRows sets s[j*q+i] = exp((s[j*q+i]-top[i])*scale) over the n rows of s (n, q)
// and adds each column to sum[i]; q is len(top). It is 0 below exp(-87). The relative
// error is below 3e-7 plus 2^-23 times the exponent.
func ExpRows(s, top, sum []float32, n int, scale float32) {
	checkTile(len(top), len(s), n)
	checkTile(len(top), len(sum), 1)
	best.expRows(s, top, sum, n, scale)
}

// ScaleRows multiplies each of the n rows of c (n, q) by f, q = len(f), a multiple
// of TileColumns.
func ScaleRows(c, f []float32, n int) {
	checkTile(len(f), len(c), n)
	best.scaleRows(c, f, n)
}

func checkTile(q, all, n int) {
	if q == 0 || q%TileColumns != 0 || n < 1 || n*q > all {
		panic("kernels: tile operands are too short")
	}
}

func outerGeneric(c, a []float32, rows, columns int, b []float32, q, m, n int, add bool) {
	for i := range m {
		row := c[i*q : (i+1)*q]
		if !add {
			clear(row)
		}
		for j := range n {
			x := a[i*rows+j*columns]
			for k, y := range b[j*q : (j+1)*q] {
				row[k] += x * y
			}
		}
	}
}

func maxRowsGeneric(top, s []float32, n int) {
	q := len(top)
	for i := range n * q {
		if s[i] > top[i%q] {
			top[i%q] = s[i]
		}
	}
}

func expRowsGeneric(s, top, sum []float32, n int, scale float32) {
	q := len(top)
	for i := range n * q {
		s[i] = exp32((s[i] - top[i%q]) * scale)
		sum[i%q] += s[i]
	}
}

func scaleRowsGeneric(c, f []float32, n int) {
	q := len(f)
	for i := range n * q {
		c[i] *= f[i%q]
	}
}
