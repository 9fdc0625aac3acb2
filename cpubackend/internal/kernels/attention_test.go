package kernels

import (
	"math"
	"testing"
)

type page struct{ g, n, d int }

var pages = []page{{1, 1, 8}, {1, 64, 64}, {2, 5, 16}, {3, 63, 40}, {4, 64, 128}, {7, 17, 96}, {8, 33, 80}, {5, 9, 33}, {6, 3, 256}, {1, 2, 300}}

func TestAttentionAgainstOracle(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for i, p := range pages {
			checkAttention(t, p, uint64(i))
		}
	})
}

func checkAttention(t *testing.T, p page, seed uint64) {
	r := random(seed)
	g, n, d := p.g, p.n, p.d
	q, k, w := normals(r, g*d), normals(r, n*d), normals(r, g*(n+3))
	half := make([]uint16, n*d)
	f32ToF16Generic(half, k)
	f16ToF32Generic(k, half)
	stride := n + 3
	s16, s32 := guarded(g*stride), guarded(g*stride)
	ScoresF16(s16, stride, q, g, half, n, d, 0, 0.125)
	ScoresF32(s32, stride, q, g, k, n, d, 0, 0.125)
	a16, a32 := guarded(g*d), guarded(g*d)
	start := normals(r, g*d)
	copy(a16, start)
	copy(a32, start)
	WeightedSumF16(a16, w, stride, g, half, n, d, 0)
	WeightedSumF32(a32, w, stride, g, k, n, d, 0)
	for i := range g {
		for j := range n {
			var want, size float64
			for c := range d {
				v := 0.125 * float64(q[i*d+c]) * float64(k[j*d+c])
				want, size = want+v, size+math.Abs(v)
			}
			bound := size * (float64(d)/4 + 5) * 0x1p-24 // sums in four lanes or more
			near(t, "ScoresF16", n, i*stride+j, s16[i*stride+j], want, bound)
			near(t, "ScoresF32", n, i*stride+j, s32[i*stride+j], want, bound)
		}
		for c := range d {
			want := float64(start[i*d+c])
			size := math.Abs(want)
			for j := range n {
				v := float64(w[i*stride+j]) * float64(k[j*d+c])
				want, size = want+v, size+math.Abs(v)
			}
			bound := size * float64(n+2) * 0x1p-24 // one addition per position
			near(t, "WeightedSumF16", n, i*d+c, a16[i*d+c], want, bound)
			near(t, "WeightedSumF32", n, i*d+c, a32[i*d+c], want, bound)
		}
	}
	for _, x := range [][]float32{s16, s32, a16, a32} {
		checkGuard(t, x)
	}
	for i := range g - 1 { // between the rows of scores nothing is written
		for _, v := range append(append([]float32(nil), s16[i*stride+n:(i+1)*stride]...), s32[i*stride+n:(i+1)*stride]...) {
			if v != 0 {
				t.Fatalf("%v: scores written past position n: %g", p, v)
			}
		}
	}
}

func TestAttentionAllocatesNothing(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		q, k, half := make([]float32, 4*64), make([]float32, 64*64), make([]uint16, 64*64)
		s, cos, x := make([]float32, 4*64), make([]float32, 32), make([]float32, 64)
		q8, page := NewRowsQ8(4, 64), make([]byte, PageBytesQ8(64))
		if n := testing.AllocsPerRun(20, func() {
			q8.PutKeyQ8(page, 3, x)
			q8.Set(q, 4, 64)
			q8.ScoresQ8(s, 64, page, 64, 64, 0, 1)
			q8.PutValueQ8(page, 3, x)
			q8.WeightedSumQ8(q, s, 64, 4, page, 64, 0)
			ScoresF16(s, 64, q, 4, half, 64, 64, 0, 1)
			ScoresF32(s, 64, q, 4, k, 64, 64, 0, 1)
			WeightedSumF16(q, s, 64, 4, half, 64, 64, 0)
			WeightedSumF32(q, s, 64, 4, k, 64, 64, 0)
			ExpSum(s, Max(s))
			RMSNorm(x, x, x, 1e-5)
			Add(x, x)
			SiLUMul(x, x, x)
			RopeNormal(x, cos, cos)
			RopeNEOX(x, cos, cos)
			F32ToF16(half[:64], x)
			F16ToF32(x, half[:64])
		}); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}
