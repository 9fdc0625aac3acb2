package ptxbackend

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// engine is a model file on an emulated GPU, ready to run one sequence.
type engine struct {
	t     testing.TB
	exec  backend.Executable
	plan  *plan.Plan
	done  int // tokens fed
	batch backend.Batch
}

// openEngine loads a file; its executable takes one sequence of up to 512 tokens.
func openEngine(t testing.TB, target ptx.Target, path string, lim backend.Limits) *engine {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	be := on(t, target)()
	p = plan.Fuse(p, be.Supports)
	w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lim.MaxSeqs, lim.Pages = 1, 512/backend.PageTokens
	lim.MaxLogit = max(lim.MaxLogit, 1)
	e, err := be.Compile(p, w, lim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{e, w, be} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	g := &engine{t: t, exec: e, plan: p, batch: backend.Batch{Tables: [][]int32{nil}}}
	for i := range lim.Pages {
		g.batch.Tables[0] = append(g.batch.Tables[0], int32(i))
	}
	return g
}

// next is the batch of tokens that continue the sequence, with logits for the last
// n of them.
func (g *engine) next(tokens []int32, n int) *backend.Batch {
	b := &g.batch
	b.Tokens, b.Pos, b.Seq, b.LogitRows = tokens, b.Pos[:0], b.Seq[:0], b.LogitRows[:0]
	for i := range tokens {
		b.Pos, b.Seq = append(b.Pos, int32(g.done+i)), append(b.Seq, 0)
	}
	for i := range n {
		b.LogitRows = append(b.LogitRows, int32(len(tokens)-n+i))
	}
	g.done += len(tokens)
	return b
}

// feed runs tokens that continue the sequence and fills the logits after the last
// len(logits) of them.
func (g *engine) feed(tokens []int32, logits [][]float32) {
	g.t.Helper()
	if err := g.exec.Run(context.Background(), g.next(tokens, len(logits)), logits); err != nil {
		g.t.Fatal(err)
	}
}

func matrixOf(rows, columns int) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, columns)
	}
	return m
}

// goldenModel is a random model with the logits llama.cpp computes in float32.
type goldenModel struct {
	Arch, Name, File, Quant string
	Vocab, Rows             int
	Tokens                  []int32
	F32Ref                  string `json:"logits_f32ref"`
}

func goldenModels(t *testing.T) (models []goldenModel) {
	t.Helper()
	var manifest struct{ Entries []goldenModel }
	testdata.JSON(t, &manifest, "golden", "manifest.json")
	for _, e := range manifest.Entries {
		if slices.Contains(model.Arches(), e.Arch) {
			models = append(models, e)
		}
	}
	if len(models) < 10 {
		t.Errorf("only %d models to test", len(models))
	}
	return models
}

func (e *goldenModel) want(t *testing.T) [][]float32 {
	t.Helper()
	b, err := os.ReadFile(testdata.Path(t, "golden", e.F32Ref))
	if err != nil {
		t.Fatal(err)
	}
	m := matrixOf(e.Rows, e.Vocab)
	for i := range m {
		for j := range m[i] {
			m[i][j] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*(i*e.Vocab+j):]))
		}
	}
	return m
}

// run computes the logits of all rows: the first 24 tokens at once, then the others
// one by one.
func (e *goldenModel) run(t *testing.T, target ptx.Target) [][]float32 {
	t.Helper()
	g := openEngine(t, target, testdata.Path(t, "golden", e.File), backend.Limits{MaxRows: 64, MaxLogit: 24})
	got := matrixOf(e.Rows, e.Vocab)
	g.feed(e.Tokens[:24], got[:24])
	for i := 24; i < e.Rows; i++ {
		g.feed(e.Tokens[i:i+1], got[i:i+1])
	}
	return got
}

// Random models of the dense families in every format, within the bound of halves of
// what float32 gives; and the likeliest token is the same wherever that is no matter
// of rounding.
func TestGoldenLogits(t *testing.T) {
	for _, target := range targets {
		for i, e := range goldenModels(t) {
			if testing.Short() && i%4 != 0 {
				continue
			}
			t.Run(target.Arch+"/"+e.Name, func(t *testing.T) {
				t.Parallel()
				got, want := e.run(t, target), e.want(t)
				rms := relRMS(got, want)
				t.Logf("relative RMS error %.2e", rms)
				if !(rms <= 5e-3) {
					t.Errorf("relative RMS error %.2e, at most 5e-3 allowed", rms)
				}
				for r := range want {
					if best := argmax(want[r]); argmax(got[r]) != best && want[r][best]-want[r][argmax(got[r])] > 0.02 {
						t.Errorf("row %d: token %d, want %d", r, argmax(got[r]), best)
					}
				}
			})
		}
	}
}

func relRMS(got, want [][]float32) float64 {
	num, den := 0.0, 0.0
	for r := range want {
		for i, y := range want[r] {
			d := float64(got[r][i]) - float64(y)
			num += d * d
			den += float64(y) * float64(y)
		}
	}
	return math.Sqrt(num / den)
}

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

type goldenStory struct {
	Prompt    string
	PromptIDs []int32                      `json:"prompt_ids"`
	GenIDs    []int32                      `json:"gen_ids"`
	Steps     []struct{ Top [][3]float64 } // the best five: id, logit, logprob
}

// A trained model tells the stories that other engines tell with it. Where the two
// best tokens are closer than halves can tell, either will do.
func TestGoldenGreedy(t *testing.T) {
	var golden struct{ Cases []goldenStory }
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	for _, target := range targets {
		// The same function twice: as llama and, with NEOX rotation, as qwen2.
		for file, cases := range map[string]int{"stories260K-f32.gguf": 3, "stories260K-qwen2arch-F32.gguf": 1} {
			if testing.Short() {
				cases = 1
			}
			t.Run(target.Arch+"/"+file, func(t *testing.T) {
				t.Parallel()
				path := testdata.Path(t, "models", "stories260K-f32.gguf")
				if !strings.Contains(file, "-f32") {
					path = testdata.File(t, "models", file)
				}
				g := openEngine(t, target, path, backend.Limits{MaxRows: 64})
				for _, c := range golden.Cases[:cases] {
					g.tell(c, 32)
				}
			})
		}
	}
}

// tell checks the first tokens of a story.
func (g *engine) tell(c goldenStory, most int) {
	g.t.Helper()
	logits := matrixOf(1, g.plan.Vocab)
	g.done = 0
	g.feed(c.PromptIDs, logits)
	for i, id := range c.GenIDs[:min(most, len(c.GenIDs))] {
		top := c.Steps[i].Top
		best := argmax(logits[0])
		if best != int(id) && (top[0][1]-top[1][1] > 2e-2 || best != int(top[1][0])) {
			g.t.Errorf("%q, step %d: token %d, want %d", c.Prompt, i, best, id)
			return
		}
		for _, want := range top {
			if got := float64(logits[0][int(want[0])]); math.Abs(got-want[1]) > 5e-2 {
				g.t.Errorf("%q, step %d: logit of %v is %v, want %v", c.Prompt, i, want[0], got, want[1])
			}
		}
		g.feed(c.GenIDs[i:i+1], logits)
	}
}
