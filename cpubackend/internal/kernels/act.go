package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// Act is a batch of activation rows prepared for the products: the float32 rows
// themselves, and beside them int8 cells for the weight formats that multiply
// integers.
type Act struct {
	Rows, K int
	F32     []float32 // (Rows, K), set by Set, not owned

	// cells are (Rows, K/32) in rows of cellStride, which is odd: rows whose
	// distance is a power of two would share a few sets of the cache.
	cells      []cell // 64-byte aligned
	cellStride int
	d, m       []float32 // (Rows, K/32), the cells' d and m once more, side by side
	maxK       int
}

// cell is 32 consecutive activations of a row: x[i] ~ d*q[i]. It fills one cache
// line, so that a product walks each row in one stream.
type cell struct {
	q [32]int8 // in [-127, 127]
	d float32
	// Weights are stored in the tiles as unsigned bytes, w+128; c = -128 * the
	// sum of q takes that back.
	c int32
	// m = d * the sum of q, what a weight's constant part is multiplied by.
	m float32
	_ float32
	// c and m over each half, for formats whose scales cover 16 weights.
	c2 [2]int32
	m2 [2]float32
}

const cellLen = 32

// NewAct makes room for rows of at most maxK columns, maxRows of them.
func NewAct(maxRows, maxK int) *Act {
	n := maxK / cellLen
	return &Act{cells: alignedCells(maxRows * (n | 1)), d: make([]float32, maxRows*n), m: make([]float32, maxRows*n), maxK: maxK}
}

// alignedCells allocates n cells at a multiple of 64 bytes.
func alignedCells(n int) []cell {
	const size = int(unsafe.Sizeof(cell{}))
	if n <= 0 {
		return nil
	}
	mem := make([]byte, n*size+63)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & 63
	return unsafe.Slice((*cell)(unsafe.Pointer(&mem[skip])), n)
}

// Set makes x, (rows, k) and contiguous, the batch. x is kept until the next Set
// and must not change while products read it.
func (a *Act) Set(x []float32, rows, k int) {
	stride := k/cellLen | 1
	if k > a.maxK || rows*stride > len(a.cells) || len(x) < rows*k {
		panic(fmt.Sprintf("kernels: %d activation rows of %d columns do not fit", rows, k))
	}
	a.Rows, a.K, a.F32, a.cellStride = rows, k, x[:rows*k], stride
}

// row is row r as cells. It is meaningful after Quantize of that row.
func (a *Act) row(r int) []cell {
	return a.cells[r*a.cellStride:][:a.K/cellLen]
}

// Quantize fills the int8 cells of rows [r0, r1). Workers may share the rows
// between them. Nothing happens if K is no multiple of 32: no format that needs
// the cells has such rows.
//
// A cell's scale is its largest magnitude / 127 and its values are rounded to
// nearest, ties to even. A NaN or an infinity makes the cell's scale NaN or
// infinite, so that it shows in every product; magnitudes below 1e-35 count as
// zero.
func (a *Act) Quantize(r0, r1 int) {
	if a.K%cellLen != 0 {
		return
	}
	n := a.K / cellLen
	for r := r0; r < r1 && n > 0; r++ {
		best.quantize(a.row(r), a.d[r*n:], a.m[r*n:], a.F32[r*a.K:(r+1)*a.K])
	}
}

// tinyActivation is where 127/x would leave the range of float32.
const tinyActivation = 1e-35

// quantizeGeneric is the meaning of Quantize: len(x) == 32*len(dst), and d and m
// are at least as long as dst.
func quantizeGeneric(dst []cell, d, m, x []float32) {
	for i := range dst {
		quantizeCell(&dst[i], (*[cellLen]float32)(x[i*cellLen:]))
		d[i], m[i] = dst[i].d, dst[i].m
	}
}

func quantizeCell(c *cell, x *[cellLen]float32) {
	var top uint32 // magnitudes compare like integers, and NaN is above infinity
	for _, v := range x {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	amax := math.Float32frombits(top)
	*c = cell{}
	if amax < tinyActivation {
		return
	}
	inverse := 127 / amax
	for i, v := range x {
		// The conversion rounds the product: fused with an addition of roundInt8's,
		// as on arm64, it would be rounded once and ties would fall otherwise.
		c.q[i] = roundInt8(float32(v * inverse))
	}
	var sum [2]int32
	for i, q := range c.q {
		sum[i/16] += int32(q)
	}
	c.d = amax / 127
	c.c2 = [2]int32{-128 * sum[0], -128 * sum[1]}
	c.c = c.c2[0] + c.c2[1]
	c.m2 = [2]float32{c.d * float32(sum[0]), c.d * float32(sum[1])}
	c.m = c.d * float32(sum[0]+sum[1])
}

// roundInt8 rounds x, |x| <= 127 give or take rounding, to nearest, ties to
// even: adding 1.5*2^23 leaves no bits below one. What is no number becomes 0.
func roundInt8(x float32) int8 {
	const shift = 1.5 * (1 << 23)
	if !(x > -128 && x < 128) {
		return 0
	}
	return int8(float32(x+shift) - shift)
}
