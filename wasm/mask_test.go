package wasm

import (
	"math"
	"math/rand/v2"
	"testing"
)

// applyMask does bit by bit what it says, whatever runs the mask has.
func TestApplyMask(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		n := 1 + r.IntN(2000)
		mask := make([]uint32, (n+31)/32)
		for w := 0; w < len(mask); {
			word := []uint32{0, math.MaxUint32, r.Uint32()}[r.IntN(3)]
			for run := 1 + r.IntN(9); run > 0 && w < len(mask); run, w = run-1, w+1 {
				mask[w] = word
			}
		}
		logits := ramp(n)
		applyMask(logits, mask)
		for i, v := range ramp(n) {
			if mask[i/32]>>(i%32)&1 == 0 {
				v = negInf
			}
			if logits[i] != v {
				t.Fatalf("logit %d of %d is %v, want %v", i, n, logits[i], v)
			}
		}
	}
}
