package kernels

import (
	"math"
	"testing"
)

func TestOuter(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(3)
		for _, s := range []struct{ q, m, n int }{{16, 4, 1}, {32, 1, 3}, {48, 7, 64}, {64, 64, 33}, {112, 10, 5}, {16, 130, 17}} {
			m4 := (s.m + OuterRows - 1) / OuterRows * OuterRows
			for _, turned := range []bool{false, true} {
				rows, columns := s.n, 1
				if turned {
					rows, columns = 1, m4
				}
				a, b, start := normals(r, m4*s.n), normals(r, s.n*s.q), normals(r, m4*s.q)
				set, add := guarded(m4*s.q), guarded(m4*s.q)
				copy(add, start)
				Outer(set, a, rows, columns, b, s.q, s.m, s.n, false)
				Outer(add, a, rows, columns, b, s.q, s.m, s.n, true)
				checkGuard(t, set)
				checkGuard(t, add)
				for i := range s.m {
					for k := range s.q {
						var want, size float64
						for j := range s.n {
							x := float64(a[i*rows+j*columns]) * float64(b[j*s.q+k])
							want, size = want+x, size+math.Abs(x)
						}
						at := i*s.q + k
						near(t, "Outer", s.n, at, set[at], want, size*float64(s.n)*0x1p-24)
						want, size = want+float64(start[at]), size+math.Abs(float64(start[at]))
						near(t, "Outer added", s.n, at, add[at], want, size*float64(s.n+1)*0x1p-24)
					}
				}
			}
		}
	})
}

func TestRowsOfTile(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(4)
		for _, s := range []struct{ q, n int }{{16, 1}, {32, 64}, {48, 5}, {112, 33}} {
			x, top, start := guarded(s.q*s.n), guarded(s.q), normals(r, s.q)
			copy(x, normals(r, s.q*s.n))
			for i := range x {
				x[i] *= 100
			}
			copy(top, start)
			x[3] = -1e37 // as masks have it
			before := append([]float32(nil), x...)
			MaxRows(top, x, s.n)
			sum := guarded(s.q)
			copy(sum, start)
			ExpRows(x, top, sum, s.n, 0.125)
			for i := range s.q {
				want := float64(start[i])
				for j := range s.n {
					want = max(want, float64(before[j*s.q+i]))
				}
				near(t, "MaxRows", s.n, i, top[i], want, 0)
				total, size := float64(start[i]), math.Abs(float64(start[i]))
				for j := range s.n {
					at := j*s.q + i
					e := (float64(before[at]) - want) * 0.125
					v := math.Exp(e)
					bound := v * (3e-7 + math.Abs(e)*0x1p-23)
					if e < -87 {
						v, bound = 0, 1e-37
					}
					near(t, "ExpRows", s.n, at, x[at], v, bound)
					total, size = total+v, size+v
				}
				near(t, "sum of ExpRows", s.n, i, sum[i], total, size*(float64(s.n)+8)*0x1p-23)
			}
			f, c := normals(r, s.q), append([]float32(nil), x...)
			ScaleRows(x, f, s.n)
			for i := range x {
				near(t, "ScaleRows", s.n, i, x[i], float64(c[i]*f[i%s.q]), 0)
			}
			for _, g := range [][]float32{x, top, sum} {
				checkGuard(t, g)
			}
			x[s.q*s.n-1], top[0], sum[0] = float32(math.NaN()), 1, 0
			ExpRows(x, top, sum, s.n, 1)
			if !math.IsNaN(float64(sum[s.q-1])) {
				t.Error("a score that is no number does not show")
			}
		}
	})
}
