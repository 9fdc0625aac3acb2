package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// A page of the Q8_0 cache holds the keys, or the values, of one KV head at PageLen
// positions: int8 in cells of 32 columns, with a half-precision scale for each
// position and cell. Columns are filled up with zeros to whole cells. The scales
// come after all the numbers. Four bytes that are multiplied together lie side by
// side, and so do those that become neighbouring sums:
//
//	keys    [position/16][cell][column/4][16 positions][4 columns], scales [position/16][cell][16]
//	values  [position/4][column][4 positions],                      scales [cell][PageLen]

// PageLen is the positions of a page.
const PageLen = 64

// cellBytes is the size of a cell of activations.
const cellBytes = int(unsafe.Sizeof(cell{}))

// keyGroup is the positions whose scores are computed side by side.
const keyGroup = 16

// WidthQ8 is d columns filled up to whole cells.
func WidthQ8(d int) int { return (d + cellLen - 1) / cellLen * cellLen }

// PageBytesQ8 is the size of a page of rows of d columns, a multiple of 64.
func PageBytesQ8(d int) int { return PageLen * WidthQ8(d) / cellLen * (cellLen + 2) }

// RowsQ8 is room to round rows of keys, values or queries, and for attention over
// a page of Q8_0. Each worker has its own.
type RowsQ8 struct {
	cells  []cell    // (cells of a row, rows)
	x      []float32 // a row, filled up
	dm     [2]float32
	rows   int
	digits []byte    // (rows, 2, PageLen), see splitWeights
	scales []float32 // (rows)
}

// NewRowsQ8 makes room for so many rows of at most d columns.
func NewRowsQ8(rows, d int) *RowsQ8 {
	d = WidthQ8(d)
	return &RowsQ8{cells: alignedCells(rows * d / cellLen), x: make([]float32, d),
		digits: make([]byte, rows*2*PageLen), scales: make([]float32, rows)}
}

// Set rounds the rows of x, (rows, d) and contiguous.
func (s *RowsQ8) Set(x []float32, rows, d int) {
	n := WidthQ8(d)
	s.rows = rows
	for r := range rows {
		row := x[r*d : (r+1)*d]
		if n > d {
			copy(s.x, row)
			clear(s.x[d:n])
			row = s.x[:n]
		}
		for c := range n / cellLen {
			i := c*rows + r
			best.quantize(s.cells[i:i+1], s.dm[:1], s.dm[1:], row[c*cellLen:(c+1)*cellLen])
		}
	}
}

// PutKeyQ8 stores the key x (d) at a position of a page.
func (s *RowsQ8) PutKeyQ8(page []byte, position int, x []float32) {
	n := WidthQ8(len(x))
	s.Set(x, 1, len(x))
	group, i := position/keyGroup, position%keyGroup
	at := page[group*keyGroup*n:][:keyGroup*n]
	scales := page[PageLen*n+group*keyGroup*n/cellLen*2:]
	for c := range n / cellLen {
		q := (*[cellLen]byte)(unsafe.Pointer(&s.cells[c].q))
		for j := 0; j < cellLen; j += 4 {
			copy(at[(c*cellLen+j)*keyGroup+4*i:][:4], q[j:j+4])
		}
		binary.LittleEndian.PutUint16(scales[2*(c*keyGroup+i):], tensor.F32ToF16(s.cells[c].d))
	}
}

// PutValueQ8 stores the value x (d) at a position of a page.
func (s *RowsQ8) PutValueQ8(page []byte, position int, x []float32) {
	n := WidthQ8(len(x))
	s.Set(x, 1, len(x))
	at := page[position/4*4*n:][:4*n]
	scales := page[PageLen*n:]
	for c := range n / cellLen {
		for j, q := range s.cells[c].q {
			at[(c*cellLen+j)*4+position%4] = byte(q)
		}
		binary.LittleEndian.PutUint16(scales[2*(c*PageLen+position):], tensor.F32ToF16(s.cells[c].d))
	}
}

// ScoresQ8 sets dst[i*dstStride+j] = scale * q[i] . k[j] for the rows that have
// been Set, of d columns, and the first n positions of a page of keys. Columns of
// dst up to the next multiple of 16 are written, too, with nothing of use. ahead
// is as in ScoresF16.
func (s *RowsQ8) ScoresQ8(dst []float32, dstStride int, page []byte, n, d, ahead int, scale float32) {
	w := WidthQ8(d)
	groups := (n + keyGroup - 1) / keyGroup
	if n <= 0 || n > PageLen || len(page) < PageBytesQ8(d) || (s.rows-1)*dstStride+groups*keyGroup > len(dst) || s.rows*w/cellLen > len(s.cells) {
		panic("kernels: attention operands are too short")
	}
	best.scoresQ8(dst, dstStride, s.cells, s.rows, page, groups, w/cellLen, ahead, scale)
}

// scoresQ8Generic is the meaning of isa.scoresQ8: q is (cells, rows), page has
// groups*16 keys or more.
func scoresQ8Generic(dst []float32, dstStride int, q []cell, rows int, page []byte, groups, cells, _ int, scale float32) {
	scales := page[PageLen*cells*cellLen:]
	for g := range groups {
		for r := range rows {
			var sum [keyGroup]float32
			for c := range cells {
				x := &q[c*rows+r]
				k := page[(g*cells+c)*keyGroup*cellLen:]
				for i := range sum {
					var dot int32
					for j := range cellLen {
						dot += int32(x.q[j]) * int32(int8(k[j/4*4*keyGroup+4*i+j%4]))
					}
					d := tensor.F16ToF32(binary.LittleEndian.Uint16(scales[2*((g*cells+c)*keyGroup+i):]))
					sum[i] += x.d * d * float32(dot)
				}
			}
			for i, v := range sum {
				dst[r*dstStride+g*keyGroup+i] = v * scale
			}
		}
	}
}

// WeightedSumQ8 adds sum over j of p[i*pStride+j] * v[j] to acc[i] for g rows, acc
// (g, WidthQ8(d)), and the positions j of a page of values. p >= 0 has PageLen
// columns; what lies where it is 0 does not count.
//
// Weights, with the values' scales in them, are rounded to 14 bits of the largest
// in their row: off by at most 2^-15 of it at 64 positions. What rounded values are
// off by, a 254th of each, is twice the sum of that and more.
func (s *RowsQ8) WeightedSumQ8(acc []float32, p []float32, pStride, g int, page []byte, d, ahead int) {
	w := WidthQ8(d)
	if g <= 0 || len(page) < PageBytesQ8(d) || (g-1)*pStride+PageLen > len(p) || g*w > len(acc) || g > len(s.scales) {
		panic("kernels: attention operands are too short")
	}
	for c := range w / cellLen {
		best.splitWeights(s.digits, s.scales, p, pStride, g, page[(PageLen*cellLen*w+2*PageLen*c*cellLen)/cellLen:])
		best.weightedDigits(acc[c*cellLen:], w, s.digits, s.scales, g, page[4*c*cellLen:], 4*w, ahead)
	}
}

const (
	weightTop  = 1<<14 - 1
	tinyWeight = 1e-30 // rows with nothing above count as zero
)

// splitWeightsGeneric is the meaning of isa.splitWeights: it multiplies each of g
// rows of PageLen weights p with the PageLen half-precision scales and rounds the
// products to two digits of 7 bits and a scale per row: digits (g, 2, PageLen), the
// upper ones first. Zero times anything is zero.
func splitWeightsGeneric(digits []byte, scales []float32, p []float32, pStride, g int, d []byte) {
	for i := range g {
		var w [PageLen]float32
		var top uint32
		for j := range w {
			if x := p[i*pStride+j]; x != 0 {
				w[j] = x * tensor.F16ToF32(binary.LittleEndian.Uint16(d[2*j:]))
				top = max(top, math.Float32bits(w[j])&0x7fffffff)
			}
		}
		size := math.Float32frombits(top)
		out := digits[i*2*PageLen : (i+1)*2*PageLen]
		clear(out)
		if scales[i] = 0; size < tinyWeight {
			continue
		}
		scales[i] = size / weightTop
		inverse := weightTop / size
		for j, x := range w {
			if u := x * inverse; u > 0 && u <= weightTop+1 {
				n := int32(float32(u+roundShift) - roundShift)
				out[j], out[PageLen+j] = byte(n>>7), byte(n&127)
			}
		}
	}
}

const roundShift = 1.5 * (1 << 23)

// weightedDigitsGeneric is the meaning of isa.weightedDigits: it adds to 32 columns
// of the g rows of acc their weighted sums over the PageLen positions of v, whose
// groups of four are vStride bytes apart.
func weightedDigitsGeneric(acc []float32, stride int, digits []byte, scales []float32, g int, v []byte, vStride, _ int) {
	for i := range g {
		w := digits[i*2*PageLen : (i+1)*2*PageLen]
		for c := range cellLen {
			var high, low int32
			for j := range PageLen {
				x := int32(int8(v[j/4*vStride+4*c+j%4]))
				high += int32(w[j]) * x
				low += int32(w[PageLen+j]) * x
			}
			acc[i*stride+c] += scales[i] * float32(high<<7+low)
		}
	}
}
