package examples_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

type m = map[string]any

// process opens a sequence with a request's settings, nil for none, and returns
// what becomes of logits.
func process(t fataler, p *wasm.Plugin, settings []byte, logits []float32) []float32 {
	t.Helper()
	lastSeq++
	seq := lastSeq
	if err := p.OpenSeq(seq, settings); err != nil {
		t.Fatalf("open: %v", err)
	}
	defer p.CloseSeq(seq)
	out := append([]float32(nil), logits...)
	if pick, err := p.Process(seq, nil, out); pick != -1 || err != nil {
		t.Fatalf("pick %d, error %v", pick, err)
	}
	return out
}

var inf = float32(math.Inf(-1))

func TestBanlist(t *testing.T) {
	for _, c := range []struct {
		plugin, request any
		want            []float32 // of logits 0, 1, 2, ... 9
	}{
		{nil, nil, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{m{}, m{}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{m{"ban": []int{3, 3}}, nil, []float32{0, 1, 2, inf, 4, 5, 6, 7, 8, 9}},
		{m{"bias": map[int]float64{1: -0.5, 9: 2}}, nil, []float32{0, 0.5, 2, 3, 4, 5, 6, 7, 8, 11}},
		{m{"bias": m{"7": 1, "8": math.Inf(-1)}}, nil, []float32{0, 1, 2, 3, 4, 5, 6, 8, inf, 9}},
		{m{"allow": []int{2, 9}}, nil, []float32{inf, inf, 2, inf, inf, inf, inf, inf, inf, 9}},
		{m{"allow": []int{2, 8, 9}, "ban": []int{9}, "bias": m{"2": 1}}, nil, []float32{inf, inf, 3, inf, inf, inf, inf, inf, 8, inf}},
		{m{"ban": []int{0}, "bias": m{"1": 1}}, m{"ban": []int{9}, "bias": m{"1": 1}, "seed": 5}, []float32{inf, 3, 2, 3, 4, 5, 6, 7, 8, inf}},
		{m{"allow": []int{1, 2, 3}}, m{"allow": []int{2, 3, 4}}, []float32{inf, inf, 2, 3, inf, inf, inf, inf, inf, inf}},
		// Ids the model does not have, its size not being known before.
		{m{"ban": []int{3, 10, 4000000}, "allow": []int{3, 5, 999}, "bias": m{"77": 1}}, nil, []float32{inf, inf, inf, inf, inf, 5, inf, inf, inf, inf}},
	} {
		p := load(t, examples.Banlist, wasm.Options{Config: c.plugin})
		var settings []byte
		if c.request != nil {
			settings = config(t, c.request)
		}
		got := process(t, p, settings, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v, %v:\n gives %v\n want  %v", c.plugin, c.request, got, c.want)
				break
			}
		}
	}
}

func TestBanlistRefuses(t *testing.T) {
	p := load(t, examples.Banlist, wasm.Options{Vocab: []string{"a", "b", "c"}, Config: m{"ban": []int{0}}})
	for _, c := range []struct {
		bad  any
		want string
	}{
		{m{"ban": 3}, "ban: want an array"},
		{m{"ban": []int{-1}}, "ban: want an array of token ids"},
		{m{"ban": []any{"x"}}, "ban: want an array of token ids"},
		{m{"ban": []int{3}}, "token 3: the vocabulary has 3"},
		{m{"allow": []int{}}, "one at least"},
		{m{"allow": []int{0}}, "no token is left"},
		{m{"allow": []int{1, 1 << 30}}, "allow: want an array of token ids"},
		{m{"bias": []int{1}}, "bias: want a map"},
		{m{"bias": m{"x": 1}}, "bias: want a map"},
		{m{"bias": m{"1": math.NaN()}}, "finite"},
		{m{"bias": m{"1": math.Inf(1)}}, "finite"},
		{m{"bias": m{"1": 1e300}}, "finite"},
		{m{"forbid": []int{1}}, "unknown key forbid; known are ban, allow, bias"},
		{[]int{1}, "not a map"},
	} {
		if err := p.OpenSeq(1, config(t, c.bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.bad, err, c.want)
		}
	}
	if got := process(t, p, nil, make([]float32, 3)); got[0] != inf || got[1] != 0 { // still there
		t.Error(got)
	}
}

// TestBanlistIsTheModel compares with what the settings say, in plain Go.
func TestBanlistIsTheModel(t *testing.T) {
	const vocab = 300
	type settings struct {
		Ban   []int           `msgpack:"ban"`
		Allow []int           `msgpack:"allow,omitempty"`
		Bias  map[int]float32 `msgpack:"bias"`
	}
	ids := rapid.IntRange(0, vocab-1)
	p := load(t, examples.Banlist, wasm.Options{})
	apply := func(s settings, logits []float32) {
		allowed := map[int]bool{}
		for _, id := range s.Allow {
			allowed[id] = true
		}
		for i := range logits {
			if len(s.Allow) > 0 && !allowed[i] {
				logits[i] = inf
			}
			logits[i] += s.Bias[i]
		}
		for _, id := range s.Ban {
			logits[id] = inf
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := settings{
			Ban:   rapid.SliceOfN(ids, 0, 100).Draw(t, "ban"),
			Allow: rapid.SliceOfN(ids, 0, 100).Draw(t, "allow"),
			Bias:  rapid.MapOfN(ids, rapid.Float32Range(-10, 10), 0, 100).Draw(t, "bias"),
		}
		want := make([]float32, vocab)
		for i := range want {
			want[i] = float32(i)
		}
		logits := append([]float32(nil), want...)
		apply(s, want)
		left := len(s.Allow) == 0
		for _, id := range s.Allow {
			left = left || want[id] != inf
		}
		if !left {
			return // refused, see above
		}
		got := process(t, p, config(t, s), logits)
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%+v: logit %d is %v, want %v", s, i, got[i], want[i])
			}
		}
	})
}

func BenchmarkBanlist(b *testing.B) {
	many := make([]int, 1000)
	for i := range many {
		many[i] = 150 * i
	}
	for name, settings := range map[string]m{
		"ban3": {"ban": []int{3, 4, 5}}, "ban1000": {"ban": many}, "allow1000": {"allow": many},
	} {
		b.Run(name, func(b *testing.B) {
			p := load(b, examples.Banlist, wasm.Options{Config: settings})
			if err := p.OpenSeq(1, nil); err != nil {
				b.Fatal(err)
			}
			logits := make([]float32, 151_936)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Process(1, nil, logits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
