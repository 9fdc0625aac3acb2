package sandwarp_test

import (
	"slices"
	"sync"
	"testing"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestPluginsCostNoAllocation measures a long answer against a short one, with plugins
// that edit each token and say so.
func TestPluginsCostNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := tiny(t, sandwarp.Options{})
	o := sandwarp.GenerateOptions{IgnoreEOS: true}
	o.Processors = []sandwarp.LogitProcessor{
		banlist(t, "one", map[string]any{"ban": []int{1}}), &nudge{"nudge", 3}, banlist(t, "two", map[string]any{"bias": map[int]float64{4: 1}}),
	}
	letter, err := m.Encode("a", false)
	if err != nil {
		t.Fatal(err)
	}
	o.Bias = map[int32]float32{letter[0]: 1e4}
	run := func(n int) float64 {
		o.MaxTokens = n
		return testing.AllocsPerRun(5, func() {
			s := m.NewSession()
			defer s.Close()
			for tok, err := range s.GenerateTokens(t.Context(), []int32{1, 2, 3}, o) {
				if err != nil || len(tok.Changes) != 3 {
					t.Fatal(tok, err)
				}
			}
		})
	}
	run(10)
	// What a plugin's past takes grows by doubling.
	if short, long := run(16), run(216); long-short > 20 {
		t.Errorf("16 tokens: %v allocations, 216: %v", short, long)
	}
}

// TestLeavingPluginsBehind ends answers early: tokens nobody read are taken back, and
// nothing is left open.
func TestLeavingPluginsBehind(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 64})
	p := banlist(t, "p", map[string]any{"ban": []int{1}})
	o := sandwarp.GenerateOptions{IgnoreEOS: true, WhenFull: sandwarp.ContextSlide, MaxTokens: 500}
	o.Processors = []sandwarp.LogitProcessor{p}
	for _, leave := range []int{1, 3, 62, 200} {
		s, n := m.NewSession(), 0
		for _, err := range s.Generate(t.Context(), "abc", o) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == leave {
				break
			}
		}
		s.Close()
	}
	if s := p.Stats(); s.Sequences != 0 || s.Faults != 0 || s.Skipped != 0 || s.Calls+s.Planned < 266 {
		t.Errorf("%+v", s)
	}
}

// TestSwapBetweenAnswers replaces a sampler while sessions talk: each answer is that
// of one version or the other.
func TestSwapBetweenAnswers(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	load := func(ban int32) *wasm.Plugin {
		return banlist(t, "list", map[string]any{"allow": []int32{ban, ban + 1}})
	}
	s := wasm.NewSwap(load(10))
	defer s.Close()
	o := short(20)
	o.Processors = []sandwarp.LogitProcessor{s}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 12 {
				got := run(t, m, o)
				first := int32(10)
				if len(got.ids) > 0 && got.ids[0] >= 20 {
					first = 20
				}
				if got.err != nil || len(got.ids) != 20 || slices.ContainsFunc(got.ids, func(id int32) bool { return id != first && id != first+1 }) {
					t.Errorf("%v, %v", got.ids, got.err)
				}
			}
		})
	}
	for i := range 20 {
		if err := s.Swap(load(10 + 10*int32(i%2))); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// TestForksAndTheirOriginsClose in any order, and go on as a conversation that had
// the same said to it.
func TestForksAndTheirOriginsClose(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	say := func(s *sandwarp.Session, what string) []int32 {
		ids, _ := collect(t, s, what, short(8))
		return ids
	}
	for _, first := range []string{"origin", "fork", "both", "neither"} {
		fresh, s := m.NewSession(), m.NewSession()
		say(fresh, "one two three")
		say(s, "one two three")
		f, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		g, err := f.Fork() // of a fork
		if err != nil {
			t.Fatal(err)
		}
		if first == "origin" || first == "both" {
			s.Close()
		}
		if first == "fork" || first == "both" {
			f.Close()
		}
		want := say(fresh, " four")
		for name, c := range map[string]*sandwarp.Session{"origin": s, "fork": f, "fork of the fork": g} {
			if first == name || first == "both" && c != g {
				if _, err := c.Fork(); err == nil {
					t.Errorf("%s closed first: %s forks though closed", first, name)
				}
				continue
			}
			if got := say(c, " four"); !slices.Equal(got, want) {
				t.Errorf("%s closed first: %s says %v, want %v", first, name, got, want)
			}
		}
		for _, c := range []*sandwarp.Session{g, s, f, fresh} {
			c.Close()
		}
		if l := m.Load(); l.FreePages != l.Pages {
			t.Errorf("%s closed first: %+v", first, l)
		}
	}
}
