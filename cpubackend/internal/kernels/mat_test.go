package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// oracle is W[n] . x[r] in float64 over the dequantised weights, and the bound on
// the error of a float32 evaluation.
//
// Integer sums are exact, so what rounds is: the scales' product, the scaling,
// and one addition per group along the row in the worst order; the constant part
// of a weight adds the same again. The plain formats round once per product and
// sum in at least four lanes. All of it is relative to the sum of magnitudes, in
// which a weight counts as |d*q| + |m|, for that is what is added up.
func oracle(m *Mat, a *Act, n, r int) (want, bound float64) {
	w := make([]float32, m.K)
	m.Row(w, n)
	x := func(k int) float64 { return float64(a.F32[r*a.K+k]) }
	constant := func(k int) float64 { return 0 }
	rounds := float64(m.K)/4 + 8
	if m.NeedsQ8() {
		cells := a.row(r)
		g := make([]group, m.K/cellLen)
		unpack(m.dtype, g, m.row(n))
		x = func(k int) float64 { return float64(cells[k/32].d) * float64(cells[k/32].q[k%32]) }
		constant = func(k int) float64 { return math.Abs(float64(g[k/32].m[k%32/16])) }
		rounds = 2*float64(m.K)/32 + 12
	}
	var size float64
	for k := range m.K {
		want += float64(w[k]) * x(k)
		size += (math.Abs(float64(w[k])) + 2*constant(k)) * math.Abs(x(k))
	}
	return want, rounds*size*0x1p-24 + 1e-30
}

// shapes of the products tested: ragged in every direction, K a multiple of the
// block only, splits inside and outside the grain.
type shape struct{ n, k, rows int }

func shapes(t tensor.DType, short bool) []shape {
	b := t.BlockElems()
	s := []shape{{1, b, 1}, {3, 3 * b, 2}, {17, 5 * b, 1}, {33, 2 * b, 3}, {50, b, 13}, {37, 1152 / b * b, 29}, {16, 2304, 4}, {50, 512 / b * b, tilesFrom + 4}}
	if b == 1 {
		s = []shape{{1, 1, 1}, {3, 5, 2}, {17, 67, 1}, {33, 64, 3}, {50, 31, 13}, {37, 1157, 29}, {16, 2304, 4}, {50, 77, tilesFrom + 4}}
	}
	if short {
		s = s[:5]
	}
	return s
}

func TestMulAgainstOracle(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			for i, s := range shapes(dt, testing.Short()) {
				checkMul(t, dt, s, uint64(i), -1, heap)
			}
		}
	})
}

// TestMulExtremes fills every code byte with one value: all -128 in Q8_0, all 0
// and all largest codes elsewhere.
func TestMulExtremes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			if dt.BlockElems() == 1 {
				continue
			}
			for _, fill := range []int{0, 0xff, 0x80, 0x7f, 0x81} {
				checkMul(t, dt, shape{19, 512, 5}, 3, fill, heap)
			}
		}
	})
}

func checkMul(t *testing.T, dt tensor.DType, s shape, seed uint64, fill int, alloc func(int) []byte) {
	t.Helper()
	r := random(seed)
	m := randomMat(t, r, dt, s.n, s.k, fill, alloc)
	checkProduct(t, m, s, r, fill)
	if repacked(m, alloc) {
		checkProduct(t, m, s, r, fill)
	}
}

// repacked repacks a matrix, in two parts, if its format can be.
func repacked(m *Mat, alloc func(int) []byte) bool {
	if panelLayouts[m.dtype].low == 0 {
		return false
	}
	p := newPanels(m.dtype, m.K)
	all := alloc(m.Panels() * p.size)
	for i := range all {
		all[i] = 0xa5
	}
	m.Repack(all, 0, m.Panels()/2)
	m.Repack(all, m.Panels()/2, m.Panels())
	m.UseRepacked(all)
	return true
}

func checkProduct(t *testing.T, m *Mat, s shape, r *rand.Rand, fill int) {
	t.Helper()
	x := normals(r, s.rows*s.k)
	if fill >= 0 {
		for i := range x { // all of one sign and size: the largest sums
			x[i] = float32(1 - i/s.k%2*2)
		}
	}
	a := NewAct(s.rows, s.k)
	a.Set(x, s.rows, s.k)
	a.Quantize(0, s.rows)
	stride := s.n + 3
	y := make([]float32, s.rows*stride)
	for i := range y {
		y[i] = float32(math.NaN())
	}
	// Two splits of the weight rows and two of the batch.
	n, rr := r.IntN(s.n+1), r.IntN(s.rows+1)
	m.Mul(y, stride, a, 0, rr, 0, n)
	m.Mul(y, stride, a, 0, rr, n, s.n)
	m.Mul(y, stride, a, rr, s.rows, 0, s.n)
	name := fmt.Sprintf("%v %v fill %d split %d,%d repacked %v", m.dtype, s, fill, n, rr, m.panels != nil)
	for row := range s.rows {
		for c := range stride {
			got := float64(y[row*stride+c])
			if c >= s.n {
				if !math.IsNaN(got) && row*stride+c < len(y) {
					t.Fatalf("%s: wrote past the row: row %d column %d", name, row, c)
				}
				continue
			}
			if want, bound := oracle(m, a, c, row); !(math.Abs(got-want) <= bound) {
				t.Fatalf("%s: row %d column %d: got %g, want %g, off by %g, bound %g", name, row, c, got, want, got-want, bound)
			}
		}
	}
}

// An element's bits do not depend on how the weight rows are split.
func TestMulIndependentOfSplit(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			for i, rows := range []int{1, 1, 7, 19, 19, tilesFrom} {
				r := random(5)
				const n, k = 39, 512
				m := randomMat(t, r, dt, n, k, -1, heap)
				if i%2 == 1 && !repacked(m, heap) {
					continue
				}
				a := NewAct(rows, k)
				a.Set(normals(r, rows*k), rows, k)
				a.Quantize(0, rows)
				whole, parts := make([]float32, rows*n), make([]float32, rows*n)
				m.Mul(whole, n, a, 0, rows, 0, n)
				for lo := 0; lo < n; {
					hi := min(n, lo+1+r.IntN(9))
					m.Mul(parts, n, a, 0, rows, lo, hi)
					lo = hi
				}
				for i := range whole {
					if whole[i] != parts[i] {
						t.Fatalf("%v, %d rows: element %d is %g whole, %g in parts", dt, rows, i, whole[i], parts[i])
					}
				}
			}
		}
	})
}

func TestMulAllocatesNothing(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			r := random(9)
			m, again := randomMat(t, r, dt, 35, 512, -1, heap), randomMat(t, r, dt, 35, 512, -1, heap)
			repacked(again, heap)
			a := NewAct(tilesFrom, 512)
			a.Set(normals(r, tilesFrom*512), tilesFrom, 512)
			y := make([]float32, tilesFrom*35)
			n := testing.AllocsPerRun(20, func() {
				a.Quantize(0, 19)
				for _, m := range []*Mat{m, again} {
					m.Mul(y, 35, a, 0, tilesFrom, 0, 35)
					m.Mul(y, 35, a, 0, 9, 0, 35)
					m.Mul(y, 35, a, 0, 1, 0, 35)
					m.Mul(y, 35, a, 0, 1, 1, 3)
				}
			})
			if n != 0 {
				t.Errorf("%v: %g allocations", dt, n)
			}
		}
	})
}

// What is no number in an activation row shows in all of its results and in no other
// row's, as the matrix is and repacked, however many rows there are.
func TestMulNonFinite(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			for _, rows := range []int{1, 9, 14, tilesFrom} {
				m := randomMat(t, random(4), dt, 35, 256, -1, heap)
				checkNonFinite(t, m, rows)
				if repacked(m, heap) {
					checkNonFinite(t, m, rows)
				}
			}
		}
	})
}

func checkNonFinite(t *testing.T, m *Mat, rows int) {
	t.Helper()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		x := normals(random(4), rows*m.K)
		at := rows / 2
		x[at*m.K+77] = float32(bad)
		a := NewAct(rows, m.K)
		a.Set(x, rows, m.K)
		a.Quantize(0, rows)
		y := make([]float32, rows*m.N)
		m.Mul(y, m.N, a, 0, rows, 0, m.N)
		for i, v := range y {
			if v := float64(v); (math.IsNaN(v) || math.IsInf(v, 0)) != (i/m.N == at) {
				t.Fatalf("%v repacked %v, %v in row %d of %d: result %d of row %d is %g", m.dtype, m.panels != nil, bad, at, rows, i%m.N, i/m.N, v)
			}
		}
	}
}

func TestRowIsDequantize(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		r := random(2)
		m := randomMat(t, r, dt, 3, 512, -1, heap)
		got, want := make([]float32, 512), make([]float32, 3*512)
		tensor.Dequantize(want, dt, m.data)
		m.Row(got, 2)
		for i := range got {
			if got[i] != want[1024+i] {
				t.Fatalf("%v: element %d", dt, i)
			}
		}
		if !m.NeedsQ8() {
			continue
		}
		g := make([]group, 16)
		unpack(dt, g, m.row(2))
		for i, w := range got {
			u := float64(g[i/32].d[i%32/16])*float64(g[i/32].q[i%32]) + float64(g[i/32].m[i%32/16])
			if math.Abs(u-float64(w)) > 1e-6*math.Abs(float64(g[i/32].m[i%32/16]))+1e-7*math.Abs(u) {
				t.Fatalf("%v: element %d unpacks to %g, want %g", dt, i, u, w)
			}
		}
	}
}

func TestNewMatRefuses(t *testing.T) {
	for _, c := range []struct {
		d    tensor.Desc
		data int
	}{
		{tensor.Desc{Name: "w", DType: 99, Shape: []int{2, 32}}, 64},
		{tensor.Desc{Name: "w", DType: tensor.Q8_0, Shape: []int{2, 33}}, 68},
		{tensor.Desc{Name: "w", DType: tensor.Q8_0, Shape: []int{2, 32}}, 67},
		{tensor.Desc{Name: "w", DType: tensor.Q8_0, Shape: []int{0, 32}}, 0},
	} {
		if _, err := NewMat(c.d, make([]byte, c.data)); err == nil {
			t.Errorf("%v with %d bytes was accepted", c.d, c.data)
		}
	}
}

func TestMulRefusesWrongShapes(t *testing.T) {
	m := randomMat(t, random(1), tensor.Q8_0, 4, 64, -1, heap)
	a := NewAct(2, 64)
	a.Set(make([]float32, 128), 2, 64)
	for name, f := range map[string]func(){
		"short y":       func() { m.Mul(make([]float32, 7), 4, a, 0, 2, 0, 4) },
		"weight rows":   func() { m.Mul(make([]float32, 99), 9, a, 0, 2, 0, 5) },
		"batch rows":    func() { m.Mul(make([]float32, 99), 4, a, 0, 3, 0, 4) },
		"overlap":       func() { m.Mul(make([]float32, 99), 3, a, 0, 2, 0, 4) },
		"too many rows": func() { a.Set(make([]float32, 999), 5, 64) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
