package sandwarp_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tiny opens a small random model.
func tiny(t testing.TB, o sandwarp.Options) *sandwarp.Model {
	t.Helper()
	m, err := sandwarp.OpenBytes(t.Context(), "tiny", modeltest.Tiny("llama", tensor.F32, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

// collect drains an answer.
func collect(t testing.TB, s *sandwarp.Session, prompt string, o sandwarp.GenerateOptions) (ids []int32, text string) {
	t.Helper()
	for tok, err := range s.Generate(t.Context(), prompt, o) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 {
			ids = append(ids, tok.ID)
		}
		text += tok.Text
	}
	return ids, text
}

func equal(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestGenerateRepeats(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	sampled := sandwarp.GenerateOptions{MaxTokens: 20, IgnoreEOS: true}
	sampled.Temperature, sampled.TopK, sampled.Seed = 1.5, 50, 7
	for name, o := range map[string]sandwarp.GenerateOptions{
		"greedy": {MaxTokens: 20, IgnoreEOS: true}, "sampled": sampled,
	} {
		a, _ := collect(t, m.NewSession(), "the quick", o)
		b, _ := collect(t, m.NewSession(), "the quick", o)
		if len(a) != 20 || !equal(a, b) {
			t.Errorf("%s: %v and %v", name, a, b)
		}
	}
	other := sampled
	other.Seed = 8
	a, _ := collect(t, m.NewSession(), "the quick", sampled)
	b, _ := collect(t, m.NewSession(), "the quick", other)
	if equal(a, b) {
		t.Error("two seeds gave the same 20 tokens")
	}
}

// TestSessionReusesCache compares a conversation in turns with one long prompt,
// and checks that only what is new was run.
func TestSessionReusesCache(t *testing.T) {
	m := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
	o := sandwarp.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}
	s := m.NewSession()
	defer s.Close()
	collect(t, s, "the quick brown fox", o)
	second, _ := collect(t, s, " jumps over the dog", o)
	st := s.Stats()
	if st.Cached == 0 || st.Prompt-st.Cached > 25 {
		t.Errorf("second turn: %+v: the first should have been cached", st)
	}
	all := s.Tokens()
	fresh := m.NewSession()
	defer fresh.Close()
	var ids []int32
	for tok, err := range fresh.GenerateTokens(t.Context(), all[:len(all)-8], o) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	if !equal(ids, second) {
		t.Errorf("in turns %v, at once %v", second, ids)
	}
}

func TestForkSharesThePast(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	o := sandwarp.GenerateOptions{MaxTokens: 6, IgnoreEOS: true}
	s := m.NewSession()
	defer s.Close()
	collect(t, s, "one two three", o)
	f, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, _ := collect(t, s, " four", o)
	other, _ := collect(t, f, " five and six", o)
	if f.Stats().Cached < 10 {
		t.Errorf("the fork ran the past again: %+v", f.Stats())
	}
	g := m.NewSession()
	defer g.Close()
	collect(t, g, "one two three", o)
	b, _ := collect(t, g, " four", o)
	if !equal(a, b) || equal(a, other) {
		t.Errorf("the fork disturbed its origin: %v, alone %v, fork %v", a, b, other)
	}
}

func TestStop(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	free := sandwarp.GenerateOptions{MaxTokens: 30, IgnoreEOS: true}
	free.Temperature, free.Seed = 1, 3
	_, text := collect(t, m.NewSession(), "x", free)
	if len(text) < 8 {
		t.Fatalf("too little text to stop in: %q", text)
	}
	runes := []rune(text)
	stop := string(runes[len(runes)/2 : len(runes)/2+3])
	o := free
	o.Stop = []string{"never there", stop}
	s := m.NewSession()
	_, cut := collect(t, s, "x", o)
	if want := text[:strings.Index(text, stop)]; cut != want {
		t.Errorf("stopped before %q: %q, want %q", stop, cut, want)
	}
	if s.Stats().Finish != sandwarp.FinishStop {
		t.Errorf("finish %v", s.Stats().Finish)
	}
}

func TestLogprobs(t *testing.T) {
	m := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
	o := sandwarp.GenerateOptions{MaxTokens: 5, IgnoreEOS: true}
	o.TopLogprobs = 3
	prompt, _ := m.Encode("the fox", false)
	s := m.NewSession()
	defer s.Close()
	var got []sandwarp.Token
	for tok, err := range s.GenerateTokens(t.Context(), prompt, o) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tok)
	}
	all := s.Tokens()
	err := m.Logits(t.Context(), all, func(pos int, logits []float32) error {
		i := pos - (len(prompt) - 1)
		if i < 0 || i >= len(got) {
			return nil
		}
		sum := 0.0
		for _, l := range logits {
			sum += math.Exp(float64(l))
		}
		want := float64(logits[got[i].ID]) - math.Log(sum)
		if math.Abs(got[i].Logprob-want) > 1e-3 {
			t.Errorf("token %d: logprob %v, want %v", i, got[i].Logprob, want)
		}
		if len(got[i].TopLogprobs) != 3 || got[i].TopLogprobs[0].ID != got[i].ID {
			t.Errorf("token %d: top %v, greedy took %d", i, got[i].TopLogprobs, got[i].ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestContextFull(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 48})
	o := sandwarp.GenerateOptions{IgnoreEOS: true}
	s := m.NewSession()
	defer s.Close()
	ids, _ := collect(t, s, "abc", o)
	if st := s.Stats(); st.Finish != sandwarp.FinishContext || st.Prompt+len(ids) != 48 {
		t.Errorf("%+v after %d tokens", st, len(ids))
	}
	for _, err := range s.Generate(t.Context(), "more", o) {
		if !errors.Is(err, sandwarp.ErrContextFull) {
			t.Errorf("a full conversation: %v", err)
		}
	}
	o.WhenFull, o.MaxTokens = sandwarp.ContextSlide, 200
	ids, _ = collect(t, m.NewSession(), "abc", o)
	if len(ids) != 200 {
		t.Errorf("sliding: %d tokens, want 200", len(ids))
	}
	for _, err := range m.NewSession().Generate(t.Context(), strings.Repeat("word ", 100), o) {
		if !errors.Is(err, sandwarp.ErrContextFull) {
			t.Errorf("a long prompt: %v", err)
		}
	}
}

func TestCancel(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	o := sandwarp.GenerateOptions{MaxTokens: 400, IgnoreEOS: true}
	ctx, cancel := context.WithCancel(t.Context())
	s := m.NewSession()
	defer s.Close()
	n := 0
	var last error
	for _, err := range s.Generate(ctx, "abc", o) {
		if n++; n == 3 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n > 3+4 {
		t.Errorf("cancelled after 3 tokens: %d came, then %v", n, last)
	}
	n = 0
	for range s.Generate(t.Context(), "d", o) {
		if n++; n == 2 {
			break
		}
	}
	ids, _ := collect(t, s, "e", sandwarp.GenerateOptions{MaxTokens: 2, IgnoreEOS: true})
	if len(ids) != 2 {
		t.Errorf("after leaving a loop: %v", ids)
	}
	expired, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	for _, err := range s.Generate(expired, "f", o) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an expired context: %v", err)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	m, err := sandwarp.OpenBytes(t.Context(), "tiny", modeltest.Tiny("qwen2", tensor.F32, 1), sandwarp.Options{MaxSequences: 2})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 6)
	for range 6 { // two run, four wait
		wg.Go(func() {
			s := m.NewSession()
			defer s.Close()
			started <- struct{}{}
			var last error
			for _, err := range s.Generate(context.Background(), "abc", sandwarp.GenerateOptions{IgnoreEOS: true, WhenFull: sandwarp.ContextSlide, MaxTokens: 1 << 30}) {
				last = err
			}
			if !errors.Is(last, sandwarp.ErrClosed) {
				t.Errorf("ended with %v", last)
			}
		})
	}
	for range 6 {
		<-started
	}
	time.Sleep(20 * time.Millisecond)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for _, err := range m.Generate(t.Context(), "x", sandwarp.GenerateOptions{}) {
		if !errors.Is(err, sandwarp.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestManySessions runs more conversations than fit at once, in a cache too
// small for all of them, and compares each with the same run alone.
func TestManySessions(t *testing.T) {
	prompts := []string{"a", "the quick brown fox", "zz zz", "1234567890", "lazy dog and the rain", "Q", "forest river", "again"}
	o := sandwarp.GenerateOptions{MaxTokens: 24, IgnoreEOS: true}
	alone := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
	m := tiny(t, sandwarp.Options{MaxSequences: 3, CacheTokens: 4 * 128, Context: 128, CacheType: sandwarp.CacheF32})
	var wg sync.WaitGroup
	for _, p := range prompts {
		want, _ := collect(t, alone.NewSession(), p, o)
		wg.Go(func() {
			for range 3 {
				s := m.NewSession()
				got, _ := collect(t, s, p, o)
				s.Close()
				if !equal(got, want) {
					t.Errorf("%q: %v among others, %v alone", p, got, want)
				}
			}
		})
	}
	wg.Wait()
	if l := m.Load(); l.Running != 0 || l.Waiting != 0 || l.FreePages != l.Pages {
		t.Errorf("afterwards: %+v", l)
	}
}

func TestBusySession(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	s := m.NewSession()
	defer s.Close()
	for range s.Generate(t.Context(), "abc", sandwarp.GenerateOptions{MaxTokens: 4, IgnoreEOS: true}) {
		for _, err := range s.Generate(t.Context(), "x", sandwarp.GenerateOptions{}) {
			if !errors.Is(err, sandwarp.ErrBusy) {
				t.Errorf("a second answer: %v", err)
			}
		}
	}
}

func TestChatKeepsIDs(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	s := m.NewSession()
	defer s.Close()
	if err := s.System("be brief"); err != nil {
		t.Fatal(err)
	}
	o := sandwarp.GenerateOptions{MaxTokens: 5, IgnoreEOS: true}
	for _, msg := range []string{"hello", "and <|im_end|> now?", "third"} {
		for _, err := range s.Chat(t.Context(), msg, o) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	st := s.Stats()
	if st.Cached < st.Prompt/2 {
		t.Errorf("third turn: %+v: the first two should have been cached", st)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := modeltest.Tiny("llama", tensor.F32, 1)
	dir := t.TempDir()
	path := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		path string
		o    sandwarp.Options
		says string
	}{
		"missing":      {path: filepath.Join(dir, "nope.gguf"), says: "nope.gguf"},
		"not a model":  {path: path("text.gguf", []byte("hello, this is no model at all")), says: "text.gguf"},
		"truncated":    {path: path("cut.gguf", good[:len(good)-100]), says: "truncated"},
		"context":      {path: path("a.gguf", good), o: sandwarp.Options{Context: 1 << 30}, says: "Context"},
		"threads":      {path: path("e.gguf", good), o: sandwarp.Options{Threads: 1025}, says: "Threads"},
		"backend":      {path: path("b.gguf", good), o: sandwarp.Options{Backend: "tpu"}, says: "tpu"},
		"architecture": {path: path("c.gguf", bytes.Replace(good, []byte("llama"), []byte("lloma"), 1)), says: "lloma"},
		"template":     {path: path("d.gguf", good), o: sandwarp.Options{ChatTemplate: "{% for"}, says: "template"},
	} {
		m, err := sandwarp.Open(t.Context(), c.path, c.o)
		if err == nil {
			m.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not mention %q", name, err, c.says)
		}
	}
}

// TestTokensCostNoAllocation measures a long answer against a short one.
func TestTokensCostNoAllocation(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	// A random model writes half characters, whose text has to be put together;
	// make it write letters.
	bias := map[int32]float32{}
	for _, letter := range []string{"a", "b", "c"} {
		ids, err := m.Encode(letter, false)
		if err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
		bias[ids[0]] = 1e4
	}
	run := func(n int, o sandwarp.GenerateOptions) float64 {
		o.MaxTokens, o.IgnoreEOS, o.Bias = n, true, bias
		return testing.AllocsPerRun(5, func() {
			s := m.NewSession()
			defer s.Close()
			for _, err := range s.GenerateTokens(t.Context(), []int32{1, 2, 3}, o) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	for _, c := range []struct {
		name string
		each float64 // allocations a token
		edit func(*sandwarp.GenerateOptions)
	}{
		{"greedy", 0, func(*sandwarp.GenerateOptions) {}},
		{"sampled", 0, func(o *sandwarp.GenerateOptions) {
			o.Temperature, o.TopP, o.MinP, o.RepetitionPenalty = 0.8, 0.95, 0.01, 1.1
		}},
		{"top-k", 0, func(o *sandwarp.GenerateOptions) { o.Temperature, o.TopK, o.TopP = 1, 40, 0.9 }},
		{"processor", 0, func(o *sandwarp.GenerateOptions) {
			o.Processors = []sandwarp.LogitProcessor{&failing{at: 1 << 30}}
		}},
		{"log-probability", 0, func(o *sandwarp.GenerateOptions) { o.Logprobs = true }},
		{"log-probabilities", 1, func(o *sandwarp.GenerateOptions) { o.TopLogprobs = 20 }}, // the list
		{"stop text", 0, func(o *sandwarp.GenerateOptions) { o.Stop = []string{"not there"} }},
		{"stop text half there", 1, func(o *sandwarp.GenerateOptions) { o.Stop = []string{"aaaaax", "cx", "bx"} }}, // joining what was held
	} {
		var o sandwarp.GenerateOptions
		c.edit(&o)
		run(10, o)
		short, long := run(16, o), run(216, o)
		// Growing by doubling, the page table say, costs a few in 200 tokens.
		if got := long - short - 200*c.each; got > 12 {
			t.Errorf("%s: 16 tokens: %v allocations, 216: %v", c.name, short, long)
		}
	}
}
