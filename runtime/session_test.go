package sandwarp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func short(n int) sandwarp.GenerateOptions {
	return sandwarp.GenerateOptions{MaxTokens: n, IgnoreEOS: true}
}

// failing is a processor that refuses to open, or fails at the nth token.
type failing struct {
	open bool
	at   int
	n    int
}

var errFailing = errors.New("out of order")

func (*failing) Name() string { return "failing" }
func (f *failing) OpenSeq(uint64, []byte) error {
	if f.open {
		return errFailing
	}
	return nil
}

func (f *failing) Process(uint64, []int32, []float32) (int32, error) {
	if f.n++; f.n > f.at {
		return -1, errFailing
	}
	return -1, nil
}
func (*failing) Accept(uint64, []int32) error { return nil }
func (*failing) CloseSeq(uint64)              {}

// TestFailureBeforeTheFirstToken wants a conversation as it was after an answer
// that came to nothing, so that it can be asked again.
func TestFailureBeforeTheFirstToken(t *testing.T) {
	m := tiny(t, sandwarp.Options{MaxSequences: 1})
	s := m.NewSession()
	defer s.Close()
	chat := func(ctx context.Context, o sandwarp.GenerateOptions) (err error) {
		for _, err = range s.Chat(ctx, "hello", o) {
		}
		return err
	}
	if err := chat(t.Context(), short(5)); err != nil {
		t.Fatal(err)
	}
	before := s.Tokens()
	o := short(5)
	o.Processors = []sandwarp.LogitProcessor{&failing{open: true}}
	if err := chat(t.Context(), o); !errors.Is(err, errFailing) {
		t.Errorf("a processor that does not open: %v", err)
	}
	o.Processors = []sandwarp.LogitProcessor{&failing{at: 0}}
	if err := chat(t.Context(), o); !errors.Is(err, errFailing) {
		t.Errorf("a processor that fails: %v", err)
	}
	for range m.Generate(t.Context(), "x", short(10)) { // it takes the only place
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := chat(ctx, short(5)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an answer that never got a place: %v", err)
		}
		cancel()
		break
	}
	if got := s.Tokens(); !slices.Equal(got, before) {
		t.Errorf("the conversation grew by %d ids of nothing", len(got)-len(before))
	}
	// Asked again, it continues what was rendered and cached.
	if err := chat(t.Context(), short(5)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Cached < len(before)-1 {
		t.Errorf("asked again: %+v, %d ids were there before", st, len(before))
	}
}

// TestFailureInTheMiddle keeps what was yielded.
func TestFailureInTheMiddle(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	s := m.NewSession()
	defer s.Close()
	o := short(10)
	o.Processors = []sandwarp.LogitProcessor{&failing{at: 4}}
	n := 0
	var last error
	for tok, err := range s.GenerateTokens(t.Context(), []int32{1, 2, 3}, o) {
		if last = err; err == nil && tok.ID >= 0 {
			n++
		}
	}
	if got := s.Tokens(); !errors.Is(last, errFailing) || n != 4 || len(got) != 3+4 {
		t.Errorf("%d tokens, %v, %d ids in the conversation", n, last, len(got))
	}
}

// TestLeavingTheLoop leaves it in every way there is; what was yielded stays, and
// the session goes on.
func TestLeavingTheLoop(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":  func() { panic("the consumer's") },
		"goexit": func() { new(testing.T).SkipNow() },
	} {
		t.Run(name, func(t *testing.T) {
			m := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
			s := m.NewSession()
			defer s.Close()
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { recover() }()
				n := 0
				for range s.Generate(t.Context(), "abc", short(50)) {
					if n++; n == 3 {
						leave()
					}
				}
			})
			wg.Wait()
			got := s.Tokens()
			want, _ := collect(t, m.NewSession(), "abc", short(3))
			if len(got) < 3 || !slices.Equal(got[len(got)-3:], want) {
				t.Fatalf("%v stayed, yielded were %v", got, want)
			}
			more, _ := collect(t, s, "d", short(5))
			fresh := m.NewSession()
			defer fresh.Close()
			tail, err := m.Encode("d", false)
			if err != nil {
				t.Fatal(err)
			}
			var alone []int32
			for tok, err := range fresh.GenerateTokens(t.Context(), append(got, tail...), short(5)) {
				if err != nil {
					t.Fatal(err)
				}
				alone = append(alone, tok.ID)
			}
			if !slices.Equal(more, alone) {
				t.Errorf("after %s: %v, a fresh session %v", name, more, alone)
			}
			if l := m.Load(); l.Running != 0 || l.Waiting != 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestCloseInsideTheLoop closes session and model while an answer is read.
func TestCloseInsideTheLoop(t *testing.T) {
	m, err := sandwarp.OpenBytes(t.Context(), "tiny", modeltest.Tiny("llama", tensor.F32, 1), sandwarp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	n := 0
	for _, err := range s.Generate(t.Context(), "abc", short(8)) {
		if err != nil {
			t.Errorf("after Session.Close: %v", err)
		}
		if n++; n == 2 {
			s.Close()
		}
	}
	if n < 8 {
		t.Errorf("an answer in progress ended after %d tokens", n)
	}
	for _, err := range s.Generate(t.Context(), "x", short(1)) {
		if !errors.Is(err, sandwarp.ErrClosed) {
			t.Errorf("a closed session: %v", err)
		}
	}
	if l := m.Load(); l.FreePages != l.Pages {
		t.Errorf("a closed session holds pages: %+v", l)
	}
	var last error
	for _, err := range m.Generate(t.Context(), "abc", short(400)) {
		last = err
		if err == nil {
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(last, sandwarp.ErrClosed) {
		t.Errorf("after Model.Close: %v", last)
	}
}

// TestSystemMessage must come first, into an open session that is not answering.
func TestSystemMessage(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	s := m.NewSession()
	for range s.Chat(t.Context(), "hello", short(3)) {
		if err := s.System("be brief"); !errors.Is(err, sandwarp.ErrBusy) {
			t.Errorf("during an answer: %v", err)
		}
	}
	if err := s.System("be brief"); err == nil {
		t.Error("after an answer: accepted")
	}
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"be brief", "no, be verbose"} {
		if err := s.System(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, err := range s.Chat(t.Context(), "hello", short(3)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := m.Decode(s.Tokens(), true)
	if err != nil || strings.Contains(text, "brief") || !strings.Contains(text, "verbose") {
		t.Errorf("%q, %v", text, err)
	}
	s.Close()
	if err := s.System("x"); !errors.Is(err, sandwarp.ErrClosed) {
		t.Errorf("a closed session: %v", err)
	}
}

// TestChatAfterGenerate wants both in one conversation.
func TestChatAfterGenerate(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	s := m.NewSession()
	defer s.Close()
	collect(t, s, "the quick brown fox", short(4))
	before := s.Tokens()
	for i := range 3 {
		for _, err := range s.Chat(t.Context(), "hello", short(4)) {
			if err != nil {
				t.Fatal(err)
			}
		}
		got := s.Tokens()
		if !slices.Equal(got[:min(len(before), len(got))], before) {
			t.Fatalf("turn %d forgot what came before: %v, then %v", i, before, got)
		}
		before = got
	}
	collect(t, s, " and then", short(4))
	if got := s.Tokens(); !slices.Equal(got[:len(before)], before) {
		t.Errorf("a prompt forgot the turns before")
	}
}

// TestFullConversationSlides goes on with a conversation that is full, if it may.
func TestFullConversationSlides(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 64})
	s := m.NewSession()
	defer s.Close()
	o := sandwarp.GenerateOptions{IgnoreEOS: true}
	collect(t, s, "abc", o)
	full := s.Tokens()
	if len(full) != 64 {
		t.Fatalf("%d ids", len(full))
	}
	for _, err := range s.Generate(t.Context(), "more", o) {
		if !errors.Is(err, sandwarp.ErrContextFull) {
			t.Errorf("without sliding: %v", err)
		}
	}
	o.WhenFull, o.MaxTokens = sandwarp.ContextSlide, 10
	got, _ := collect(t, s, "more", o)
	tail, err := m.Encode("more", false)
	if err != nil {
		t.Fatal(err)
	}
	kept := s.Tokens()
	at := len(kept) - len(got) - len(tail)
	if len(got) != 10 || kept[0] != full[0] || at < 1 || !slices.Equal(kept[1:at], full[len(full)-at+1:]) || !slices.Equal(kept[at:at+len(tail)], tail) {
		t.Errorf("%v became %v and %v", full, kept, got)
	}
	for _, err := range s.Generate(t.Context(), strings.Repeat("zq", 40), o) { // that prompt alone is too long
		if !errors.Is(err, sandwarp.ErrContextFull) {
			t.Errorf("a long prompt: %v", err)
		}
	}
}

// TestChatDropsTurns talks on and on: whole turns go, the oldest first, the system
// message never, and not at every turn.
func TestChatDropsTurns(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 256})
	s := m.NewSession()
	defer s.Close()
	if err := s.System("be brief"); err != nil {
		t.Fatal(err)
	}
	o := short(12)
	o.WhenFull = sandwarp.ContextSlide
	const begins, turn = "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n", 24
	drops := 0
	for i := range turn {
		before := len(s.Tokens())
		for _, err := range s.Chat(t.Context(), strings.Repeat("why? ", 3), o) {
			if err != nil {
				t.Fatal(err)
			}
		}
		text, err := m.Decode(s.Tokens(), true)
		if err != nil || !strings.HasPrefix(text, begins) {
			t.Fatalf("turn %d: %q, %v", i, text, err)
		}
		if n := len(s.Tokens()); n < before {
			drops++
		}
	}
	if drops < 2 || drops > turn/2 {
		t.Errorf("turns were dropped %d times in %d", drops, turn)
	}
}

// TestForksOutliveEviction forks a conversation, lets others take its pages, and
// goes on with both.
func TestForksOutliveEviction(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 256, CacheTokens: 320, MaxSequences: 2, CacheType: sandwarp.CacheF32})
	alone := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
	s := m.NewSession()
	defer s.Close()
	collect(t, s, strings.Repeat("zq", 35), short(9))
	f, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big := func() {
		t.Helper()
		for _, err := range m.Generate(t.Context(), strings.Repeat("xk", 120), short(4)) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	big()
	for i, c := range []*sandwarp.Session{s, f, s, f} {
		past := c.Tokens()
		got, _ := collect(t, c, "qz", short(7))
		tail, err := m.Encode("qz", false)
		if err != nil {
			t.Fatal(err)
		}
		var want []int32
		for tok, err := range alone.NewSession().GenerateTokens(t.Context(), append(past, tail...), short(7)) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, tok.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("turn %d: %v, alone %v", i, got, want)
		}
		if i == 1 {
			big()
		}
	}
}

// double is a processor and a filter in one.
type double struct {
	mu   sync.Mutex
	open map[uint64]bool
	bad  error
}

func (d *double) Name() string { return "double" }
func (d *double) OpenSeq(seq uint64, _ []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[seq] {
		d.bad = errors.New("a sequence was opened twice")
	}
	d.open[seq] = true
	return nil
}

func (d *double) CloseSeq(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open[seq] {
		d.bad = errors.New("a sequence was closed that is not open")
	}
	delete(d.open, seq)
}
func (d *double) Process(uint64, []int32, []float32) (int32, error) { return -1, nil }
func (d *double) Accept(uint64, []int32) error                      { return nil }
func (d *double) Filter(_ uint64, pending []byte, _ uint32) ([]byte, int, bool, error) {
	return pending, len(pending), false, nil
}

// TestSequencesAreToldApart wants a number of its own for every sequence, also in a value that is asked as processor, as
// filter of the prompt and as filter of the answer, by several sessions.
func TestSequencesAreToldApart(t *testing.T) {
	m := tiny(t, sandwarp.Options{Context: 64})
	d := &double{open: map[uint64]bool{}}
	o := sandwarp.GenerateOptions{IgnoreEOS: true, WhenFull: sandwarp.ContextSlide, MaxTokens: 100}
	o.Processors, o.Filters = []sandwarp.LogitProcessor{d}, []sandwarp.Filter{d}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, err := range m.Generate(t.Context(), "abc", o) {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if d.bad != nil || len(d.open) != 0 {
		t.Errorf("%v; %d sequences left open", d.bad, len(d.open))
	}
}
