package examples_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// grown is a sequence of a tree: its tokens, whatever forks and rollbacks led there.
type grown struct {
	seq      uint64
	settings any
	tokens   []int32
}

// tree grows sequences of a sampler at random: tokens are accepted, taken back, and
// branches forked.
type tree struct {
	t     *testing.T
	p     *wasm.Plugin
	r     *rand.Rand
	base  []float32 // logits before the sampler
	row   []float32
	all   []*grown
	start []int32 // history before each sequence's own tokens
}

// answer is what the sampler makes of the logits.
func (g *tree) answer(seq uint64, tokens []int32) (pick int32, logits []float32) {
	g.t.Helper()
	copy(g.row, g.base)
	pick, err := g.p.Process(seq, append(slices.Clone(g.start), tokens...), g.row)
	if err != nil {
		g.t.Fatalf("after %v: %v", tokens, err)
	}
	return pick, slices.Clone(g.row)
}

// straight is the answer to a sequence that only ever accepted these tokens.
func (g *tree) straight(x *grown) (int32, []float32) {
	g.t.Helper()
	lastSeq++
	seq := lastSeq
	if err := g.p.OpenSeq(seq, config(g.t, x.settings)); err != nil {
		g.t.Fatal(err)
	}
	defer g.p.CloseSeq(seq)
	if err := g.p.Accept(seq, x.tokens); err != nil {
		g.t.Fatal(err)
	}
	return g.answer(seq, x.tokens)
}

func (g *tree) compare(x *grown) {
	g.t.Helper()
	pick, got := g.answer(x.seq, x.tokens)
	wantPick, want := g.straight(x)
	if pick != wantPick || pick < 0 && !slices.Equal(got, want) {
		g.t.Fatalf("%v after %v: not what a straight sequence gives", x.settings, x.tokens)
	}
}

// step does one thing to one sequence.
func (g *tree) step(settings []any) {
	g.t.Helper()
	lastSeq++
	if len(g.all) == 0 || g.r.IntN(60) == 0 {
		x := &grown{seq: lastSeq, settings: settings[g.r.IntN(len(settings))]}
		if err := g.p.OpenSeq(x.seq, config(g.t, x.settings)); err != nil {
			g.t.Fatal(err)
		}
		g.all = append(g.all, x)
		return
	}
	i := g.r.IntN(len(g.all))
	x := g.all[i]
	switch k := g.r.IntN(12); {
	case k == 0:
		if err := g.p.ForkSeq(x.seq, lastSeq); err != nil {
			g.t.Fatal(err)
		}
		g.all = append(g.all, &grown{lastSeq, x.settings, slices.Clone(x.tokens)})
	case k == 1 && len(g.all) > 8:
		g.p.CloseSeq(x.seq)
		g.all = slices.Delete(g.all, i, i+1)
	case k <= 3 && len(x.tokens) > 0:
		n := 1 + g.r.IntN(min(len(x.tokens), 1+g.r.IntN(30)))
		if err := g.p.Rollback(x.seq, n); err != nil {
			g.t.Fatal(err)
		}
		x.tokens = x.tokens[:len(x.tokens)-n]
	case k == 4:
		g.compare(x)
	case k == 5:
		g.p.Plan([]uint64{x.seq}, [][]int32{append(slices.Clone(g.start), x.tokens...)})
	default:
		g.accept(x)
	}
}

// accept goes on with a token the sampler allows.
func (g *tree) accept(x *grown) {
	g.t.Helper()
	id, logits := g.answer(x.seq, x.tokens)
	if id < 0 {
		var may []int32
		for t, l := range logits {
			if l > -1e9 {
				may = append(may, int32(t))
			}
		}
		id = may[g.r.IntN(len(may))]
	}
	if err := g.p.Accept(x.seq, []int32{id}); err != nil {
		g.t.Fatal(err)
	}
	x.tokens = append(x.tokens, id)
}

// TestSequencesAreTrees: after any forks and rollbacks a sampler answers as if the
// tokens that remain had come one after another. The samplers do both themselves.
func TestSequencesAreTrees(t *testing.T) {
	pieces := append(append([]string{}, byteVocab...), `{"`, `":`, `",`, `null`, "12", "ab", "  ", "é", "\n")
	person := `{"type":"object","properties":{"name":{"type":"string","maxLength":9},"tags":{"type":"array","items":{"enum":["ab","ac",12]}}},"required":["name"]}`
	for name, c := range map[string]struct {
		module   []byte
		settings []any
		vocab    []string
	}{
		"constrain": {examples.Constrain, []any{m{"json": true}, m{"json": true, "max_tokens": 30}, m{"schema": person}, m{"regex": "(ab|a[b-z]{1,20})*c"}, nil}, pieces},
		"dry":       {examples.Dry, []any{nil, m{"multiplier": 2, "allowed_length": 1, "breakers": []any{"e", 3}}, m{"penalty_last_n": 20}}, pieces[:48]},
		"watermark": {examples.Watermark, []any{nil, m{"key": "a"}, m{"key": "b", "window": 3, "delta": 1.5}}, pieces[:64]},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.module, wasm.Options{Vocab: c.vocab, OnFault: wasm.FailClosed})
			d, err := wasm.Describe(c.module)
			if err != nil || !slices.Contains(d.Exports, "sw_seq_fork") || !slices.Contains(d.Exports, "sw_seq_rollback") {
				t.Fatal("the host would do it", err)
			}
			g := &tree{t: t, p: p, r: rand.New(rand.NewPCG(1, 2)), base: make([]float32, len(c.vocab)), row: make([]float32, len(c.vocab)), start: []int32{1, 2, 3}}
			for i := range g.base {
				g.base[i] = float32(g.r.NormFloat64())
			}
			for range 1000 {
				g.step(c.settings)
			}
			for _, x := range g.all {
				g.compare(x)
				p.CloseSeq(x.seq)
			}
		})
	}
}
