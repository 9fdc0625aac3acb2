package sample

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// distribution is the slow twin of Pick: the exact probabilities in float64.
func distribution(p Params, logits []float32) []float64 {
	type tok struct {
		id int
		w  float64
	}
	var ts []tok
	for id, l := range logits {
		if !math.IsInf(float64(l), -1) {
			ts = append(ts, tok{id, float64(l)})
		}
	}
	sort.SliceStable(ts, func(i, j int) bool { return ts[i].w > ts[j].w })
	if p.TopK > 0 && len(ts) > p.TopK {
		ts = ts[:p.TopK]
	}
	peak, sum := ts[0].w, 0.0
	for i := range ts {
		ts[i].w = math.Exp((ts[i].w - peak) / p.Temperature)
	}
	for i := range ts {
		if ts[i].w < p.MinP {
			ts = ts[:i]
			break
		}
		sum += ts[i].w
	}
	if p.TopP > 0 && p.TopP < 1 {
		mass := 0.0
		for i := range ts {
			if mass += ts[i].w; mass >= p.TopP*sum {
				ts = ts[:i+1]
				sum = mass
				break
			}
		}
	}
	out := make([]float64, len(logits))
	for _, t := range ts {
		out[t.id] = t.w / sum
	}
	return out
}

// TestPickDistribution draws many tokens under random settings and compares the
// counts with the exact distribution.
func TestPickDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 40 {
		logits := make([]float32, 5+rng.IntN(60))
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * 2)
		}
		logits[rng.IntN(len(logits))] = float32(math.Inf(-1))
		p := Params{Temperature: 0.3 + 2*rng.Float64(), Seed: rng.Uint64()}
		if rng.IntN(2) == 0 {
			p.TopK = 1 + rng.IntN(len(logits)+5)
		}
		if rng.IntN(2) == 0 {
			p.TopP = 0.05 + 0.9*rng.Float64()
		}
		if rng.IntN(2) == 0 {
			p.MinP = 0.3 * rng.Float64()
		}
		want := distribution(p, logits)
		c := NewChain(p, len(logits))
		const draws = 20000
		got := make([]float64, len(logits))
		for step := range draws {
			id, err := c.Pick(logits, uint64(step))
			if err != nil {
				t.Fatal(err)
			}
			got[id]++
		}
		for id := range got {
			// Six standard deviations of a binomial count: a false alarm about
			// once in 1e9 comparisons.
			sd := math.Sqrt(want[id] * (1 - want[id]) * draws)
			if math.Abs(got[id]-want[id]*draws) > 6*sd+1e-3*draws*want[id]+0.5 {
				t.Errorf("trial %d %+v: token %d drawn %v times, want %.1f", trial, p, id, got[id], want[id]*draws)
			}
		}
	}
}

func TestPickIsReproducible(t *testing.T) {
	logits := []float32{1, 2, 3, 2, 1}
	draw := func(seed uint64) (ids []int32) {
		c := NewChain(Params{Temperature: 1, Seed: seed}, len(logits))
		for step := range uint64(64) {
			id, _ := c.Pick(logits, step)
			ids = append(ids, id)
		}
		return ids
	}
	a, b, other := draw(7), draw(7), draw(8)
	same := true
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("step %d: %d and %d from one seed", i, a[i], b[i])
		}
		same = same && a[i] == other[i]
	}
	if same {
		t.Error("two seeds gave the same 64 tokens")
	}
}

func TestPickForbidden(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, temp := range []float64{0, 1} {
		c := NewChain(Params{Temperature: temp}, 3)
		if _, err := c.Pick([]float32{-inf, -inf, nan}, 0); err != ErrNoCandidate {
			t.Errorf("temperature %v: error %v, want ErrNoCandidate", temp, err)
		}
		if id, err := c.Pick([]float32{nan, -inf, 2}, 0); id != 2 || err != nil {
			t.Errorf("temperature %v: picked %d, %v; want 2", temp, id, err)
		}
		if id, err := c.Pick([]float32{5, inf, 2}, 0); id != 1 || err != nil {
			t.Errorf("temperature %v: picked %d, %v; want the infinite logit", temp, id, err)
		}
	}
}

func TestPenalties(t *testing.T) {
	c := NewChain(Params{RepetitionPenalty: 2, PresencePenalty: 0.5, FrequencyPenalty: 0.25, PenaltyWindow: 3,
		Bias: map[int32]float32{3: 10}}, 4)
	logits := []float32{4, -4, 1, 0}
	c.Adjust(logits, []int32{2, 0, 0, 1}) // token 2 lies before the window
	want := []float32{4./2 - 0.5 - 2*0.25, -4.*2 - 0.5 - 0.25, 1, 10}
	for i := range want {
		if logits[i] != want[i] {
			t.Errorf("token %d: %v, want %v", i, logits[i], want[i])
		}
	}
}

func TestLogprobs(t *testing.T) {
	logits := []float32{1, 3, 2, float32(math.Inf(-1))}
	c := NewChain(Params{TopLogprobs: 2}, len(logits))
	c.Begin(logits)
	logits[0] = 100 // a later edit must not show
	lse := math.Log(math.Exp(1) + math.Exp(3) + math.Exp(2))
	got, top := c.Logprob(2)
	if math.Abs(got-(2-lse)) > 1e-12 {
		t.Errorf("logprob %v, want %v", got, 2-lse)
	}
	if len(top) != 2 || top[0].ID != 1 || top[1].ID != 2 || math.Abs(top[0].Logprob-(3-lse)) > 1e-12 {
		t.Errorf("top %v", top)
	}
}

func TestValidate(t *testing.T) {
	for _, p := range []Params{
		{Temperature: -1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: 1.5}, {MinP: -0.1}, {TopLogprobs: 1000},
		{PenaltyWindow: -2}, {RepetitionPenalty: math.Inf(1)}, {Bias: map[int32]float32{4: 1}}, {Bias: map[int32]float32{-1: 1}},
		{Bias: map[int32]float32{0: float32(math.Inf(1))}},
	} {
		if p.Validate(4) == nil {
			t.Errorf("%+v accepted", p)
		}
	}
	ok := Params{Temperature: 1, TopK: 40, TopP: 0.9, MinP: 0.05, Bias: map[int32]float32{3: float32(math.Inf(-1))}}
	if err := ok.Validate(4); err != nil {
		t.Error(err)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	logits := make([]float32, 50000)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	history := make([]int32, 200)
	for i := range history {
		history[i] = int32(rng.IntN(len(logits)))
	}
	for _, p := range []Params{{}, {Temperature: 1, TopK: 40, TopP: 0.9, RepetitionPenalty: 1.1}, {Temperature: 0.8, TopP: 0.9}} {
		c := NewChain(p, len(logits))
		work := make([]float32, len(logits))
		step := uint64(0)
		one := func() {
			copy(work, logits)
			c.Begin(work)
			c.Adjust(work, history)
			if _, err := c.Pick(work, step); err != nil {
				t.Fatal(err)
			}
			step++
		}
		one()
		if n := testing.AllocsPerRun(20, one); n != 0 {
			t.Errorf("%+v: %v allocations a token", p, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	logits := make([]float32, 151936)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2)
	}
	for _, bc := range []struct {
		name string
		p    Params
	}{
		{"greedy", Params{}},
		{"topk40", Params{Temperature: 0.8, TopK: 40, TopP: 0.95}},
		{"topp", Params{Temperature: 0.8, TopP: 0.95}},
		{"plain", Params{Temperature: 1}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := NewChain(bc.p, len(logits))
			for i := range b.N {
				c.Pick(logits, uint64(i))
			}
		})
	}
}
