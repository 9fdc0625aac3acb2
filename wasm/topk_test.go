package wasm

import (
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
			all = append(all, candidate{v, int32(i)})
		}
	}
	slices.SortFunc(all, before)
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
