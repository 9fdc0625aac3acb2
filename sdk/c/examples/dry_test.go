package examples_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// drySettings are the plugin's, in plain Go.
type drySettings struct {
	Multiplier float64 `msgpack:"multiplier"`
	Base       float64 `msgpack:"base"`
	Allowed    int     `msgpack:"allowed_length"`
	Last       int     `msgpack:"penalty_last_n"`
	Breakers   []int32 `msgpack:"breakers"`
}

// dry is what the method's description says, word by word: for each earlier place of
// the last token, count back how many tokens are the same, up to a breaker.
func (s drySettings) dry(history []int32, logits []float32) {
	if s.Last > 0 && len(history) > s.Last {
		history = history[len(history)-s.Last:]
	}
	longest := map[int32]int{}
	n := len(history)
	for at := 0; at < n-1; at++ {
		match := 0
		for match <= at && history[at-match] == history[n-1-match] && !slices.Contains(s.Breakers, history[at-match]) {
			match++
		}
		next := history[at+1]
		if match >= s.Allowed && !slices.Contains(s.Breakers, next) {
			longest[next] = max(longest[next], match)
		}
	}
	for id, match := range longest {
		logits[id] -= float32(min(s.Multiplier*math.Pow(s.Base, float64(match-s.Allowed)), 1e6))
	}
}

// TestDryIsTheMethod compares with plain Go on random histories that repeat.
func TestDryIsTheMethod(t *testing.T) {
	const vocab = 40
	p := load(t, examples.Dry, wasm.Options{Vocab: make([]string, vocab), OnFault: wasm.FailClosed})
	rapid.Check(t, func(t *rapid.T) {
		s := drySettings{
			Multiplier: rapid.Float64Range(0.1, 3).Draw(t, "multiplier"), Base: rapid.Float64Range(1, 3).Draw(t, "base"),
			Allowed: rapid.IntRange(1, 5).Draw(t, "allowed"), Last: rapid.SampledFrom([]int{0, 1, 2, 10, 50, 10000}).Draw(t, "last"),
			Breakers: rapid.SliceOfN(rapid.Int32Range(0, 5), 0, 2).Draw(t, "breakers"),
		}
		few := rapid.Int32Range(1, vocab-1).Draw(t, "tokens")
		history := rapid.SliceOfN(rapid.Int32Range(0, few), 0, 60).Draw(t, "history")
		for range rapid.IntRange(0, 3).Draw(t, "repeats") {
			if len(history) > 0 {
				from := rapid.IntRange(0, len(history)-1).Draw(t, "from")
				history = append(history, history[from:]...)
			}
		}
		want := make([]float32, vocab)
		for i := range want {
			want[i] = float32(i)
		}
		got := slices.Clone(want)
		s.dry(history, want)
		lastSeq++
		if err := p.OpenSeq(lastSeq, config(t, s)); err != nil {
			t.Fatal(err)
		}
		defer p.CloseSeq(lastSeq)
		if rapid.Bool().Draw(t, "plan") {
			p.Plan([]uint64{lastSeq}, [][]int32{history})
		}
		if pick, err := p.Process(lastSeq, history, got); pick != -1 || err != nil {
			t.Fatal(pick, err)
		}
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 1e-5*math.Abs(float64(want[i]))+1e-5 {
				t.Fatalf("%+v, %v: logit %d is %v, want %v", s, history, i, got[i], want[i])
			}
		}
	})
}

func TestDrySettings(t *testing.T) {
	vocab := []string{"a", "b", "c", " d\n", "x:", "\""}
	p := load(t, examples.Dry, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed})
	sample := func(settings any, history ...int32) []float32 {
		var own []byte
		if settings != nil {
			own = config(t, settings)
		}
		lastSeq++
		if err := p.OpenSeq(lastSeq, own); err != nil {
			t.Fatal(err)
		}
		defer p.CloseSeq(lastSeq)
		logits := make([]float32, len(vocab))
		if _, err := p.Process(lastSeq, history, logits); err != nil {
			t.Fatal(err)
		}
		return logits
	}
	for _, c := range []struct {
		settings any
		history  []int32
		token    int
		want     float32
	}{
		{nil, []int32{0, 1, 2, 0, 1}, 2, -0.8},
		{nil, []int32{0, 0, 1, 2, 0, 0, 1}, 2, -0.8 * 1.75},
		{nil, []int32{0, 1, 2, 0, 2, 1}, 2, 0}, // a match of one
		{nil, []int32{0, 1, 3, 0, 1}, 3, 0},    // a breaker may come again
		{nil, []int32{0, 3, 2, 0, 3}, 2, 0},    // the match ends at a breaker
		{nil, []int32{0, 3, 1, 2, 4, 0, 3, 1}, 2, 0},
		{m{"breakers": []string{}}, []int32{0, 3, 2, 0, 3}, 2, -0.8},
		{m{"breakers": []any{"b", 0}}, []int32{2, 3, 5, 2, 3}, 5, -0.8},
		{m{"breakers": []any{"b", 0}}, []int32{0, 2, 5, 0, 2}, 5, 0},
		{m{"multiplier": 0}, []int32{0, 1, 2, 0, 1}, 2, 0},
		{m{"allowed_length": 3}, []int32{0, 1, 2, 0, 1}, 2, 0},
		{m{"penalty_last_n": 4}, []int32{0, 1, 2, 0, 1}, 2, 0},
		{m{"seed": 5, "base": 100}, append(slices.Repeat([]int32{0}, 4000), 1), 0, 0},
		{m{"base": 100}, slices.Repeat([]int32{0}, 4000), 0, -1e6},
	} {
		if got := sample(c.settings, c.history...)[c.token]; math.Abs(float64(got-c.want)) > 1e-5 {
			t.Errorf("%v, %.20v: %v, want %v", c.settings, c.history, got, c.want)
		}
	}
	for want, bad := range map[string]any{
		"unknown key repeat": m{"repeat": 1}, "multiplier: want": m{"multiplier": -1}, "base: want": m{"base": math.NaN()},
		"allowed_length: want": m{"allowed_length": 0}, "penalty_last_n: want": m{"penalty_last_n": -1}, "not a map": 3,
		"no such token": m{"breakers": []int{6}}, "at most 31 texts": m{"breakers": []string{""}}, "want an array of texts": m{"breakers": 1},
	} {
		if err := p.OpenSeq(1, config(t, bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", bad, err, want)
		}
	}
	bare := load(t, examples.Dry, wasm.Options{Deny: []string{"vocab"}})
	if err := bare.OpenSeq(1, config(t, m{"breakers": []string{"x"}})); err == nil || !strings.Contains(err.Error(), "vocabulary is not known") {
		t.Error(err)
	}
	if err := bare.OpenSeq(1, nil); err != nil {
		t.Error(err)
	}
	defer bare.CloseSeq(1)
	logits := make([]float32, 10) // ids beyond the vocabulary do no harm
	if _, err := bare.Process(1, []int32{-1, 5, 1 << 30, -1, 5}, logits); err != nil {
		t.Error(err)
	}
}

// TestDryIsLinear: eight times the history, about eight times the fuel.
func TestDryIsLinear(t *testing.T) {
	p := load(t, examples.Dry, wasm.Options{OnFault: wasm.FailClosed})
	if err := p.OpenSeq(1, config(t, m{"multiplier": 1})); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(1)
	for name, token := range map[string]func(i int) int32{
		"one token": func(int) int32 { return 7 }, "two": func(i int) int32 { return int32(i % 2) },
		"fibonacci": func(i int) int32 {
			return int32(math.Floor(float64(i+2)*0.6180339887) - math.Floor(float64(i+1)*0.6180339887))
		},
		"random": func(i int) int32 { return int32(i * 7919 % 9973) },
	} {
		fuel := func(n int) float64 {
			history := make([]int32, n)
			for i := range history {
				history[i] = token(i)
			}
			logits := make([]float32, 10_000)
			before := p.Stats().Fuel
			if _, err := p.Process(1, history, logits); err != nil {
				t.Fatal(err)
			}
			return float64(p.Stats().Fuel - before)
		}
		fuel(10) // the table for the vocabulary
		small, large := fuel(512), fuel(4096)
		t.Logf("%-10s %3.0f instructions a token", name, large/4096)
		if large > 9*small || large > 300*4096 {
			t.Errorf("%s: fuel %.0f for 512, %.0f for 4096", name, small, large)
		}
	}
}

// TestDemoRepeatsLess: a greedy story that goes in circles does so less.
func TestDemoRepeatsLess(t *testing.T) {
	model, vocab := demoModel(t)
	p := load(t, examples.Dry, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed})
	repeated := func(o sandwarp.GenerateOptions) float64 {
		o.MaxTokens, o.IgnoreEOS = 400, true
		_, ids := generate(t, model, "Once upon a time", o)
		had, again := map[[8]int32]bool{}, 0
		for i := 0; i+8 <= len(ids); i++ {
			k := [8]int32(ids[i : i+8])
			if had[k] {
				again++
			}
			had[k] = true
		}
		return float64(again) / float64(len(ids)-7)
	}
	plain := repeated(sandwarp.GenerateOptions{})
	dried := repeated(sandwarp.GenerateOptions{Processors: []sandwarp.LogitProcessor{p}, Configs: map[string][]byte{p.Name(): config(t, m{"multiplier": 2, "breakers": []string{}})}})
	t.Logf("8-grams that were there before: %.3f without, %.3f with", plain, dried)
	if dried > plain/2 || plain < 0.1 {
		t.Errorf("repeated: %.3f without, %.3f with", plain, dried)
	}
}

func BenchmarkDry(b *testing.B) {
	p := load(b, examples.Dry, wasm.Options{OnFault: wasm.FailClosed})
	if err := p.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	logits := make([]float32, 151_936)
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{256, 1024, 4096} {
		history := make([]int32, n)
		for i := range history {
			history[i] = int32(r.ExpFloat64() * 300)
		}
		name := map[int]string{256: "256", 1024: "1024", 4096: "4096"}[n]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Process(1, history, logits); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/go", func(b *testing.B) {
			s := drySettings{Multiplier: 0.8, Base: 1.75, Allowed: 2}
			for b.Loop() {
				s.dry(history, logits)
			}
		})
	}
}
