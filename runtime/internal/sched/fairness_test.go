package sched

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// TestPromptDoesNotStarveDecoding admits a prompt of many chunks beside a decoding
// sequence: every batch must have a row of the latter, and stay small.
func TestPromptDoesNotStarveDecoding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lim := backend.Limits{MaxRows: 512, MaxSeqs: 2, MaxLogit: 2, Pages: 80}
		s, e := start(t, lim, func(e *toy, _ *Config) { e.keep, e.gate = true, make(chan struct{}) })
		talker := &Request{Cache: &Cache{}, Prompt: prompt(5, 1), MaxTokens: 60}
		reader := &Request{Cache: &Cache{}, Prompt: prompt(4000, 2), MaxTokens: 1}
		done := make(chan []int32, 2)
		for _, r := range []*Request{talker, reader} {
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			go func() { done <- drain(r) }()
			synctest.Wait() // in a step alone, so that it decodes when the other comes
		}
		for range 100 {
			synctest.Wait()
			select {
			case e.gate <- struct{}{}:
			default:
			}
		}
		if n := len(<-done) + len(<-done); n != 61 {
			t.Fatalf("%d tokens", n)
		}
		mixed := 0
		for i, b := range e.batches()[1:] {
			if b.Seq[len(b.Seq)-1] == 0 {
				continue // of one sequence alone
			}
			if mixed++; b.Pos[0] < 5 || len(b.Pos) > mixedRows {
				t.Errorf("batch %d: %d rows, the first at position %d", i, len(b.Pos), b.Pos[0])
			}
		}
		if mixed < 4000/mixedRows {
			t.Errorf("the prompt shared only %d batches", mixed)
		}
	})
}

// TestDecodingDoesNotStarvePrompts has more decoding sequences than a mixed batch
// should have rows: a prompt must not go on row by row.
func TestDecodingDoesNotStarvePrompts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lim := backend.Limits{MaxRows: 512, MaxSeqs: 201, MaxLogit: 201, Pages: 1000}
		s, e := start(t, lim, func(e *toy, _ *Config) { e.gate = make(chan struct{}) })
		step := func() {
			synctest.Wait() // all have read what they got
			e.gate <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		submit := func(r *Request) {
			if err := s.Submit(ctx, r); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { drain(r) })
		}
		for i := range 200 {
			submit(&Request{Cache: &Cache{}, Prompt: prompt(2, i), MaxTokens: 250})
		}
		step()
		step()
		r := &Request{Cache: &Cache{}, Prompt: prompt(1000, 1), MaxTokens: 1}
		submit(r)
		steps := 0
		for synctest.Wait(); r.ended.IsZero(); steps++ {
			step()
			synctest.Wait()
		}
		if steps > 1000/minChunk+10 {
			t.Errorf("a prompt of 1000 took %d steps", steps)
		}
		cancel()
		close(e.gate)
		wg.Wait()
	})
}

// TestNothingIsDroppedInVain lets a large request wait for one that runs: an idle
// cache must stay until dropping it helps, and for good if the other's end does.
func TestNothingIsDroppedInVain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		idle := &Request{Cache: &Cache{}, Prompt: prompt(200, 1), MaxTokens: 1} // 4 pages
		running := &Request{Cache: &Cache{}, Prompt: prompt(10, 2), MaxTokens: 8 * backend.PageTokens}
		large := &Request{Cache: &Cache{}, Prompt: prompt(10*backend.PageTokens, 3), MaxTokens: 1}
		for _, r := range []*Request{idle, running, large} {
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); r == idle {
				drain(r)
			}
		}
		if l := s.Load(); l.Waiting != 1 || idle.Cache.table.Len != 200 {
			t.Errorf("%+v, %d positions of the idle cache left", l, idle.Cache.table.Len)
		}
		running.Cancel()
		drain(running)
		drain(large)
		if idle.Cache.table.Len != 200 {
			t.Errorf("%d positions of the idle cache left", idle.Cache.table.Len)
		}
	})
}

// TestScoringLeavesLogits runs a prompt behind a scoring run, which asks for the
// logits of each of its rows: the prompt must get its first token before that ends.
func TestScoringLeavesLogits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		seen, first := 0, -1
		score := &Request{Cache: &Cache{}, Prompt: prompt(200, 1), Score: func(pos int, _ []float32) error {
			seen = pos + 1
			return nil
		}}
		r := &Request{Cache: &Cache{}, Prompt: prompt(5, 2), MaxTokens: 1, Stop: func(int32) bool {
			first = seen
			return false
		}}
		for _, q := range []*Request{score, r} {
			if err := s.Submit(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		drain(score)
		drain(r)
		if seen != 200 || first > 20 {
			t.Errorf("the first token came after %d of %d positions were scored", first, seen)
		}
	})
}

// TestLargeRequestIsNotOvertaken keeps small requests coming while a large one
// waits for most of the cache.
func TestLargeRequestIsNotOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		small := func() *Request {
			r := &Request{Cache: &Cache{}, Prompt: prompt(100, 1), MaxTokens: 10}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			return r
		}
		running := []*Request{small(), small()}
		large := &Request{Cache: &Cache{}, Prompt: prompt(15*backend.PageTokens, 2), MaxTokens: 10}
		if err := s.Submit(t.Context(), large); err != nil {
			t.Fatal(err)
		}
		later := []*Request{small(), small(), small()}
		for _, r := range running {
			drain(r)
		}
		drain(large)
		synctest.Wait()
		for i, r := range later {
			if drain(r); r.admitted.Before(large.ended) {
				t.Errorf("small request %d was admitted before the large one ended", i)
			}
		}
	})
}

// TestQueueBound counts only requests that must wait: as many as there are free
// places are admitted at the next step.
func TestQueueBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, e := start(t, toyLimits(), func(e *toy, c *Config) { c.MaxQueue, e.gate = 1, make(chan struct{}) })
		ctx, cancel := context.WithCancel(t.Context())
		var all []*Request
		for i := range 7 {
			r := &Request{Cache: &Cache{}, Prompt: prompt(5, i), MaxTokens: 1}
			err := s.Submit(ctx, r)
			if want := i < 4+1; (err == nil) != want { // four run, one waits
				t.Errorf("request %d: %v", i, err)
			}
			if err == nil {
				all = append(all, r)
			}
			if i == 0 {
				synctest.Wait() // the others come during its step
			}
		}
		close(e.gate)
		cancel()
		for _, r := range all {
			drain(r)
		}
	})
}

// TestSeedsRepeatInAnyCompany compares sampled answers of many requests at once
// with the same requests alone.
func TestSeedsRepeatInAnyCompany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		var all []*Request
		for i := range 20 {
			r := &Request{
				Cache: &Cache{}, Prompt: prompt(1+i*7, i), MaxTokens: 30,
				Sample: sample.Params{Temperature: 2, TopP: 0.9, Seed: uint64(i)},
			}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for i, r := range all {
			if got, want := drain(r), alone(r.Prompt, 30, r.Sample, nil); !slices.Equal(got, want) {
				t.Errorf("request %d: %v, alone %v", i, got, want)
			}
		}
	})
}
