package kernels

import (
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// lengths cover every remainder of every vector width.
func lengths(r interface{ IntN(int) int }) []int {
	n := []int{1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 896, 1000}
	return append(n, 130+r.IntN(300))
}

func near(t *testing.T, what string, n, i int, got float32, want, bound float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= bound) && !(math.IsNaN(want) && got != got) {
		t.Fatalf("%s of %d: element %d: got %g, want %g, off by %g, bound %g", what, n, i, got, want, float64(got)-want, bound)
	}
}

func TestRMSNorm(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(1)
		for _, n := range lengths(r) {
			x, w := normals(r, n), normals(r, n)
			var sum float64
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			scale := 1 / math.Sqrt(sum/float64(n)+1e-5)
			dst := guarded(n)
			RMSNorm(dst, x, w, 1e-5)
			same := append([]float32(nil), x...)
			RMSNorm(same, same, w, 1e-5)
			for i := range dst {
				want := float64(x[i]) * scale * float64(w[i])
				// The sum of squares rounds n/4 times at worst and enters by its root.
				near(t, "RMSNorm", n, i, dst[i], want, math.Abs(want)*(float64(n)/8+4)*0x1p-24)
				if same[i] != dst[i] {
					t.Fatalf("in place differs at %d of %d", i, n)
				}
			}
			checkGuard(t, dst)
		}
	})
}

func TestAddSiLU(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(2)
		for _, n := range lengths(r) {
			x, g := normals(r, n), normals(r, n)
			for i := range g {
				g[i] *= 30
			}
			if n > 4 {
				g[0], g[1], g[2] = 200, -200, 0
			}
			dst := guarded(n)
			copy(dst, g)
			Add(dst, x)
			for i := range dst {
				near(t, "Add", n, i, dst[i], float64(g[i]+x[i]), 0)
			}
			checkGuard(t, dst)
			SiLUMul(dst, g, x)
			for i := range dst {
				v := float64(g[i])
				want := v / (1 + math.Exp(-v)) * float64(x[i])
				// Three roundings and the exponential's 2e-7; exp(-g) overflows
				// to infinity at g < -88.7, where the result is below 1e-36.
				near(t, "SiLUMul", n, i, dst[i], want, math.Abs(want)*5e-7+1e-35)
			}
			checkGuard(t, dst)
		}
	})
}

func TestRope(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(3)
		for _, half := range []int{1, 2, 3, 4, 8, 16, 20, 32, 33, 64, 96, 128} {
			x := normals(r, 2*half)
			cos, sin := make([]float32, half), make([]float32, half)
			for i := range cos {
				s, c := math.Sincos(r.Float64() * 7)
				cos[i], sin[i] = float32(c), float32(s)
			}
			normal, neox := guarded(2*half), guarded(2*half)
			copy(normal, x)
			copy(neox, x)
			RopeNormal(normal, cos, sin)
			RopeNEOX(neox, cos, sin)
			for i := range cos {
				c, s := float64(cos[i]), float64(sin[i])
				turn := func(what string, y []float32, i, j int) {
					a, b := float64(x[i]), float64(x[j])
					bound := (math.Abs(a) + math.Abs(b)) * 0x1p-23
					near(t, what, half, i, y[i], a*c-b*s, bound)
					near(t, what, half, j, y[j], a*s+b*c, bound)
				}
				turn("RopeNormal", normal, 2*i, 2*i+1)
				turn("RopeNEOX", neox, i, i+half)
			}
			checkGuard(t, normal)
			checkGuard(t, neox)
		}
	})
}

func TestHalfPrecision(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		wide := make([]float32, len(all))
		F16ToF32(wide, all)
		for i, v := range wide {
			if !same(v, tensor.F16ToF32(all[i])) {
				t.Fatalf("%#04x widens to %g, want %g", i, v, tensor.F16ToF32(all[i]))
			}
		}
		r := random(4)
		for _, n := range lengths(r) {
			x := make([]float32, n)
			for i := range x {
				x[i] = math.Float32frombits(r.Uint32())
				if i%2 == 0 { // within the range of half precision, subnormals too
					x[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(44)-28))
				}
			}
			got, back := make([]uint16, n), guarded(n)
			F32ToF16(got, x)
			F16ToF32(back, got)
			for i, h := range got {
				if want := tensor.F32ToF16(x[i]); h != want && x[i] == x[i] {
					t.Fatalf("%g rounds to %#04x, want %#04x", x[i], h, want)
				}
				if !same(back[i], tensor.F16ToF32(h)) {
					t.Fatalf("%#04x widens to %g", h, back[i])
				}
			}
			checkGuard(t, back)
		}
	})
}

func TestSoftmaxPieces(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(5)
		for _, n := range lengths(r) {
			x := guarded(n)
			for i := range x {
				x[i] = float32(r.NormFloat64() * 20)
			}
			x[r.IntN(n)] = float32(math.Inf(-1))
			top := math.Inf(-1)
			for _, v := range x {
				top = max(top, float64(v))
			}
			if got := Max(x); float64(got) != top {
				t.Fatalf("Max of %d is %g, want %g", n, got, top)
			}
			if math.IsInf(top, -1) {
				continue
			}
			was := append([]float32(nil), x...)
			sum := ExpSum(x, float32(top))
			var want float64
			for i, v := range was {
				e := math.Exp(float64(v - float32(top)))
				near(t, "ExpSum", n, i, x[i], e, e*2e-7+1.2e-38)
				want += e
			}
			near(t, "ExpSum's sum", n, 0, sum, want, want*(2e-7+float64(n)*0x1p-24))
			checkGuard(t, x)
		}
		x := []float32{0, float32(math.NaN()), -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15}
		if sum := ExpSum(x, 0); sum == sum {
			t.Errorf("a NaN in ExpSum was lost: %g", sum)
		}
	})
}

func TestExpEverywhere(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := make([]float32, 1<<16)
		for i := range x {
			x[i] = -88 * float32(i) / float32(len(x)-1)
		}
		was := append([]float32(nil), x...)
		ExpSum(x, 0)
		for i, v := range was {
			e := math.Exp(float64(v))
			near(t, "exp", len(x), i, x[i], e, e*2e-7+1.2e-38)
		}
		if x[0] != 1 {
			t.Errorf("exp(0) = %g", x[0])
		}
	})
}

func TestReadSumAndPeaks(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(6)
		b := make([]byte, 5000)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for n := 0; n < len(b); n += 1 + n/7 {
			if got, want := ReadSum(b[:n]), readSumGeneric(b[:n]); got != want {
				t.Fatalf("%d bytes: %x, want %x", n, got, want)
			}
		}
		if PeakVNNI(1000) < 8000 || PeakFMA(1000) < 8000 {
			t.Error("too few operations counted")
		}
	})
}

const guardValue = 12345.678

// guarded makes n elements followed by a guard that checkGuard looks at.
func guarded(n int) []float32 {
	x := make([]float32, n+64)
	for i := range x[n:] {
		x[n+i] = guardValue
	}
	return x[:n]
}

func checkGuard(t *testing.T, x []float32) {
	t.Helper()
	for i, v := range x[len(x) : len(x)+64] {
		if v != guardValue {
			t.Fatalf("element %d past the end was overwritten with %g", i, v)
		}
	}
}
