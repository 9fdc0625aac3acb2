package kernels

import (
	"math"
	"testing"
)

// goRMSNorm normalises rows of cols columns.
func goRMSNorm(x []float32, cols int, w []float32, eps float64) []float64 {
	out := make([]float64, len(x))
	for r := 0; r < len(x); r += cols {
		sum := 0.0
		for _, v := range x[r : r+cols] {
			sum += float64(v) * float64(v)
		}
		scale := 1 / math.Sqrt(sum/float64(cols)+eps)
		for i := range cols {
			out[r+i] = float64(x[r+i]) * scale * float64(w[i])
		}
	}
	return out
}

// Sums of n squares in float32 by many threads are off by less than 40 roundings,
// of which the root halves the effect; rsqrt and three products add some.
const normBound = 24 * 0x1p-23

func TestRMSNorm(t *testing.T) {
	l := BatchLayout{MaxRows: 12, MaxLogit: 3}
	eachTarget(t, func(t *testing.T, r *rig) {
		checkRMSNorm(t, r, RMSNorm{Cols: 64}, 1)
		checkRMSNorm(t, r, RMSNorm{Cols: 80}, 6)
		checkRMSNorm(t, r, RMSNorm{Cols: 4096}, 2)
		checkRMSNorm(t, r, RMSNorm{Cols: 5120, T: 1}, 1)
		checkRMSNorm(t, r, RMSNorm{Cols: 8192, T: 8}, 3)
		checkRMSNorm(t, r, RMSNorm{Cols: 100, T: 4}, 7)
		checkRMSNorm(t, r, RMSNorm{Cols: 30, T: 2}, 3)
		checkRMSNorm(t, r, RMSNorm{Cols: 7}, 9)
		checkRMSNorm(t, r, RMSNorm{Cols: 3584, T: 64, Select: true, Batch: l}, 3)
		checkRMSNorm(t, r, RMSNorm{Cols: 48, Select: true, Batch: l}, 2)
	})
}

// checkRMSNorm runs c over random numbers; with Select, over rows of twice as many.
func checkRMSNorm(t *testing.T, r *rig, c RMSNorm, rows int) {
	t.Helper()
	const eps = 1e-5
	from := rows
	if c.Select {
		from = min(2*rows, c.Batch.MaxRows)
	}
	x, w := normal(r.rand, from*c.Cols, 5), normal(r.rand, c.Cols, 1)
	a := RMSNormArgs{X: r.put(x), Weights: r.put(w), Eps: eps, Rows: rows}
	read := x
	if c.Select {
		sel := choose(r.rand, from, rows)
		a.Batch = r.put(makeBatch(c.Batch, selectBatch(from, sel)))
		read = nil
		for _, s := range sel {
			read = append(read, x[int(s)*c.Cols:][:c.Cols]...)
		}
	}
	want := goRMSNorm(read, c.Cols, w, eps)
	if c.T == 0 {
		a.Out = r.alloc(4 * rows * c.Cols)
		r.launch(c, c.Launch(a))
		near(t, c.Name(), r.f32(a.Out, rows*c.Cols), want, 1e-30, normBound)
		return
	}
	p := Pack{c.T, c.Cols}
	a.Out = r.alloc(int(p.Bytes(rows)))
	r.launch(c, c.Launch(a))
	near(t, c.Name(), r.packed(a.Out, p, rows), want, 0x1p-25, normBound+0x1p-11)
}

func TestRMSNormOfNothing(t *testing.T) {
	c := RMSNorm{Cols: 64}
	eachTarget(t, func(t *testing.T, r *rig) {
		x := r.put(make([]float32, 64))
		r.launch(c, c.Launch(RMSNormArgs{Out: x, X: x, Weights: r.put(normal(r.rand, 64, 1)), Eps: 1e-6, Rows: 1}))
		near(t, "zeroes", r.f32(x, 64), make([]float64, 64), 0, 0)
	})
}
