package kernels

import (
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Every function that packs tiles stores the bytes that the plain version does,
// and its scales and constants to the last bit.
func TestPackAgainstPlain(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			f := best.pack[dt]
			if f == nil {
				continue
			}
			const cells = 16
			m := randomMat(t, random(uint64(dt)), dt, tileRows, cells*cellLen, -1, heap)
			got, want := &takeScratch().tiles[0], &takeScratch().tiles[0] // aligned
			*got, *want = tile{}, tile{}
			f(&got.q[0][0][0][0], &got.d[0][0], &got.m[0][0], &m.data[0], m.stride, cells, &m.data[0], 0)
			want.packGeneric(dt, m.data, m.stride, cells)
			lines := cells
			if halfScales(dt) {
				lines *= 2
			}
			if got.q != want.q {
				t.Errorf("%v: weights differ", dt)
			}
			for i := range lines {
				for row := range tileRows {
					if !same(got.d[i][row], want.d[i][row]) {
						t.Fatalf("%v: scale %d of row %d is %g, want %g", dt, i, row, got.d[i][row], want.d[i][row])
					}
					if hasConstant(dt) && got.m[i][row] != want.m[i][row] {
						t.Fatalf("%v: constant %d of row %d is %g, want %g", dt, i, row, got.m[i][row], want.m[i][row])
					}
				}
			}
		}
	})
}

// MXFP4's scale is all of the exponents, subnormal and infinite ones too.
func TestScalesOfMXFP4(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		const n = 256
		d := tensor.Desc{Name: "w", DType: tensor.MXFP4, Shape: []int{n, 32}}
		data := make([]byte, d.Bytes())
		for e := range n {
			data[17*e], data[17*e+1] = byte(e), 2 // the first weight is 1
		}
		m, err := NewMat(d, data)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 32*5)
		for r := range 5 {
			x[32*r] = 1
		}
		a := NewAct(5, 32)
		a.Set(x, 5, 32)
		a.Quantize(0, 5)
		for _, rows := range []int{1, 5} {
			y := make([]float32, 5*n)
			m.Mul(y, n, a, 0, rows, 0, n)
			for e := range 255 {
				want := math.Ldexp(1, e-127)
				if got := float64(y[e]); math.Abs(got-want) > want*1e-6+0x1p-148 {
					t.Errorf("%d rows: exponent %d gives %g, want %g", rows, e, got, want)
				}
			}
			if v := float64(y[255]); !math.IsInf(v, 0) && !math.IsNaN(v) {
				t.Errorf("exponent 255 gives %g, want no number", v)
			}
		}
	})
}

func TestEvenly(t *testing.T) {
	for rows := 1; rows < 2000; rows += 7 {
		step := evenly(rows, 288)
		if step%tileColumns != 0 || step > 288+tileColumns || step < min(rows, 144) {
			t.Errorf("%d rows in steps of %d", rows, step)
		}
	}
}
