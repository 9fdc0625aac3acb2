package kernels

import (
	"math"
	"testing"
)

// rowQ8 is x as the cache keeps it: rounded in cells of 32.
func rowQ8(x []float32) []float64 {
	out := make([]float64, len(x))
	for c := 0; c < len(x); c += cellLen {
		var in [cellLen]float32
		var u cell
		n := copy(in[:], x[c:])
		quantizeCell(&u, &in)
		d := []float32{0}
		h := []uint16{0}
		f32ToF16Generic(h, []float32{u.d})
		f16ToF32Generic(d, h)
		for i := range n {
			out[c+i] = float64(u.q[i]) * float64(d[0])
		}
	}
	return out
}

var pagesQ8 = []page{{1, 1, 32}, {1, 64, 64}, {2, 5, 16}, {3, 63, 40}, {4, 64, 128}, {7, 17, 96}, {8, 33, 80}, {5, 9, 33}, {6, 3, 256}, {1, 2, 300}, {14, 48, 8}}

// fillQ8 stores rows in the first n positions of a page of keys and of values, and
// numbers that are none in the others.
func fillQ8(s *RowsQ8, keys, values []byte, k, v []float32, n, d int) {
	bad := make([]float32, d)
	for i := range bad {
		bad[i] = float32(math.NaN())
	}
	for j := range PageLen {
		s.PutKeyQ8(keys, j, bad)
		s.PutValueQ8(values, j, bad)
	}
	for j := range n {
		s.PutKeyQ8(keys, j, k[j*d:(j+1)*d])
		s.PutValueQ8(values, j, v[j*d:(j+1)*d])
	}
}

func TestAttentionQ8AgainstOracle(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for i, p := range pagesQ8 {
			checkAttentionQ8(t, p, uint64(i))
		}
	})
}

func checkAttentionQ8(t *testing.T, p page, seed uint64) {
	r := random(seed)
	g, n, d, w := p.g, p.n, p.d, WidthQ8(p.d)
	q, k, v := normals(r, g*d), normals(r, n*d), normals(r, n*d)
	s := NewRowsQ8(g, d)
	keys, values := make([]byte, PageBytesQ8(d)), make([]byte, PageBytesQ8(d))
	fillQ8(s, keys, values, k, v, n, d)
	stride := PageLen + 16
	dst := guarded(g * stride)
	s.Set(q, g, d)
	s.ScoresQ8(dst, stride, keys, n, d, 0, 0.125)
	checkGuard(t, dst)
	for i := range g {
		// The query rows' scales are not rounded to half precision.
		for j := range n {
			var want, size float64
			kj := rowQ8(k[j*d : (j+1)*d])
			for c := range d {
				x := 0.125 * queryQ8(q[i*d:(i+1)*d], c) * kj[c]
				want, size = want+x, size+math.Abs(x)
			}
			near(t, "ScoresQ8", n, i*stride+j, dst[i*stride+j], want, size*float64(w/cellLen+5)*0x1p-24)
		}
		for _, x := range dst[i*stride+(n+15)/16*16 : min((i+1)*stride, len(dst))] {
			if x != 0 {
				t.Fatalf("%v: scores written past the last group: %g", p, x)
			}
		}
	}

	weights := make([]float32, g*stride)
	for i := range g {
		for j := range n {
			weights[i*stride+j] = float32(math.Exp(-4 * r.Float64()))
		}
	}
	acc, start := guarded(g*w), normals(r, g*w)
	copy(acc, start)
	s.WeightedSumQ8(acc, weights, stride, g, values, d, 0)
	checkGuard(t, acc)
	for i := range g {
		for c := range w {
			want, size, top := float64(start[i*w+c]), math.Abs(float64(start[i*w+c])), 0.0
			for j := range n {
				if c >= d {
					break
				}
				x := float64(weights[i*stride+j]) * rowQ8(v[j*d : (j+1)*d])[c]
				want, size = want+x, size+math.Abs(x)
				// Weights are rounded with the scale of the value's cell in them, 127
				// of which is the most a number can be.
				top = max(top, float64(weights[i*stride+j])*cellTop(v[j*d:(j+1)*d], c))
			}
			bound := top*float64(n)/weightTop/2 + size*8*0x1p-24
			near(t, "WeightedSumQ8", n, i*w+c, acc[i*w+c], want, bound)
		}
	}
}

// queryQ8 is column c of a rounded query row.
func queryQ8(x []float32, c int) float64 {
	var in [cellLen]float32
	var u cell
	copy(in[:], x[c/cellLen*cellLen:])
	quantizeCell(&u, &in)
	return float64(u.q[c%cellLen]) * float64(u.d)
}

// cellTop is the largest magnitude in the cell of column c, give or take rounding.
func cellTop(x []float32, c int) float64 {
	top := 0.0
	for _, v := range x[c/cellLen*cellLen : min(len(x), (c/cellLen+1)*cellLen)] {
		top = max(top, math.Abs(float64(v)))
	}
	return top * 1.001
}

// The digits are the same in every instruction set, and so are sums of them.
func TestSplitWeightsAgainstGeneric(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(5)
		const g = 9
		p, d := make([]float32, g*PageLen), make([]byte, 2*PageLen)
		scales := make([]uint16, PageLen)
		for i := range p {
			p[i] = float32(math.Exp(-20 * r.Float64()))
		}
		clear(p[PageLen : 2*PageLen]) // nothing at all
		for i := range PageLen {
			p[2*PageLen+i] *= 1e-33 // next to nothing
		}
		p[3*PageLen] = 0
		x := make([]float32, PageLen)
		for i := range x {
			x[i] = float32(r.Float64())
		}
		x[0] = float32(math.NaN()) // counts where its weight is not 0
		for i := range g {
			if i != 3 {
				p[i*PageLen] = 0
			}
		}
		f32ToF16Generic(scales, x)
		for i, h := range scales {
			d[2*i], d[2*i+1] = byte(h), byte(h>>8)
		}
		want, got := make([]byte, g*2*PageLen), make([]byte, g*2*PageLen)
		wantS, gotS := make([]float32, g), guarded(g)
		splitWeightsGeneric(want, wantS, p, PageLen, g, d)
		best.splitWeights(got, gotS, p, PageLen, g, d)
		checkGuard(t, gotS)
		for i := range g {
			if wantS[i] != gotS[i] {
				t.Fatalf("scale %d is %g, want %g", i, gotS[i], wantS[i])
			}
			for j := range PageLen {
				n, m := 0, 0
				for _, x := range []struct {
					from []byte
					to   *int
				}{{want, &n}, {got, &m}} {
					*x.to = int(x.from[i*2*PageLen+j])<<7 + int(x.from[i*2*PageLen+PageLen+j])
				}
				if n-m < -1 || n-m > 1 { // the product may be rounded once or twice
					t.Fatalf("weight %d of row %d is %d, want %d", j, i, m, n)
				}
			}
		}
	})
}

// What is no number shows, whatever weight it has.
func TestAttentionQ8ShowsNaN(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const d = 64
		s := NewRowsQ8(2, d)
		x := normals(random(1), 64*d)
		keys, values := make([]byte, PageBytesQ8(d)), make([]byte, PageBytesQ8(d))
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			fillQ8(s, keys, values, x, x, 64, d)
			row := append([]float32(nil), x[:d]...)
			row[40] = float32(bad)
			s.PutKeyQ8(keys, 7, row)
			s.PutValueQ8(values, 7, row)
			q, scores := normals(random(2), 2*d), make([]float32, 2*64)
			s.Set(q, 2, d)
			s.ScoresQ8(scores, 64, keys, 64, d, 0, 1)
			for _, i := range []int{7, 64 + 7} {
				if v := float64(scores[i]); !math.IsNaN(v) && !math.IsInf(v, 0) {
					t.Errorf("a key with %g in it scores %g", bad, v)
				}
			}
			acc, p := make([]float32, 2*d), make([]float32, 2*64)
			p[7], p[8], p[64+9] = 1e-3, 1, 1 // the second row does not see it
			s.WeightedSumQ8(acc, p, 64, 2, values, d, 0)
			if v := float64(acc[40]); !math.IsNaN(v) && !math.IsInf(v, 0) {
				t.Errorf("a value with %g in it adds up to %g", bad, v)
			}
			for i, v := range acc[d:] {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Errorf("column %d of another row is %g", i, v)
				}
			}
		}
	})
}
