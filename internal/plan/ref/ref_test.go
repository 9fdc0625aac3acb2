package ref

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// lab builds one-step plans by hand.
type lab struct {
	*plan.Builder
	data [][]byte
	x    plan.Value // (rows, 4): the embeddings below
}

// Tokens 0, 1, 2 have these embeddings.
var embeddings = []float32{1, 2, 3, 4, -1, 0, 1, 0, 0.5, 0.5, 0.5, 0.5}

func newLab() *lab {
	l := &lab{Builder: plan.NewBuilder("test", 3, 8)}
	l.x = l.Embed("x", l.weight(embeddings, 3, 4))
	return l
}

func (l *lab) weight(x []float32, shape ...int) plan.Weight {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	l.data = append(l.data, b)
	return l.Weight(tensor.Desc{Name: "w", DType: tensor.F32, Shape: shape})
}

// machine ends the plan with logits of y.
func (l *lab) machine(t *testing.T, y plan.Value, width int) *Machine {
	t.Helper()
	l.Logits(l.SelectRows("rows", y), l.weight(make([]float32, 3*width), 3, width))
	p, err := l.Plan()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(p, l.data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run executes all steps and returns the value y.
func run(t *testing.T, m *Machine, env *Env, y plan.Value) [][]float64 {
	t.Helper()
	values := Values{}
	for i := range m.p.Steps {
		out, err := m.Step(&m.p.Steps[i], values, env)
		if err != nil {
			t.Fatal(err)
		}
		for v, x := range out {
			values[v] = x
		}
	}
	return values[y]
}

func batch(m *Machine, tokens ...int32) *Env {
	env := &Env{Tokens: tokens, Cache: NewCache(m.p)}
	for i := range tokens {
		env.Pos, env.Seq = append(env.Pos, int32(i)), append(env.Seq, 0)
	}
	return env
}

func same(t *testing.T, got, want [][]float64) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestEachFineStep(t *testing.T) {
	t.Run("Embed", func(t *testing.T) {
		l := newLab()
		m := l.machine(t, l.x, 4)
		same(t, run(t, m, batch(m, 1, 0), l.x), [][]float64{{-1, 0, 1, 0}, {1, 2, 3, 4}})
	})
	t.Run("RMSNorm", func(t *testing.T) {
		l := newLab()
		y := l.RMSNorm("y", l.x, l.weight([]float32{1, 1, 2, -1}, 4), 0.5)
		m := l.machine(t, y, 4)
		s := 1 / math.Sqrt(30.0/4+0.5)
		same(t, run(t, m, batch(m, 0), y), [][]float64{{s, 2 * s, 6 * s, -4 * s}})
	})
	t.Run("HeadNorm", func(t *testing.T) {
		l := newLab()
		y := l.HeadNorm("y", l.x, l.weight([]float32{1, 2}, 2), 2, 2, 0.5)
		m := l.machine(t, y, 4)
		a, b := 1/math.Sqrt(5.0/2+0.5), 1/math.Sqrt(25.0/2+0.5)
		same(t, run(t, m, batch(m, 0), y), [][]float64{{a, 4 * a, 3 * b, 8 * b}})
	})
	t.Run("Linear", func(t *testing.T) {
		l := newLab()
		y := l.Linear("y", l.x, l.weight([]float32{1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 2, -1, 5, 5, 5, 5, 0, 0, 0, 1}, 5, 4), l.weight([]float32{0, 0, 0, 0, 10}, 5))
		m := l.machine(t, y, 5)
		same(t, run(t, m, batch(m, 0, 1), y), [][]float64{{1, 10, 2, 50, 14}, {-1, 0, 2, 0, 10}})
	})
	t.Run("Rope", func(t *testing.T) {
		// A right angle per position on the first pair, none on the second.
		// Row 1, {1, 2, 3, 4}, is at position 1. MScale 2 doubles it all.
		for neox, want := range map[bool][]float64{false: {-4, 2, 6, 8}, true: {-6, 4, 2, 8}} {
			l := newLab()
			y := l.Rope("y", l.x, 1, 4, &plan.RopeParams{NEOX: neox, Dims: 4, Freqs: []float64{math.Pi / 2, 0}, MScale: 2})
			m := l.machine(t, y, 4)
			same(t, run(t, m, batch(m, 1, 0), y)[1:], [][]float64{want})
		}
		l := newLab()
		y := l.Rope("y", l.x, 1, 4, &plan.RopeParams{Dims: 2, Freqs: []float64{math.Pi}, MScale: 1})
		m := l.machine(t, y, 4)
		same(t, run(t, m, batch(m, 1, 0), y)[1:], [][]float64{{-1, -2, 3, 4}})
	})
	t.Run("Add", func(t *testing.T) {
		l := newLab()
		y := l.Add("y", l.x, l.x)
		m := l.machine(t, y, 4)
		same(t, run(t, m, batch(m, 0), y), [][]float64{{2, 4, 6, 8}})
	})
	t.Run("SiLUMul", func(t *testing.T) {
		l := newLab()
		y := l.SiLUMul("y", l.x, l.x)
		m := l.machine(t, y, 4)
		same(t, run(t, m, batch(m, 1), y), [][]float64{{1 / (1 + math.E), 0, 1 / (1 + 1/math.E), 0}})
	})
	t.Run("SelectRows and Logits", func(t *testing.T) {
		l := newLab()
		rows := l.SelectRows("rows", l.x)
		l.Logits(rows, 1) // the embeddings again: logits are products of embeddings
		p, err := l.Plan()
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(p, l.data)
		if err != nil {
			t.Fatal(err)
		}
		env := batch(m, 0, 1, 2)
		env.LogitRows = []int32{0, 2}
		same(t, run(t, m, env, rows), [][]float64{{1, 2, 3, 4}, {0.5, 0.5, 0.5, 0.5}})
		same(t, env.Logits, [][]float64{{30, 2, 5}, {5, 0, 1}})
	})
}

// Two query heads share one KV head. Sequences do not see each other, rows do not
// see what comes after them, and the cache remembers earlier batches.
func TestAttention(t *testing.T) {
	l := newLab()
	layer := l.Cache(plan.KVLayer{Heads: 1, KeyDim: 2, ValueDim: 3})
	k := l.Linear("k", l.x, l.weight([]float32{1, 0, 0, 0, 0, 1, 0, 0}, 2, 4), 0)
	v := l.Linear("v", l.x, l.weight([]float32{0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0}, 3, 4), 0)
	l.AppendKV(layer, k, v)
	y := l.Attention("y", layer, l.x, 2, 0.5)
	m := l.machine(t, y, 6)

	env := &Env{Tokens: []int32{0, 1, 1}, Pos: []int32{0, 1, 0}, Seq: []int32{3, 3, 4}, Cache: NewCache(m.p)}
	got := run(t, m, env, y)
	k0, k1 := []float64{1, 2}, []float64{-1, 0}
	v0, v1 := []float64{3, 4, 1}, []float64{1, 0, -1}
	mix := func(q ...float64) []float64 {
		a, b := math.Exp(0.5*(q[0]*k0[0]+q[1]*k0[1])), math.Exp(0.5*(q[0]*k1[0]+q[1]*k1[1]))
		out := make([]float64, 3)
		for i := range out {
			out[i] = (a*v0[i] + b*v1[i]) / (a + b)
		}
		return out
	}
	want := [][]float64{{3, 4, 1, 3, 4, 1}, append(mix(-1, 0), mix(1, 0)...), {1, 0, -1, 1, 0, -1}}
	same(t, got, want)

	// The same rows, one batch each.
	one := NewCache(m.p)
	for r := range env.Tokens {
		e := &Env{Tokens: env.Tokens[r : r+1], Pos: env.Pos[r : r+1], Seq: env.Seq[r : r+1], Cache: one}
		same(t, run(t, m, e, y), want[r:r+1])
	}
	key, value := one.Get(layer, 3, 1)
	same(t, [][]float64{key, value}, [][]float64{k1, v1})

	// A cache that rounds, rounds.
	rounded := NewCache(m.p)
	rounded.Round = func(float64) float64 { return 7 }
	env.Cache = rounded
	same(t, run(t, m, env, y)[:1], [][]float64{{7, 7, 7, 7, 7, 7}})

	// A hole in the cache is an error.
	env = &Env{Tokens: []int32{0}, Pos: []int32{2}, Seq: []int32{0}, Cache: NewCache(m.p)}
	if err := m.Run(env); err == nil || !strings.Contains(err.Error(), "nothing is stored at position 0") {
		t.Errorf("got %v, want an error about position 0", err)
	}
}

func TestStepChecksItsInputs(t *testing.T) {
	l := newLab()
	layer := l.Cache(plan.KVLayer{Heads: 1, KeyDim: 4, ValueDim: 4})
	y := l.RMSNorm("y", l.x, l.weight([]float32{1, 1, 1, 1}, 4), 1)
	l.AppendKV(layer, y, y)
	m := l.machine(t, y, 4)
	embed, rms, kv := &m.p.Steps[0], &m.p.Steps[1], &m.p.Steps[2]
	ok := [][]float64{{1, 2, 3, 4}}
	for want, try := range map[string]func() (Values, error){
		"input \"x\" has 0 rows, want 1": func() (Values, error) { return m.Step(rms, Values{}, batch(m, 0)) },
		"input \"x\" is 2 wide, want 4":  func() (Values, error) { return m.Step(rms, Values{1: {{1, 2}}}, batch(m, 0)) },
		"token 3, the vocabulary has 3":  func() (Values, error) { return m.Step(embed, nil, batch(m, 3)) },
		"no tokens":                      func() (Values, error) { return m.Step(embed, nil, &Env{Pos: []int32{0}, Seq: []int32{0}}) },
		"row 0 is at position 8":         func() (Values, error) { return m.Step(rms, Values{1: ok}, &Env{Pos: []int32{8}, Seq: []int32{0}}) },
		"logits of row 1 of 1": func() (Values, error) {
			return m.Step(rms, Values{1: ok}, &Env{Pos: []int32{0}, Seq: []int32{0}, LogitRows: []int32{1}})
		},
		"1 positions, 2 sequence numbers": func() (Values, error) {
			return m.Step(rms, Values{1: ok}, &Env{Pos: []int32{0}, Seq: []int32{0, 1}})
		},
		"no cache":        func() (Values, error) { return m.Step(kv, Values{2: ok}, &Env{Pos: []int32{0}, Seq: []int32{0}}) },
		"not a fine step": func() (Values, error) { return m.fine(&plan.Step{Kind: plan.LMHead}, nil, &Env{}) },
		"has 4 bytes, want ": func() (Values, error) {
			return Step(m.p, append([][]byte{make([]byte, 4)}, l.data[1:]...), rms, nil, nil)
		},
		"data of 1 weights": func() (Values, error) { return Step(m.p, l.data[:1], rms, nil, nil) },
		"plan: no steps":    func() (Values, error) { return Step(&plan.Plan{Vocab: 1, Context: 1}, nil, rms, nil, nil) },
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	out, err := Step(m.p, l.data, rms, Values{1: ok}, batch(m, 0))
	if err != nil {
		t.Fatal(err)
	}
	same(t, out[y], norm(ok, []float64{1, 1, 1, 1}, 1))
}

// A large step is its parts: every step of a fused plan gives what the fine steps
// it replaced give, cache and logits included.
func TestLargeStepsAreTheirParts(t *testing.T) {
	l := newLab()
	r := rand.New(rand.NewPCG(1, 2))
	w := func(shape ...int) plan.Weight {
		n := 1
		for _, s := range shape {
			n *= s
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return l.weight(x, shape...)
	}
	layer := l.Cache(plan.KVLayer{Heads: 1, KeyDim: 2, ValueDim: 2})
	rope := &plan.RopeParams{NEOX: true, Dims: 2, Freqs: []float64{0.5}, MScale: 1}
	h := l.RMSNorm("h", l.x, w(4), 1e-6)
	q, k, v := l.Linear("q", h, w(4, 4), w(4)), l.Linear("k", h, w(2, 4), 0), l.Linear("v", h, w(2, 4), 0)
	q, k = l.Rope("qr", q, 2, 2, rope), l.Rope("kr", k, 1, 2, rope)
	l.AppendKV(layer, k, v)
	a := l.Attention("a", layer, q, 2, 0.7)
	x := l.Add("x2", l.x, l.Linear("o", a, w(4, 4), 0))
	h = l.RMSNorm("h2", x, w(4), 1e-6)
	x = l.Add("x3", x, l.Linear("down", l.SiLUMul("act", l.Linear("gate", h, w(6, 4), 0), l.Linear("up", h, w(6, 4), 0)), w(4, 6), 0))
	l.Logits(l.RMSNorm("n", l.SelectRows("rows", x), w(4), 1e-6), w(3, 4))
	p, err := l.Plan()
	if err != nil {
		t.Fatal(err)
	}
	fused := plan.Fuse(p, nil)
	if len(fused.Steps) != 7 {
		t.Fatalf("fused into %d steps, want 7", len(fused.Steps))
	}
	var logits [2][][]float64
	for i, p := range []*plan.Plan{p, fused} {
		m, err := New(p, l.data)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second round starts from a cleared sequence
			m.Reset()
			first, err := m.Forward([]int32{0, 1})
			if err != nil {
				t.Fatal(err)
			}
			second, err := m.Forward([]int32{2})
			if err != nil {
				t.Fatal(err)
			}
			logits[i] = append(first, second...)
		}
		if _, err := m.Forward(make([]int32, 6)); err == nil {
			t.Error("nine tokens went into a context of eight")
		}
	}
	if d := cmp.Diff(logits[0], logits[1]); d != "" || len(logits[0]) != 3 {
		t.Errorf("-fine +fused\n%s", d)
	}
}
