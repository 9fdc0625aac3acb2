package kernels

import (
	"math"
	"testing"
)

// Quantisation must be the same bits on every machine.
func TestQuantizeExact(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := random(seed)
			rows, k := 1+r.IntN(4), 32*(1+r.IntN(9))
			x := normals(r, rows*k)
			switch seed % 5 {
			case 1: // ties, zeros and tiny cells
				for i := range x {
					x[i] = float32(r.IntN(509)-254) / 2
				}
				x[3] = 127
				clear(x[:len(x)/3])
				x[0] = 1e-36
			case 2:
				for i := range x {
					x[i] *= 1e38
				}
			case 3:
				x[r.IntN(len(x))] = float32(math.Inf(-1))
				x[r.IntN(len(x))] = float32(math.NaN())
			}
			a := NewAct(rows, k)
			a.Set(x, rows, k)
			a.Quantize(0, rows)
			want := make([]cell, len(x)/32)
			quantizeGeneric(want, make([]float32, len(want)), make([]float32, len(want)), x)
			for i := range want {
				got := a.row(32 * i / k)[i%(k/32)]
				if got.q != want[i].q || got.c != want[i].c || got.c2 != want[i].c2 ||
					!same(got.d, want[i].d) || !same(got.m, want[i].m) || !same(got.m2[0], want[i].m2[0]) || !same(got.m2[1], want[i].m2[1]) {
					t.Fatalf("seed %d cell %d:\n got %+v\nwant %+v\nx %v", seed, i, got, want[i], x[32*i:32*i+32])
				}
			}
		}
	})
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestQuantizeError(t *testing.T) {
	r := random(1)
	x := normals(r, 64*1024)
	a := NewAct(64, 1024)
	a.Set(x, 64, 1024)
	a.Quantize(0, 64)
	var top, err, sum float64
	for i, v := range x {
		c := &a.row(i / 1024)[i%1024/32]
		e := math.Abs(float64(c.d)*float64(c.q[i%32]) - float64(v))
		top = max(top, e/float64(c.d))
		err, sum = err+e*e, sum+float64(v)*float64(v)
	}
	if top > 0.5001 { // half a step
		t.Errorf("largest error is %g steps", top)
	}
	// Uniform in a step of about 2.1/127: 2.1/127/sqrt(12) = 0.0048.
	if rms := math.Sqrt(err / sum); rms > 0.006 {
		t.Errorf("relative error %g", rms)
	}
}
