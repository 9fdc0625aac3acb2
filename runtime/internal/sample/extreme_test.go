package sample

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPickUnderAnySetting draws from strange logits under strange settings. What
// is picked must be a token that is allowed and among the top k, and never one
// that is less likely than all that min-p and top-p keep.
func TestPickUnderAnySetting(t *testing.T) {
	strange := []float32{0, 1, -1, 1e-38, 3e38, -3e38, 88, -104, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "vocab")
		logits := make([]float32, n)
		for i := range logits {
			logits[i] = rapid.OneOf(rapid.Float32Range(-20, 20), rapid.SampledFrom(strange), rapid.Just[float32](2)).Draw(t, "logit")
		}
		p := Params{
			Temperature: rapid.SampledFrom([]float64{5e-324, 1e-300, 1e-39, 1e-30, 1e-3, 0.5, 1, 100}).Draw(t, "temperature"),
			TopK:        rapid.SampledFrom([]int{0, 1, 2, 39, 1 << 30}).Draw(t, "top-k"),
			TopP:        rapid.SampledFrom([]float64{0, 5e-324, 1e-300, 0.5, 1 - 1e-16, 1}).Draw(t, "top-p"),
			MinP:        rapid.SampledFrom([]float64{0, 1e-300, 0.1, 1}).Draw(t, "min-p"),
			Seed:        rapid.Uint64().Draw(t, "seed"),
		}
		if err := p.Validate(n); err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(logits)
		id, err := NewChain(p, n).Pick(logits, 3)
		if !slices.EqualFunc(before, logits, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Fatalf("Pick changed the logits")
		}
		order := allowed(logits)
		if len(order) == 0 {
			if !errors.Is(err, ErrNoCandidate) {
				t.Fatalf("picked %d, %v", id, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		rank := slices.Index(order, id)
		best, got := logits[order[0]], logits[id]
		weight := float32(math.Exp(float64(got-best) / max(p.Temperature, 1/math.MaxFloat32))) // 1 for those as good as the best
		switch {
		case rank < 0:
			t.Fatalf("picked %d, which is forbidden", id)
		case p.TopK > 0 && rank >= p.TopK:
			t.Fatalf("picked number %d of the most likely", rank)
		case (p.TopP > 0 && p.TopP < 1e-10 || p.MinP == 1) && got != best && weight != 1, weight < 1e-30:
			t.Fatalf("picked %v, where only %v is likely", got, best)
		}
	})
}

// allowed lists the ids that may be picked, the most likely first, ties by id.
func allowed(logits []float32) (order []int32) {
	for id, l := range logits {
		if l == l && !math.IsInf(float64(l), -1) {
			order = append(order, int32(id))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	return order
}

func TestBiasForbidsEverything(t *testing.T) {
	p := Params{Temperature: 1, Bias: map[int32]float32{}}
	for id := range int32(5) {
		p.Bias[id] = float32(math.Inf(-1))
	}
	c := NewChain(p, 5)
	logits := []float32{1, 2, 3, 4, 5}
	c.Adjust(logits, nil)
	if id, err := c.Pick(logits, 0); !errors.Is(err, ErrNoCandidate) {
		t.Errorf("picked %d, %v", id, err)
	}
}

// TestTopLogprobsCost wants one allocation a token for the list that is handed
// out, and the same list as sorting gives, also for more than there are.
func TestTopLogprobsCost(t *testing.T) {
	logits := make([]float32, 50)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range logits {
		logits[i] = float32(rng.IntN(20)) // ties
	}
	logits[7], logits[8] = float32(math.Inf(-1)), float32(math.NaN())
	for _, n := range []int{1, 20, MaxTopLogprobs} {
		c := NewChain(Params{TopLogprobs: n}, len(logits))
		c.Begin(logits)
		_, top := c.Logprob(0)
		order := allowed(logits)
		order = order[:min(n, len(order))]
		for i, l := range top {
			if l.ID != order[i] {
				t.Errorf("top %d: number %d is token %d, want %d", n, i, l.ID, order[i])
			}
		}
		if len(top) != len(order) {
			t.Errorf("top %d: %d tokens, want %d", n, len(top), len(order))
		}
		if a := testing.AllocsPerRun(20, func() { c.Begin(logits) }); a != 1 {
			t.Errorf("top %d: %v allocations a token", n, a)
		}
	}
}
