package kernels

import (
	"encoding/binary"
	"testing"
)

// TestStream checks that every byte was read once, by the exclusive or, and copied.
func TestStream(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, c := range []Stream{{Unroll: 4}, {Unroll: 2, Copy: true}} {
			const blocks = 3
			n := 5 * c.Chunk()
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(r.rand.Uint32())
			}
			src, dst, words := r.put(data), r.alloc(int(n)), r.alloc(blocks*streamThreads*4)
			r.launch(c, c.Launch(src, dst, words, n, blocks))
			var want, got uint32
			for i := 0; i < len(data); i += 4 {
				want ^= binary.LittleEndian.Uint32(data[i:])
			}
			back := r.get(words, blocks*streamThreads*4)
			for i := 0; i < len(back); i += 4 {
				got ^= binary.LittleEndian.Uint32(back[i:])
			}
			if got != want {
				t.Errorf("%s: %#x, want %#x", c.Name(), got, want)
			}
			if c.Copy && string(r.get(dst, int(n))) != string(data) {
				t.Errorf("%s: the copy differs", c.Name())
			}
		}
	})
}

// TestMatrixPeak checks that the sums grow with the rounds as products of numbers
// between 1 and 2 do.
func TestMatrixPeak(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, c := range []MatrixPeak{{}, {Wgmma: true}} {
			if c.Wgmma && !r.target.Hopper() {
				continue
			}
			for _, rounds := range []int{1, 3} {
				out := r.alloc(2 * peakThreads * 4)
				r.launch(c, c.Launch(out, 2, rounds))
				total := 0.0
				for _, v := range r.f32(out, 2*peakThreads) {
					total += float64(v)
				}
				if mean := total / (c.Flops(2, rounds) / 2); !(mean > 1 && mean < 4) {
					t.Errorf("%s, %d rounds: products of %v on average", c.Name(), rounds, mean)
				}
			}
		}
	})
}
