package model_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/plan/ref"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// load reads a model and builds its plan.
func load(t testing.TB, elem ...string) (*plan.Plan, [][]byte) {
	t.Helper()
	f, err := gguf.Open(testdata.File(t, elem...))
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
	return p, data
}

func machine(t testing.TB, p *plan.Plan, data [][]byte) *ref.Machine {
	t.Helper()
	m, err := ref.New(p, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func forward(t testing.TB, m *ref.Machine, tokens []int32) [][]float64 {
	t.Helper()
	out, err := m.Forward(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// relRMS is sqrt(sum (a-b)^2 / sum b^2).
func relRMS(a, b [][]float64) float64 {
	num, den := 0.0, 0.0
	for r := range b {
		for i, y := range b[r] {
			num += (a[r][i] - y) * (a[r][i] - y)
			den += y * y
		}
	}
	return math.Sqrt(num / den)
}

type goldenEntry struct {
	Arch, Name, File string
	Vocab, Rows      int
	Tokens           []int32
	LogitsF32Ref     string `json:"logits_f32ref"`
}

// The reference must agree with llama.cpp's float32 logits on models of every
// dense family, in every format there is.
func TestGoldenLogits(t *testing.T) {
	var manifest struct{ Entries []goldenEntry }
	testdata.JSON(t, &manifest, "golden", "manifest.json")
	families := map[string]int{}
	for _, e := range manifest.Entries {
		if !slices.Contains(model.Arches(), e.Arch) {
			continue
		}
		families[e.Arch]++
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			p, data := load(t, "golden", e.File)
			want := readLogits(t, e)
			fine := forward(t, machine(t, p, data), e.Tokens)
			fused := plan.Fuse(p, nil)
			large := machine(t, fused, data)
			half := len(e.Tokens) / 2
			got := append(forward(t, large, e.Tokens[:half]), forward(t, large, e.Tokens[half:])...)
			err := relRMS(got, want)
			t.Logf("relative RMS %.2e", err)
			if !(err <= 2e-6) {
				t.Errorf("relative RMS error %.2e against the golden logits, want at most 2e-6", err)
			}
			// The float64 sums of the two plans are the same sums.
			if d := relRMS(fine, got); d != 0 {
				t.Errorf("fused and fine plans differ by %.2e", d)
			}
			if len(fused.Steps) != 5*len(p.KV)+2 {
				t.Errorf("fused into %d steps, want an Embed, %d layers of five and an LMHead", len(fused.Steps), len(p.KV))
			}
		})
	}
	for _, arch := range model.Arches() {
		if families[arch] == 0 {
			t.Errorf("no golden model of architecture %s", arch)
		}
	}
}

func readLogits(t *testing.T, e goldenEntry) [][]float64 {
	b := testdata.Open(t, "golden", e.LogitsF32Ref)
	if len(b) != 4*e.Rows*e.Vocab || e.Rows != len(e.Tokens) {
		t.Fatalf("%d bytes of logits for %d rows of %d", len(b), e.Rows, e.Vocab)
	}
	rows := make([][]float64, e.Rows)
	for r := range rows {
		rows[r] = make([]float64, e.Vocab)
		for i := range rows[r] {
			rows[r][i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*(r*e.Vocab+i):])))
		}
	}
	return rows
}

type greedyCase struct {
	Prompt    string
	PromptIDs []int32 `json:"prompt_ids"`
	GenIDs    []int32 `json:"gen_ids"`
	Steps     []struct{ Top [][3]float64 }
}

// A trained model must tell the published stories, in its own shape as llama and
// re-shaped as qwen2.
func TestGoldenGreedy(t *testing.T) {
	var golden struct{ Cases []greedyCase }
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	cases := golden.Cases
	if testing.Short() {
		cases = cases[:4]
	}
	for _, name := range []string{"stories260K-f32.gguf", "stories260K-qwen2arch-F32.gguf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, data := load(t, "models", name)
			cases := cases
			if p.Arch == "qwen2" && !testing.Short() {
				cases = cases[:8] // four times the width takes sixteen times as long
			}
			p = plan.Fuse(p, nil)
			for _, c := range cases {
				tell(t, machine(t, p, data), c)
			}
		})
	}
}

// tell follows the published ids, and looks at each step whether they are what
// this model would choose. Where the two best are closer than 1e-3 either may be.
func tell(t *testing.T, m *ref.Machine, c greedyCase) {
	t.Helper()
	ids := append(slices.Clone(c.PromptIDs), c.GenIDs...)
	logits := forward(t, m, ids)[len(c.PromptIDs)-1:]
	for i, id := range c.GenIDs {
		best := 0
		for j, x := range logits[i] {
			if x > logits[i][best] {
				best = j
			}
		}
		if gap := logits[i][best] - logits[i][id]; int(id) != best && gap > 1e-3 {
			t.Errorf("prompt %q, token %d: %d is best, %d expected, %.4f below", c.Prompt, i, best, id, gap)
			return
		}
		for _, top := range c.Steps[i].Top {
			if got := logits[i][int(top[0])]; math.Abs(got-top[1]) > 2e-4 {
				t.Errorf("prompt %q, token %d: logit of %.0f is %.5f, want %.5f", c.Prompt, i, top[0], got, top[1])
				return
			}
		}
	}
}

type formatCase struct {
	Format  string
	IDs     []int32
	LogProb []float64
}

// The log-probabilities of given texts must be those of the published float64
// reference, for every format.
func TestGoldenFormats(t *testing.T) {
	var golden struct{ Cases []formatCase }
	testdata.JSON(t, &golden, "models", "golden_formats.json")
	byFormat := map[string][]formatCase{}
	for _, c := range golden.Cases {
		byFormat[c.Format] = append(byFormat[c.Format], c)
	}
	for format, cases := range byFormat {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			p, data := load(t, "models", "stories260K-wide256-"+format+".gguf")
			m := machine(t, plan.Fuse(p, nil), data)
			if testing.Short() {
				cases = cases[:1]
			}
			worst := 0.0
			for _, c := range cases {
				m.Reset()
				logits := forward(t, m, c.IDs)
				for i, want := range c.LogProb {
					got := logProb(logits[i], c.IDs[i+1])
					worst = max(worst, math.Abs(got-want))
				}
			}
			t.Logf("%d texts, largest difference %.1e", len(cases), worst)
			if !(worst <= 1e-5) {
				t.Errorf("log-probabilities differ by up to %.2e, want at most 1e-5", worst)
			}
		})
	}
}

func logProb(logits []float64, id int32) float64 {
	top, sum := slices.Max(logits), 0.0
	for _, x := range logits {
		sum += math.Exp(x - top)
	}
	return logits[id] - top - math.Log(sum)
}
