package cpubackend

import (
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// Angles are right to the last bit of float32 even far into the context, columns
// past Dims stay, and both pairings are what they say.
func TestRotate(t *testing.T) {
	freqs := []float64{1, 0.1, 0.0123}
	for _, neox := range []bool{false, true} {
		p := &plan.RopeParams{NEOX: neox, Dims: 6, Freqs: freqs, MScale: 1.25}
		table := newRopeTable(p, 3000)
		for _, pos := range []int32{0, 255, 256, 131071} {
			table.cover(pos)
			x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1} // two heads of 8
			in := append([]float32{}, x...)
			table.rotate(x, 8, pos)
			for h := 0; h < 16; h += 8 {
				for i, f := range freqs {
					a, b := h+2*i, h+2*i+1
					if neox {
						a, b = h+i, h+i+3
					}
					sin, cos := math.Sincos(float64(pos) * f)
					wantA := 1.25 * (float64(in[a])*cos - float64(in[b])*sin)
					wantB := 1.25 * (float64(in[a])*sin + float64(in[b])*cos)
					if math.Abs(float64(x[a])-wantA) > 4e-6 || math.Abs(float64(x[b])-wantB) > 4e-6 {
						t.Errorf("neox=%v position %d pair %d: %v %v, want %v %v", neox, pos, i, x[a], x[b], wantA, wantB)
					}
				}
				if x[h+6] != in[h+6] || x[h+7] != in[h+7] {
					t.Errorf("neox=%v: columns past Dims changed", neox)
				}
			}
		}
	}
}
