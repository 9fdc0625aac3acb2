package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/wasm"
)

// Requests lets every hostile sampler and filter into a request to a model (GGUF),
// beside requests without a plugin and with an honest one: their tokens are, to the
// bit, what they are when nobody attacks. The attacker's own request gets what the
// policy says.
func Requests(t *testing.T, e wasm.Engine, model []byte, tokens int) {
	m, err := sandwarp.OpenBytes(t.Context(), "model.gguf", model, sandwarp.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	honest, err := wasm.Load(t.Context(), honestBias(t), wasm.Options{Config: map[string]any{"bias": map[string]any{"5": 1.5, "77": -2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	ask := func(o sandwarp.GenerateOptions, seed uint64) said {
		o.MaxTokens, o.IgnoreEOS, o.Temperature, o.Seed = tokens, true, 0.8, seed
		return answer(t.Context(), m, o)
	}
	plain := func() said { return ask(sandwarp.GenerateOptions{}, 1) }
	biased := func() said {
		return ask(sandwarp.GenerateOptions{Processors: []sandwarp.LogitProcessor{honest}}, 2)
	}
	wantPlain, wantBiased := plain(), biased()
	if wantPlain.err != nil || wantBiased.err != nil || slices.Equal(wantPlain.ids, wantBiased.ids) {
		t.Fatalf("%+v %+v", wantPlain, wantBiased)
	}
	for _, h := range Hostiles() {
		if h.Refused != "" || h.Kind == abi.KindTokenizer {
			continue
		}
		for _, policy := range []wasm.Policy{wasm.FailOpen, wasm.FailClosed} {
			t.Run(fmt.Sprintf("%s/%d", h.Name, policy), func(t *testing.T) {
				p, err := h.Load(e, policy)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				var wg sync.WaitGroup
				var gotPlain, gotBiased, attacked said
				wg.Go(func() { gotPlain = plain() })
				wg.Go(func() { attacked = ask(h.options(p), 1) })
				wg.Go(func() { gotBiased = biased() })
				wg.Wait()
				if !gotPlain.same(wantPlain) || !gotBiased.same(wantBiased) {
					t.Errorf("others got %+v and %+v,\nwant %+v and %+v", gotPlain, gotBiased, wantPlain, wantBiased)
				}
				h.judgeRequest(t, p, policy, attacked, wantPlain)
			})
		}
	}
}

// said is what a request got.
type said struct {
	ids  []int32
	text string
	err  error
}

func (s said) same(o said) bool {
	return slices.Equal(s.ids, o.ids) && s.text == o.text && s.err == nil && o.err == nil
}

func answer(ctx context.Context, m *sandwarp.Model, o sandwarp.GenerateOptions) (s said) {
	for tok, err := range m.Generate(ctx, "Once upon a time", o) {
		if err != nil {
			s.err = err
			return s
		}
		if tok.ID >= 0 {
			s.ids = append(s.ids, tok.ID)
		}
		s.text += tok.Text
	}
	return s
}

// honestBias is the module of the C SDK's example sampler.
func honestBias(t *testing.T) []byte {
	t.Helper()
	for _, x := range Examples(t) {
		if x.Name == "sdk/c/examples/banlist.wasm" {
			return x.Module
		}
	}
	t.Fatal("no banlist.wasm")
	return nil
}

// options lets the plugin into a request.
func (h *Hostile) options(p *wasm.Plugin) (o sandwarp.GenerateOptions) {
	if h.Kind == abi.KindFilter {
		o.Filters = []sandwarp.Filter{p}
	} else {
		o.Processors = []sandwarp.LogitProcessor{seated{p}}
	}
	return o
}

// seated is a hostile sampler whose sequence is the one it attacks.
type seated struct{ p *wasm.Plugin }

func (s seated) Name() string                          { return s.p.Name() }
func (s seated) OpenSeq(_ uint64, config []byte) error { return s.p.OpenSeq(Attacker, config) }
func (s seated) Accept(_ uint64, tokens []int32) error { return s.p.Accept(Attacker, tokens) }
func (s seated) CloseSeq(uint64)                       { s.p.CloseSeq(Attacker) }
func (s seated) Process(_ uint64, history []int32, logits []float32) (int32, error) {
	return s.p.Process(Attacker, history, logits)
}

// judgeRequest checks what the attacker's own request got: an error that names the
// fault, or under the open policy what it gets without the plugin. An answer that
// had no fault is whatever the plugin made of it.
func (h *Hostile) judgeRequest(t *testing.T, p *wasm.Plugin, policy wasm.Policy, got, without said) {
	t.Helper()
	s := p.Stats()
	var f *wasm.Fault
	switch {
	case s.Faults == 0 && got.err != nil && !errors.Is(got.err, sandwarp.ErrNoCandidate):
		t.Errorf("no fault, but %v", got.err)
	case s.Faults > 0 && policy == wasm.FailClosed && !errors.As(got.err, &f):
		t.Errorf("closed: %v", got.err)
	case s.Faults > 0 && policy == wasm.FailClosed && h.Kind == abi.KindFilter && got.text != "":
		t.Errorf("closed: %q leaked", got.text)
	case s.Faults > 0 && policy == wasm.FailOpen && got.err != nil:
		t.Errorf("open: %v", got.err)
	case s.Faults > 0 && s.Faults >= s.Calls && policy == wasm.FailOpen && !got.same(without):
		t.Errorf("open: %+v, want %+v", got, without)
	}
}
