package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// Matrix lets every hostile plugin loose under both policies: the policy decides
// what its request gets, and nobody else notices anything. It returns the number
// of combinations.
func Matrix(t *testing.T, e wasm.Engine) (n int) {
	for _, h := range Hostiles() {
		for _, policy := range []wasm.Policy{wasm.FailOpen, wasm.FailClosed} {
			n++
			t.Run(fmt.Sprintf("%s/%s", h.Name, map[wasm.Policy]string{wasm.FailOpen: "open", wasm.FailClosed: "closed"}[policy]), func(t *testing.T) {
				h.attack(t, e, policy)
			})
		}
	}
	return n
}

// Limits of hostile plugins, small so that the tests are quick.
var hostileLimits = wasm.Limits{ConfigureFuel: 1_000_000, Memory: 16 << 20}

// Load loads the plugin with a breaker that never opens.
func (h *Hostile) Load(e wasm.Engine, policy wasm.Policy) (*wasm.Plugin, error) {
	return wasm.Load(context.Background(), h.Module, wasm.Options{
		Engine: e, OnFault: policy, Limits: hostileLimits, Breaker: wasm.Breaker{Faults: math.MaxInt32}, Instances: 1,
		Log: func(int, string) {},
	})
}

func (h *Hostile) attack(t *testing.T, e wasm.Engine, policy wasm.Policy) {
	p, err := h.Load(e, policy)
	if h.Refused != "" {
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), h.Refused) {
			t.Errorf("loading it: %v, want %q", err, h.Refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	switch h.Kind {
	case abi.KindSampler:
		h.sampler(t, p, policy)
	case abi.KindFilter:
		h.filter(t, p, policy)
	case abi.KindTokenizer:
		h.tokenizer(t, p)
	}
}

// judge checks an attack's outcome against the policy; it says whether there was a
// fault.
func (h *Hostile) judge(t *testing.T, p *wasm.Plugin, policy wasm.Policy, faults uint64, err error) bool {
	t.Helper()
	failed := p.Stats().Faults > faults
	var f *wasm.Fault
	switch {
	case failed && len(h.Want) == 0:
		t.Errorf("a fault, where nothing is forbidden: %v", err)
	case failed && policy == wasm.FailOpen && err != nil:
		t.Errorf("open: %v", err)
	case failed && policy == wasm.FailClosed && (!errors.As(err, &f) || !slices.Contains(h.Want, f.Reason)):
		t.Errorf("closed: %v, want %q", err, h.Want)
	case !failed && err != nil:
		t.Errorf("an error without a fault: %v", err)
	}
	return failed
}

const vocabOfAttacks = 100

func ramp() []float32 {
	v := make([]float32, vocabOfAttacks)
	for i := range v {
		v[i] = float32(i%17) - 5
	}
	return v
}

// sampler attacks in one sequence, while two others go on as if it were not there.
func (h *Hostile) sampler(t *testing.T, p *wasm.Plugin, policy wasm.Policy) {
	for _, seq := range []uint64{1, Attacker, 2} {
		if err := p.OpenSeq(seq, nil); err != nil {
			t.Fatal(err)
		}
	}
	faulted := false
	accepted := int32(0)
	for round := range 6 {
		if !h.Everybody {
			if err := p.Accept(1, []int32{5}); err != nil {
				t.Fatal(err)
			}
			accepted++
		}
		faults := p.Stats().Faults
		logits := ramp()
		if round%2 == 1 {
			if row, err := p.Frame(Attacker, vocabOfAttacks); err == nil {
				logits = row
				copy(logits, ramp())
			}
		}
		pick, err := p.Process(Attacker, nil, logits)
		if h.judge(t, p, policy, faults, err) {
			faulted = true
			if pick != -1 || policy == wasm.FailOpen && !slices.Equal(logits, ramp()) {
				t.Errorf("round %d: a failed sampler picks %d and leaves %v", round, pick, logits[:8])
			}
		} else {
			usable(t, pick, logits)
		}
		for _, seq := range []uint64{1, 2} {
			h.neighbour(t, p, policy, seq, accepted)
		}
	}
	// A reason of "" says that the attack may also come to nothing.
	if !faulted && len(h.Want) > 0 && !slices.Contains(h.Want, "") {
		t.Error("the attack had no fault")
	}
}

// usable fails unless a token can be chosen.
func usable(t *testing.T, pick int32, logits []float32) {
	t.Helper()
	if pick >= 0 && int(pick) < len(logits) {
		return
	}
	some := pick == -1
	for _, v := range logits {
		if !(v <= math.MaxFloat32) {
			t.Fatalf("a logit is %v", v)
		}
	}
	if !some || !slices.ContainsFunc(logits, func(v float32) bool { return v >= -math.MaxFloat32 }) {
		t.Fatalf("pick %d, no token left", pick)
	}
}

// neighbour checks that another sequence gets what it would get without attacks.
func (h *Hostile) neighbour(t *testing.T, p *wasm.Plugin, policy wasm.Policy, seq uint64, accepted int32) {
	t.Helper()
	logits := ramp()
	pick, err := p.Process(seq, nil, logits)
	switch {
	case h.Everybody && policy == wasm.FailClosed:
		if err == nil {
			t.Errorf("sequence %d: no error", seq)
		}
	case h.Everybody:
		if pick != -1 || err != nil || !slices.Equal(logits, ramp()) {
			t.Errorf("sequence %d: %d %v", seq, pick, err)
		}
	case err != nil || pick != accepted:
		t.Errorf("sequence %d picks %d, %v; want %d", seq, pick, err, accepted)
	}
}

func (h *Hostile) filter(t *testing.T, p *wasm.Plugin, policy wasm.Policy) {
	const text = "abcdé"
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		faults := p.Stats().Faults
		out, n, stop, err := p.Filter(1, []byte(text), 0)
		if !h.judge(t, p, policy, faults, err) {
			t.Errorf("no fault: %q %d", out, n)
		}
		want := ""
		if policy == wasm.FailOpen {
			want = text
		}
		if string(out) != want || n != len(want) || stop {
			t.Errorf("released %q, consumed %d, stop %v; want %q", out, n, stop, want)
		}
	}
}

// tokenizer: there is nothing to fall back to, so both policies are closed.
func (h *Hostile) tokenizer(t *testing.T, p *wasm.Plugin) {
	for range 3 {
		faults := p.Stats().Faults
		ids, err := p.Encode([]int32{1}, "x", false)
		if !h.judge(t, p, wasm.FailClosed, faults, err) || len(ids) != 1 {
			t.Errorf("%d ids, %v", len(ids), err)
		}
		if b, err := p.Decode(nil, []int32{1}, false); err != nil || len(b) != 0 {
			t.Errorf("after it: %q %v", b, err)
		}
	}
}
