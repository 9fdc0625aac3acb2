package wasm

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sorted is topK by sorting everything.
func sorted(logits []float32, k int) []candidate {
	var all []candidate
	for i, v := range logits {
		if v >= lowest {
			all = append(all, newCandidate(v, int32(i)))
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if c := cmp.Compare(b.logit(), a.logit()); c != 0 {
			return c
		}
		return cmp.Compare(a.id(), b.id())
	})
	return all[:min(k, len(all))]
}

func TestTopK(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func(i, n int) float32{
		"normal":     func(int, int) float32 { return float32(r.NormFloat64()) },
		"equal":      func(int, int) float32 { return 1.5 },
		"two values": func(int, int) float32 { return float32(r.IntN(2)) },
		"rising":     func(i, _ int) float32 { return float32(i) },
		"falling":    func(i, _ int) float32 { return float32(-i) },
		"one peak":   func(i, n int) float32 { return float32(math.Max(0, 100-math.Abs(float64(i-n/2)))) },
		"excluded":   func(i, _ int) float32 { return [2]float32{negInf, float32(i % 7)}[min(1, i%1000)*0+b2i(i%500 == 3)] },
		"nan":        func(i, _ int) float32 { return [2]float32{float32(math.NaN()), 1}[i%2] },
		"all nan":    func(int, int) float32 { return float32(math.NaN()) },
		"negative":   func(int, int) float32 { return -5 - float32(math.Abs(r.NormFloat64())) },
		"around 0":   func(i, _ int) float32 { return []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45}[r.IntN(4)] },
		"inf":        func(i, _ int) float32 { return [2]float32{float32(math.Inf(1)), -3}[min(1, i%100)] },
	}
	for name, f := range shapes {
		for _, n := range []int{1, 7, 8, 100, 4095, 4096, 20_000, 151_936} {
			for _, k := range []int{1, 40, 256, 4096} {
				logits := make([]float32, n)
				for i := range logits {
					logits[i] = f(i, n)
				}
				if got, want := topK(nil, logits, k), sorted(logits, k); !slices.Equal(got, want) {
					t.Fatalf("%s of %d, k %d: %d found, %d wanted", name, n, k, len(got), len(want))
				}
			}
		}
	}
}

// The fast way finds the same blocks as the plain one, whatever limit and values
// are.
func TestBlocksAbove(t *testing.T) {
	odd := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1, -1, 1.0000001, -1.0000001, math.MaxFloat32, -math.MaxFloat32, negInf, -negInf, float32(math.NaN()), math.Float32frombits(0xffc00000)}
	r := rand.New(rand.NewPCG(9, 9))
	for _, limit := range odd {
		for _, n := range []int{32, 63, 3200, 40_000} {
			logits := make([]float32, n)
			few := odd[r.IntN(len(odd))]
			for i := range logits {
				logits[i] = few
				if r.IntN(50) == 0 {
					logits[i] = odd[r.IntN(len(odd))]
				}
			}
			var a, b [256]uint32
			n1, seen1 := blocksAbove(logits, limit, &a)
			n2, seen2 := blocksAboveGo(logits, limit, &b)
			if n1 != n2 || seen1 != seen2 || !slices.Equal(a[:n1], b[:n2]) {
				t.Errorf("limit %v, %d logits: %d of %d, plain %d of %d", limit, n, n1, seen1, n2, seen2)
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzTopK(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 200, 7}, uint16(2))
	f.Fuzz(func(t *testing.T, b []byte, k uint16) {
		logits := make([]float32, len(b)*64)
		for i := range logits {
			logits[i] = float32(int8(b[i%len(b)])) / float32(1+i/len(b)%3)
		}
		n := 1 + int(k)%4096
		if got, want := topK(nil, logits, n), sorted(logits, n); !slices.Equal(got, want) {
			t.Fatalf("%d found, %d wanted", len(got), len(want))
		}
	})
}

func BenchmarkTopK(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	var dst []candidate
	b.ResetTimer()
	for range b.N {
		dst = topK(dst[:0], logits, 256)
	}
}
