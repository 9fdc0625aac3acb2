package kernels

import (
	"encoding/binary"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

func TestStream(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		checkStream(t, r, Stream{Unroll: 4})
		checkStream(t, r, Stream{Unroll: 2, Copy: true})
	})
}

// checkStream checks that every byte was read once, by the exclusive or, and copied.
func checkStream(t *testing.T, r *rig, c Stream) {
	t.Helper()
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

func TestMatrixPeak(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		checkMatrixPeak(t, r, MatrixPeak{})
		if r.target.Hopper() {
			checkMatrixPeak(t, r, MatrixPeak{Wgmma: true})
		}
	})
}

func checkMatrixPeak(t *testing.T, r *rig, c MatrixPeak) {
	t.Helper()
	for _, rounds := range []int{1, 3} {
		out := r.alloc(2 * peakThreads * 4)
		r.launch(c, c.Launch(out, 2, rounds))
		want := goMatrixPeak(c, rounds)
		near(t, c.Name(), r.f32(out, 2*peakThreads), append(want, want...), 0, 1e-4)
	}
}

// goMatrixPeak is what MatrixPeak leaves in the threads of a block, by the places of
// the fragments of mma.m16n8k16 and of tiles in shared memory with the 128-byte swizzle.
func goMatrixPeak(c MatrixPeak, rounds int) []float64 {
	x := func(thread, reg, odd int) float64 {
		word := uint32(thread+reg+1)*0x9E3779B9&0x03FF03FF | 0x3C003C00
		return float64(tensor.F16ToF32(uint16(word >> (16 * odd))))
	}
	first := func(warp, row, k int) float64 { // (16, 16) of a warp
		return x(32*warp+row%8*4+k%8/2, row/8+2*(k/8), k%2)
	}
	second := func(warp, k, n int) float64 { return x(32*warp+n*4+k%8/2, k/8, k%2) }
	ks, columns, times := 16, 8, peakSums*rounds
	if c.Wgmma {
		ks, columns, times = 64, peakN, rounds
		second = func(_, k, n int) float64 {
			chunk := n*8 + (k/8 ^ n%8)
			return x(chunk%peakThreads, k%8/2, k%2)
		}
	}
	out := make([]float64, peakThreads)
	for thread := range out {
		warp, lane := thread/32, thread%32
		for _, row := range []int{lane / 4, lane/4 + 8} {
			for n := range columns {
				if n%8/2 != lane%4 {
					continue
				}
				for k := range ks {
					out[thread] += float64(times) * first(warp, row, k%16) * second(warp, k, n)
				}
			}
		}
	}
	return out
}
