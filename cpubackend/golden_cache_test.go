package cpubackend

import (
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// A cache in Q8_0 costs no more than rounding activations to int8 does.
func TestGoldenLogitsOverQ8(t *testing.T) {
	for _, e := range goldenModels(t) {
		if !slices.Contains([]string{"F32", "Q8_0", "Q4_K"}, e.Quant) {
			continue
		}
		want := readLogits(t, e.Rows, e.Vocab, e.F32Ref)
		half, ours := relRMS(e.run(t, backend.KVF16), want, e.Outliers), relRMS(e.run(t, backend.KVQ8_0), want, e.Outliers)
		t.Logf("%-16s over f16 %.2e, over q8_0 %.2e", e.Name, half, ours)
		// Its own error comes to the others': 2.1e-2 is the largest of the models in F32.
		if !(ours <= math.Hypot(half, 2.5e-2)) {
			t.Errorf("%s: relative RMS error %.2e over a cache in Q8_0, %.2e over one in F16", e.Name, ours, half)
		}
	}
}

// Over a cache in Q8_0 a trained model tells the same stories, but for steps whose most
// likely tokens are close: half a logit. (Its heads have 8 columns, its logits
// are those of 260,000 parameters.)
func TestGoldenGreedyOverQ8(t *testing.T) {
	var golden struct{ Cases []goldenStory }
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	g := openEngine(t, testdata.File(t, "models", "stories260K-f32.gguf"), backend.Limits{KV: backend.KVQ8_0})
	logits := matrix(1, g.plan.Vocab)
	steps, others := 0, 0
	for _, c := range golden.Cases {
		g.done = 0
		g.feed(c.PromptIDs, logits)
		for i, id := range c.GenIDs {
			top := c.Steps[i].Top
			steps++
			if best := argmax(logits[0]); best != int(id) {
				others++
				gap := top[0][1] - top[1][1]
				if t.Logf("%q, step %d: token %d, not %d, whose logit is %.3f above", c.Prompt, i, best, id, gap); gap > 0.5 {
					t.Errorf("%q, step %d: token %d, want %d, whose logit is %.3f above", c.Prompt, i, best, id, gap)
				}
			}
			g.feed(c.GenIDs[i:i+1], logits)
		}
	}
	if t.Logf("%d of %d tokens differ", others, steps); others*33 > steps {
		t.Errorf("%d of %d tokens differ", others, steps)
	}
}
