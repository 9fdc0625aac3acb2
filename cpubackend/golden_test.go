package cpubackend

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// engine is a model ready to run one sequence.
type engine struct {
	t     testing.TB
	exec  backend.Executable
	plan  *plan.Plan
	bytes int64 // of the weights a token reads
	// products is the number of weights a token of a prompt is multiplied with.
	products int64
	done     int // tokens fed
	batch    backend.Batch
}

// openEngine loads a file; its executable takes one sequence of up to 1024
// tokens.
func openEngine(t testing.TB, path string, lim backend.Limits) *engine {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return newEngine(t, p, data, lim)
}

// newEngine loads a plan of fine steps.
func newEngine(t testing.TB, p *plan.Plan, data [][]byte, lim backend.Limits) *engine {
	t.Helper()
	be := New()
	p = plan.Fuse(p, be.Supports)
	w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lim.MaxSeqs, lim.Pages = max(lim.MaxSeqs, 1), 1024/backend.PageTokens
	lim.MaxRows = max(lim.MaxRows, 512)
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
	for i := range p.Steps {
		for role, w := range p.Steps[i].W {
			if w != 0 && plan.Role(role) != plan.WEmbed {
				g.bytes += int64(len(data[w-1]))
				logits := p.Steps[i].Kind == plan.LMHead || p.Steps[i].Kind == plan.Logits
				if d := p.WeightDesc(w); len(d.Shape) == 2 && !logits {
					g.products += int64(d.Elems())
				}
			}
		}
	}
	return g
}

// feed runs tokens that continue the sequence and fills the logits after the last
// len(logits) of them.
func (g *engine) feed(tokens []int32, logits [][]float32) {
	g.t.Helper()
	b := &g.batch
	b.Tokens, b.Pos, b.Seq, b.LogitRows = tokens, b.Pos[:0], b.Seq[:0], b.LogitRows[:0]
	for i := range tokens {
		b.Pos, b.Seq = append(b.Pos, int32(g.done+i)), append(b.Seq, 0)
	}
	for i := range logits {
		b.LogitRows = append(b.LogitRows, int32(len(tokens)-len(logits)+i))
	}
	if err := g.exec.Run(context.Background(), b, logits); err != nil {
		g.t.Fatal(err)
	}
	g.done += len(tokens)
}

func matrix(rows, columns int) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, columns)
	}
	return m
}

func readLogits(t *testing.T, rows, vocab int, file string) [][]float32 {
	t.Helper()
	b, err := os.ReadFile(testdata.Path(t, "golden", file))
	if err != nil {
		t.Fatal(err)
	}
	m := matrix(rows, vocab)
	for i := range m {
		for j := range m[i] {
			m[i][j] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*(i*vocab+j):]))
		}
	}
	return m
}

// relRMS compares the rows not in skip.
func relRMS(got, want [][]float32, skip []int) float64 {
	num, den := 0.0, 0.0
	for r := range want {
		if slices.Contains(skip, r) {
			continue
		}
		for i, y := range want[r] {
			d := float64(got[r][i]) - float64(y)
			num += d * d
			den += float64(y) * float64(y)
		}
	}
	return math.Sqrt(num / den)
}

// goldenModel is a random model with the logits of llama.cpp.
type goldenModel struct {
	Arch, Name, File, Quant string
	Vocab, Rows             int
	Tokens                  []int32
	F32Ref                  string `json:"logits_f32ref"` // float32 throughout
	Native                  string `json:"logits_native"` // its own int8 path
	Outliers                []int  `json:"rows_outlier_native"`
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

// run computes the logits of all rows: the first 24 tokens are prefill, the others
// decoding.
func (e *goldenModel) run(t *testing.T, kv backend.KVType) [][]float32 {
	t.Helper()
	g := openEngine(t, testdata.Path(t, "golden", e.File), backend.Limits{MaxLogit: 24, KV: kv})
	got := matrix(e.Rows, e.Vocab)
	g.feed(e.Tokens[:24], got[:24])
	for i := 24; i < e.Rows; i++ {
		g.feed(e.Tokens[i:i+1], got[i:i+1])
	}
	return got
}

func (e *goldenModel) check(t *testing.T) {
	t.Helper()
	want := readLogits(t, e.Rows, e.Vocab, e.F32Ref)
	native := readLogits(t, e.Rows, e.Vocab, e.Native)
	tol := 6e-2
	switch e.Quant {
	case "F32":
		tol = 1e-5
	case "F16":
		tol = 5e-3
	}
	ours := relRMS(e.run(t, backend.KVF32), want, e.Outliers)
	t.Logf("relative RMS error %.2e, llama.cpp's own %.2e", ours, relRMS(native, want, e.Outliers))
	if !(ours <= tol) {
		t.Errorf("relative RMS error %.2e, at most %.0e allowed", ours, tol)
	}
}

// Random models of the dense families in every format.
func TestGoldenLogits(t *testing.T) {
	for _, e := range goldenModels(t) {
		t.Run(e.Name, e.check)
	}
}

// No model's logits are further from float32 than 1.1 times what llama.cpp's own are,
// with its defaults: activations rounded to int8, keys and values in half precision.
func TestAccuracyBesideLlamaCpp(t *testing.T) {
	for _, e := range goldenModels(t) {
		want := readLogits(t, e.Rows, e.Vocab, e.F32Ref)
		native := relRMS(readLogits(t, e.Rows, e.Vocab, e.Native), want, e.Outliers)
		ours := relRMS(e.run(t, backend.KVF16), want, e.Outliers)
		t.Logf("%-16s ours %.2e  llama.cpp %.2e  ratio %.2f", e.Name, ours, native, ours/native)
		if !(ours <= 1.1*native) {
			t.Errorf("%s: relative RMS error %.2e, llama.cpp's own is %.2e", e.Name, ours, native)
		}
	}
}

// Every instruction set this machine has, on one model of each precision.
func TestInstructionSets(t *testing.T) {
	all := kernels.Supported()
	defer kernels.Select(all[len(all)-1])
	for _, set := range all {
		if err := kernels.Select(set); err != nil {
			t.Fatal(err)
		}
		for _, e := range goldenModels(t) {
			if slices.Contains([]string{"t-llama-s-F32", "t-qwen2-s-Q8_0", "t-qwen3-k-Q4_K"}, e.Name) {
				t.Run(set+"/"+e.Name, e.check)
			}
		}
	}
}

type goldenStory struct {
	Prompt    string
	PromptIDs []int32                      `json:"prompt_ids"`
	GenIDs    []int32                      `json:"gen_ids"`
	Steps     []struct{ Top [][3]float64 } // the best five: id, logit, logprob
}

// A trained model tells the stories that other engines tell with it. Where the two
// best tokens are closer than 1e-3, either will do.
func TestGoldenGreedy(t *testing.T) {
	var golden struct{ Cases []goldenStory }
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	// The same function twice: as llama and, with NEOX rotation, as qwen2.
	for file, cases := range map[string]int{"stories260K-f32.gguf": len(golden.Cases), "stories260K-qwen2arch-F32.gguf": 3} {
		if testing.Short() {
			cases = 3
		}
		t.Run(file, func(t *testing.T) {
			g := openEngine(t, testdata.File(t, "models", file), backend.Limits{KV: backend.KVF32})
			for _, c := range golden.Cases[:cases] {
				g.tell(c)
			}
		})
	}
}

// tell checks one story.
func (g *engine) tell(c goldenStory) {
	g.t.Helper()
	logits := matrix(1, g.plan.Vocab)
	g.done = 0
	g.feed(c.PromptIDs, logits)
	for i, id := range c.GenIDs {
		top := c.Steps[i].Top
		best := argmax(logits[0])
		if best != int(id) && (top[0][1]-top[1][1] > 1e-3 || best != int(top[1][0])) {
			g.t.Errorf("%q, step %d: token %d, want %d", c.Prompt, i, best, id)
			return
		}
		for _, want := range top {
			if got := float64(logits[0][int(want[0])]); math.Abs(got-want[1]) > 2e-3 {
				g.t.Errorf("%q, step %d: logit of %v is %v, want %v", c.Prompt, i, want[0], got, want[1])
			}
		}
		g.feed(c.GenIDs[i:i+1], logits)
	}
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

// The same trained model in every format: the log-probabilities of given texts stay
// close to float64 on the same weights, though activations are rounded to int8.
func TestGoldenFormats(t *testing.T) {
	var golden struct {
		Cases []struct {
			Format  string
			IDs     []int32
			Logprob []float64
		}
	}
	testdata.JSON(t, &golden, "models", "golden_formats.json")
	allowed := map[string]float64{"F32": 2e-3, "F16": 0.02, "Q8_0": 0.02, "Q6_K": 0.02}
	diff, count := map[string]float64{}, map[string]int{}
	engines := map[string]*engine{}
	for _, c := range golden.Cases {
		g := engines[c.Format]
		if g == nil {
			g = openEngine(t, testdata.File(t, "models", fmt.Sprintf("stories260K-wide256-%s.gguf", c.Format)), backend.Limits{MaxLogit: 512})
			engines[c.Format] = g
		}
		g.done = 0
		logits := matrix(len(c.IDs), g.plan.Vocab)
		g.feed(c.IDs, logits)
		for i, want := range c.Logprob {
			diff[c.Format] += math.Abs(logProb(logits[i], c.IDs[i+1]) - want)
			count[c.Format]++
		}
	}
	for format, n := range count {
		mean := diff[format] / float64(n)
		t.Logf("%-9s mean |logprob difference| %.5f over %d tokens", format, mean, n)
		if limit, ok := allowed[format]; ok && !(mean <= limit) {
			t.Errorf("%s: mean |logprob difference| %.5f, at most %v allowed", format, mean, limit)
		}
	}
}

func logProb(logits []float32, id int32) float64 {
	top, sum := float64(logits[argmax(logits)]), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}
