package demo_test

import (
	_ "embed"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

//go:embed testdata/vectors.json
var vectorsJSON []byte

// vectors is what tools/demomodel/testvectors.py computed in float64.
type vectors struct {
	Tokens []struct {
		Text    string
		Special bool
		IDs     []int32
	}
	Greedy []struct {
		Name, Prompt      string
		IDs, Continuation []int32
		Gap, Logprob      []float64
	}
	Logits []struct {
		Name      string
		IDs       []int32
		Top       [][2]float64 // id, logit
		Mean, RMS float64
		Full      []float64
	}
}

const (
	// A backend may round activations to 8 bits. It then moves logits by about a tenth of a unit.
	tolerance = 0.5
	relative  = 0.06
)

func open(t *testing.T) (*sandwarp.Model, vectors) {
	t.Helper()
	var v vectors
	if err := json.Unmarshal(vectorsJSON, &v); err != nil {
		t.Fatal(err)
	}
	m, err := sandwarp.OpenBytes(t.Context(), "demo.gguf", demo.GGUF, sandwarp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, v
}

func TestTokens(t *testing.T) {
	m, v := open(t)
	if len(v.Tokens) == 0 {
		t.Fatal("no vectors")
	}
	for _, c := range v.Tokens {
		ids, err := m.Encode(c.Text, c.Special)
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("Encode(%q, %v) = %v, %v, want %v", c.Text, c.Special, ids, err, c.IDs)
		}
		if text, err := m.Decode(c.IDs, true); err != nil || text != c.Text {
			t.Errorf("Decode(%v) = %q, %v, want %q", c.IDs, text, err, c.Text)
		}
	}
}

// Each step sees the reference's own tokens, so one rounded tie does not end the comparison.
func TestGreedyChoices(t *testing.T) {
	m, v := open(t)
	if len(v.Greedy) == 0 {
		t.Fatal("no vectors")
	}
	for _, c := range v.Greedy {
		ids, first := slices.Concat(c.IDs, c.Continuation), len(c.IDs)-1
		err := m.Logits(t.Context(), ids, func(pos int, logits []float32) error {
			step := pos - first
			if step < 0 || step >= len(c.Continuation) {
				return nil
			}
			best := int32(slices.Index(logits, slices.Max(logits)))
			if best != c.Continuation[step] && c.Gap[step] > tolerance {
				t.Errorf("%s, step %d: token %d, want %d, which leads by %v", c.Name, step, best, c.Continuation[step], c.Gap[step])
			}
			if got := logprob(logits, c.Continuation[step]); math.Abs(got-c.Logprob[step]) > tolerance {
				t.Errorf("%s, step %d: log-probability %v, want %v", c.Name, step, got, c.Logprob[step])
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func logprob(logits []float32, id int32) float64 {
	top := float64(slices.Max(logits))
	var sum float64
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}

func TestLogits(t *testing.T) {
	m, v := open(t)
	full := 0
	for _, c := range v.Logits {
		err := m.Logits(t.Context(), c.IDs, func(pos int, logits []float32) error {
			if pos != len(c.IDs)-1 {
				return nil
			}
			for _, p := range c.Top {
				if got := float64(logits[int(p[0])]); math.Abs(got-p[1]) > tolerance {
					t.Errorf("%s: logit of token %v is %v, want %v", c.Name, p[0], got, p[1])
				}
			}
			if c.Full != nil {
				full++
				if e := relativeError(logits, c.Full); e > relative {
					t.Errorf("%s: relative error of all logits %v, want at most %v", c.Name, e, relative)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if full == 0 {
		t.Error("no vector with all logits was compared")
	}
}

// relativeError is the root of the mean square of the difference over that of want.
func relativeError(got []float32, want []float64) float64 {
	var diff, size float64
	for i, w := range want {
		diff += (float64(got[i]) - w) * (float64(got[i]) - w)
		size += w * w
	}
	return math.Sqrt(diff / size)
}
