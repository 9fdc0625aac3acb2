package sched

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// faulty is a processor that fails at one of its calls.
type faulty struct{ at string }

func (f faulty) fail(call string) error {
	if f.at == call {
		return errors.New("out of order")
	}
	return nil
}

func (f faulty) Name() string                                      { return "faulty" }
func (f faulty) OpenSeq(uint64, []byte) error                      { return f.fail("OpenSeq") }
func (f faulty) Process(uint64, []int32, []float32) (int32, error) { return -1, f.fail("Process") }
func (f faulty) Accept(uint64, []int32) error                      { return f.fail("Accept") }
func (f faulty) CloseSeq(uint64)                                   {}
func (f faulty) Frame(_ uint64, vocab int) ([]float32, error) {
	if f.at == "short Frame" {
		vocab--
	}
	return make([]float32, vocab), f.fail("Frame")
}

// TestFailingProcessorFailsAlone runs a request whose processor fails beside one
// that has nothing to do with it.
func TestFailingProcessorFailsAlone(t *testing.T) {
	for _, at := range []string{"OpenSeq", "Frame", "short Frame", "Process", "Accept"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, _ := start(t, toyLimits(), nil)
				good := &Request{Cache: &Cache{}, Prompt: prompt(100, 1), MaxTokens: 20}
				bad := &Request{Cache: &Cache{}, Prompt: prompt(3, 2), MaxTokens: 20, Processors: []Processor{faulty{at}}}
				for _, r := range []*Request{bad, good} {
					if err := s.Submit(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
				got := drain(good)
				if _, _, err := good.Ended(); err != nil || !slices.Equal(got, alone(good.Prompt, 20, good.Sample, nil)) {
					t.Errorf("the request beside it: %v, %v", got, err)
				}
				drain(bad)
				if _, _, err := bad.Ended(); err == nil || !strings.Contains(err.Error(), "processor faulty") {
					t.Errorf("the request itself: %v", err)
				}
			})
		})
	}
}

// noCopy cannot copy a page, the first time.
type noCopy struct {
	*toy
	copied bool
}

func (e *noCopy) CopyPage(dst, src int32) error {
	if !e.copied {
		e.copied = true
		return errors.New("no copy today")
	}
	return e.toy.CopyPage(dst, src)
}

// TestFailingCopyFailsAlone lets a forked cache fail where it needs a page of its
// own, between two steps of another request. The fork can be used again: what the
// page should have held is run anew.
func TestFailingCopyFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		s, _ := start(t, toyLimits(), func(e *toy, c *Config) { e.gate, c.Exec = gate, &noCopy{toy: e} })
		go func() {
			for range 3 {
				gate <- struct{}{}
			}
		}()
		first := &Request{Cache: &Cache{}, Prompt: prompt(10, 1), MaxTokens: 3}
		if err := s.Submit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		drain(first)
		fork := &Cache{}
		if err := s.Fork(fork, first.Cache); err != nil {
			t.Fatal(err)
		}
		good := &Request{Cache: &Cache{}, Prompt: prompt(30, 3), MaxTokens: 20}
		bad := &Request{Cache: fork, Prompt: first.IDs(), MaxTokens: 5}
		if err := s.Submit(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it is in Run
		if err := s.Submit(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		close(gate)
		if got := drain(good); !slices.Equal(got, alone(good.Prompt, 20, good.Sample, nil)) {
			_, _, err := good.Ended()
			t.Errorf("the request beside it: %v, %v", got, err)
		}
		drain(bad)
		if _, _, err := bad.Ended(); err == nil || !strings.Contains(err.Error(), "no copy") {
			t.Errorf("the fork: %v", err)
		}
		again := &Request{Cache: fork, Prompt: first.IDs(), MaxTokens: 5}
		if err := s.Submit(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if got := drain(again); !slices.Equal(got, alone(again.Prompt, 5, again.Sample, nil)) {
			t.Errorf("the fork once more: %v", got)
		}
	})
}

// TestCancelAtAnyMoment cancels requests while others are admitted and run: none
// of the others may notice.
func TestCancelAtAnyMoment(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	s, _ := start(t, toyLimits(), nil)
	want := alone(prompt(5, 1), 4, (&Request{}).Sample, nil)
	for i := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		bad := &Request{Cache: &Cache{}, Prompt: prompt(3, 2), MaxTokens: 4}
		good := &Request{Cache: &Cache{}, Prompt: prompt(5, 1), MaxTokens: 4}
		if err := s.Submit(ctx, bad); err != nil {
			t.Fatal(err)
		}
		go cancel()
		if err := s.Submit(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		got := drain(good)
		if _, _, err := good.Ended(); err != nil || !slices.Equal(got, want) {
			t.Fatalf("round %d: %v, %v", i, got, err)
		}
		drain(bad)
		if _, _, err := bad.Ended(); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: the cancelled request: %v", i, err)
		}
		s.Release(good.Cache)
		s.Release(bad.Cache)
		cancel()
	}
}

// TestCloseDuringPrefill closes while a single prompt is being run, which takes as
// long as it takes.
func TestCloseDuringPrefill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), func(e *toy, _ *Config) { e.gate = make(chan struct{}) })
		r := &Request{Cache: &Cache{}, Prompt: prompt(60, 1), MaxTokens: 1}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it is in Run
		s.Close()
		drain(r)
		if _, _, err := r.Ended(); !errors.Is(err, ErrClosed) {
			t.Errorf("ended with %v", err)
		}
	})
}

var _ backend.Executable = (*toy)(nil)
