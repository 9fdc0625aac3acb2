package quantize_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/plan/ref"
	"github.com/sandwarp/sandwarp/internal/quantize"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

func machine(t *testing.T, f *gguf.File) *ref.Machine {
	t.Helper()
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ref.New(plan.Fuse(p, nil), data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// softmax of logits.
func softmax(logits []float64) []float64 {
	p, sum, top := make([]float64, len(logits)), 0.0, slices.Max(logits)
	for i, x := range logits {
		p[i] = math.Exp(x - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// tell samples a story of n tokens from a model at temperature 1.
func tell(t *testing.T, m *ref.Machine, seed uint64, n int) []int32 {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	m.Reset()
	story := []int32{1} // BOS
	for len(story) < n {
		logits, err := m.Forward(story[len(story)-1:])
		if err != nil {
			t.Fatal(err)
		}
		u, next := r.Float64(), 0
		for i, p := range softmax(logits[0]) {
			if next = i; u < p {
				break
			}
			u -= p
		}
		story = append(story, int32(next))
	}
	return story
}

// perplexity of a model on stories.
func perplexity(t *testing.T, f *gguf.File, stories [][]int32) float64 {
	t.Helper()
	m := machine(t, f)
	nll, n := 0.0, 0
	for _, s := range stories {
		m.Reset()
		logits, err := m.Forward(s[:len(s)-1])
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range logits {
			nll -= math.Log(softmax(l)[s[i+1]])
			n++
		}
	}
	return math.Exp(nll / float64(n))
}

// The aim of it all: the trained stories model, quantised by us, reads stories no
// worse than 1.02 times as perplexed as when llama.cpp quantised it, in the same
// formats throughout (those files are pure). The stories are samples of the F32
// model, so that the log-perplexity lost estimates the divergence from it.
func TestPerplexityIsThatOfLlamaCpp(t *testing.T) {
	in := stories(t)
	texts, tokens := 2, 120
	if testing.Short() {
		texts, tokens = 1, 60
	}
	var told [][]int32
	teller := machine(t, in)
	for seed := range texts {
		told = append(told, tell(t, teller, uint64(seed), tokens))
	}
	base := perplexity(t, in, told)
	t.Logf("F32    %.4f", base)
	for _, mix := range []string{"F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"} {
		out, _ := write(t, in, mix, quantize.Options{Pure: true})
		theirs := open(t, testdata.File(t, "models", "stories260K-wide256-"+mix+".gguf"))
		a, b := perplexity(t, out, told), perplexity(t, theirs, told)
		t.Logf("%-6s %.4f, llama.cpp's %.4f, ratio %.4f", mix, a, b, a/b)
		if !(a <= 1.02*b) {
			t.Errorf("%s: perplexity %.4f, llama.cpp's file has %.4f", mix, a, b)
		}
		out.Close()
	}
}
