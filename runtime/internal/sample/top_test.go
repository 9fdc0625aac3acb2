package sample

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bestOf is the k best tokens, by sorting.
func bestOf(logits []float32, k int) (ids []int32, l []float32) {
	ids = make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	ids = ids[:min(k, len(ids))]
	for _, id := range ids {
		l = append(l, logits[id])
	}
	return ids, l
}

// TestPickTopIsPick draws with every kind of setting from the best tokens and from
// all of them: where PickTop chooses it must choose alike.
func TestPickTopIsPick(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	chosen, refused := 0, 0
	for n := range 3000 {
		vocab := 1 + r.IntN(400)
		p := Params{Temperature: []float64{0, 0.1, 0.7, 1, 3}[r.IntN(5)], Seed: r.Uint64(), Logprobs: true, TopLogprobs: r.IntN(4)}
		if r.IntN(2) == 0 {
			p.TopK = 1 + r.IntN(50)
		}
		if r.IntN(2) == 0 {
			p.MinP = r.Float64() * 0.3
		}
		if r.IntN(2) == 0 {
			p.TopP = r.Float64()
		}
		if r.IntN(2) == 0 {
			p.RepetitionPenalty, p.FrequencyPenalty = 1+r.Float64(), r.Float64()
		}
		logits := make([]float32, vocab)
		for i := range logits {
			logits[i] = float32(math.Round(r.NormFloat64()*16) / 4) // some are equal
			if r.IntN(9) == 0 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		history := make([]int32, r.IntN(30))
		for i := range history {
			history[i] = int32(r.IntN(vocab))
		}
		k := min(vocab, 1+r.IntN(100))
		narrow, wide := NewChain(p, vocab), NewChain(p, vocab)
		if !narrow.Narrow(k) {
			continue
		}
		ids, best := bestOf(logits, k)
		narrow.BeginTop(Top{IDs: ids, Logits: best}, logSumExp(logits))
		got, ok, err := narrow.PickTop(narrow.AdjustTop(ids, best, vocab, history), vocab, uint64(n))
		if !ok {
			refused++
			continue
		}
		chosen++
		wide.Begin(logits)
		wide.Adjust(logits, history)
		want, wantErr := wide.Pick(logits, uint64(n))
		if got != want || err != wantErr {
			t.Fatalf("%+v, %d of %d: token %d (%v), want %d (%v)", p, k, vocab, got, err, want, wantErr)
		}
		if err != nil {
			continue
		}
		l1, t1 := narrow.Logprob(got)
		l2, t2 := wide.Logprob(got)
		if l1 != l2 || !slices.Equal(t1, t2) {
			t.Fatalf("log-probabilities %v %v, want %v %v", l1, t1, l2, t2)
		}
	}
	if chosen < 500 || refused < 50 {
		t.Errorf("%d choices, %d refusals: the settings are not mixed enough", chosen, refused)
	}
}

// TestOnly excludes all but a few edited tokens.
func TestOnly(t *testing.T) {
	c := NewChain(Params{}, 100)
	top := c.AdjustTop([]int32{5, 6, 7}, []float32{3, 2, 1}, 100, nil)
	if id, ok, err := c.PickTop(top, 100, 0); id != 5 || !ok || err != nil {
		t.Errorf("%d %v %v", id, ok, err)
	}
	top.Logits[0], top.Logits[1] = -1, 2
	top.Only(2)
	if id, ok, err := c.PickTop(top, 100, 0); id != 6 || !ok || err != nil {
		t.Errorf("%d %v %v", id, ok, err)
	}
	top.Logits[0], top.Logits[1] = float32(math.Inf(-1)), float32(math.Inf(-1))
	top.Only(2)
	if _, ok, err := c.PickTop(top, 100, 0); !ok || err != ErrNoCandidate {
		t.Errorf("%v %v", ok, err)
	}
}

// TestTopAllocatesNothing chooses a hundred tokens.
func TestTopAllocatesNothing(t *testing.T) {
	p := Params{Temperature: 0.8, TopK: 40, TopP: 0.9, RepetitionPenalty: 1.1}
	c := NewChain(p, 1000)
	ids, l := make([]int32, 256), make([]float32, 256)
	history := []int32{1, 2, 3, 40}
	one := func() {
		for i := range ids {
			ids[i], l[i] = int32(i), float32(20)/float32(i+1)
		}
		c.PickTop(c.AdjustTop(ids, l, 1000, history), 1000, 3)
	}
	one()
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("%v allocations a token", n)
	}
}

// TestMinPAtTheEdge has tokens whose share of the best, as rounded, is MinP itself.
func TestMinPAtTheEdge(t *testing.T) {
	edge := float32(-1)
	for float64(float32(math.Exp(float64(edge)))) <= math.Exp(float64(edge)) {
		edge -= 0.01
	}
	p := Params{Temperature: 1, MinP: float64(float32(math.Exp(float64(edge))))}
	logits := []float32{0, edge, edge, edge}
	for step := range uint64(20) {
		want, err := NewChain(p, 4).Pick(slices.Clone(logits), step)
		if err != nil {
			t.Fatal(err)
		}
		ids, best := bestOf(logits, 2)
		narrow := NewChain(p, 4)
		if got, ok, err := narrow.PickTop(narrow.AdjustTop(ids, best, 4, nil), 4, step); ok && got != want || err != nil {
			t.Errorf("step %d: token %d (%v), want %d", step, got, err, want)
		}
	}
}
