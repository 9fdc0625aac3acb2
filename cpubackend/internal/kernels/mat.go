package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Mat is a weight matrix, N rows of K columns of any format, over bytes it does
// not own. It is immutable and safe for concurrent use.
type Mat struct {
	N, K   int
	dtype  tensor.DType
	data   []byte
	stride int     // bytes of a row
	panels *panels // nil unless repacked
}

// NewMat wraps data, which must stay mapped while the matrix is used. A tensor of
// more than two dimensions is taken as its rows one after the other.
func NewMat(d tensor.Desc, data []byte) (*Mat, error) {
	if !d.DType.Valid() {
		return nil, fmt.Errorf("kernels: tensor %q: unknown format %v", d.Name, d.DType)
	}
	for _, s := range d.Shape {
		if s <= 0 {
			return nil, fmt.Errorf("kernels: tensor %q has an empty shape %v", d.Name, d.Shape)
		}
	}
	m := &Mat{N: d.Rows(), K: d.RowLen(), dtype: d.DType, data: data}
	if b := d.DType.BlockElems(); m.K%b != 0 {
		return nil, fmt.Errorf("kernels: tensor %q: rows of %d elements are no multiple of %v's block of %d", d.Name, m.K, d.DType, b)
	}
	m.stride = d.DType.RowBytes(m.K)
	if len(data) != m.N*m.stride {
		return nil, fmt.Errorf("kernels: tensor %v takes %d bytes, got %d", d, m.N*m.stride, len(data))
	}
	return m, nil
}

// NeedsQ8 says whether Mul reads the batch's int8 cells, which Act.Quantize
// makes, or its float32 rows.
func (m *Mat) NeedsQ8() bool { return m.dtype.BlockElems() > 1 }

// Grain is the number of rows Mul likes its splits [n0, n1) to be a multiple of.
func (m *Mat) Grain() int { return tileRows }

// Row dequantises row n into dst, K long.
func (m *Mat) Row(dst []float32, n int) {
	tensor.Dequantize(dst[:m.K], m.dtype, m.row(n))
}

func (m *Mat) row(n int) []byte { return m.data[n*m.stride : (n+1)*m.stride] }

// Mul computes y[r*stride+n] = W[n] . x[r] for rows r in [r0, r1) of the batch
// and weight rows n in [n0, n1). It overwrites those elements, touches no others
// and allocates nothing. Any split is correct, and calls with disjoint results
// may run concurrently; an element's value does not depend on how n is split.
func (m *Mat) Mul(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	if r0 >= r1 || n0 >= n1 {
		return
	}
	if a.K != m.K || r0 < 0 || r1 > a.Rows || n0 < 0 || n1 > m.N || (r1-1)*stride+n1 > len(y) || stride < n1 && r1-r0 > 1 {
		panic(fmt.Sprintf("kernels: product of rows [%d,%d) of (%d,%d) with [%d,%d) of (%d,%d) into %d with stride %d",
			r0, r1, a.Rows, a.K, n0, n1, m.N, m.K, len(y), stride))
	}
	if m.NeedsQ8() {
		m.mulGroups(y, stride, a, r0, r1, n0, n1)
	} else {
		m.mulPlain(y, stride, a, r0, r1, n0, n1)
	}
}

// mulGroups chooses how a product of a quantised format is done.
func (m *Mat) mulGroups(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	s := best
	switch {
	case m.panels != nil:
		m.mulPanels(s, y, stride, a, r0, r1, n0, n1)
	case s.tiles.mul != nil && (r1-r0 >= s.tileFrom || s.decode[m.dtype] == nil):
		m.mulTiles(s, y, stride, a, r0, r1, n0, n1)
	case s.decode[m.dtype] != nil:
		m.mulDecode(s.decode[m.dtype], y, stride, a, r0, r1, n0, n1)
	default:
		m.mulGroupsGeneric(y, stride, a, r0, r1, n0, n1)
	}
}

// mulGroupsGeneric is the meaning of Mul for the quantised formats: integer products of
// groups and cells, scaled and summed in float32 along the row.
func (m *Mat) mulGroupsGeneric(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	var g [groupRun]group
	total := m.K / cellLen
	for n := n0; n < n1; n++ {
		for r := r0; r < r1; r++ {
			y[r*stride+n] = 0
		}
		w := m.row(n)
		for k := 0; k < total; k += groupRun {
			run := g[:min(groupRun, total-k)]
			unpack(m.dtype, run, w[m.dtype.RowBytes(k*cellLen):])
			for r := r0; r < r1; r++ {
				c := a.row(r)[k:]
				var sum float32
				for i := range run {
					sum += run[i].dot(&c[i])
				}
				y[r*stride+n] += sum
			}
		}
	}
}
