package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// mortal is a toy whose device goes after some runs, or at the next CopyPage.
type mortal struct {
	*toy
	left atomic.Int64
}

var errGone = fmt.Errorf("toy: %w", backend.ErrDeviceLost)

func (e *mortal) Run(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if e.left.Add(-1) < 0 {
		return errGone
	}
	return e.toy.Run(ctx, b, logits)
}

func (e *mortal) CopyPage(dst, src int32) error {
	if e.left.Load() <= 0 {
		return errGone
	}
	return e.toy.CopyPage(dst, src)
}

// replaced starts a scheduler on a device that lives for n runs.
func replaced(t *testing.T, n int64, failed error) (*Scheduler, *mortal, *atomic.Int64) {
	var calls atomic.Int64
	var first *mortal
	s, _ := start(t, toyLimits(), func(base *toy, c *Config) {
		first = &mortal{toy: base}
		first.left.Store(n)
		c.Exec = first
		c.Replace = func(_ context.Context, err error) (backend.Executable, error) {
			calls.Add(1)
			if !errors.Is(err, backend.ErrDeviceLost) {
				t.Errorf("replaced because of %v", err)
			}
			return newToy(c.Limits), failed
		}
	})
	return s, first, &calls
}

// TestDeviceLost ends what is running and goes on with the rest elsewhere.
func TestDeviceLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _, calls := replaced(t, 12, nil)
		session := &Cache{}
		idle := &Request{Cache: session, Prompt: prompt(6, 1), MaxTokens: 3}
		if err := s.Submit(t.Context(), idle); err != nil {
			t.Fatal(err)
		}
		said := drain(idle)
		var all []*Request
		for i := range 7 { // more than run at once
			r := &Request{Cache: &Cache{}, Prompt: prompt(10, i), MaxTokens: 25}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		lost := 0
		for _, r := range all {
			got := drain(r)
			switch _, _, err := r.Ended(); {
			case errors.Is(err, backend.ErrDeviceLost):
				lost++
			case err != nil || !slices.Equal(got, alone(r.Prompt, 25, r.Sample, nil)):
				t.Errorf("%v, %v", got, err)
			}
		}
		if lost != 4 || calls.Load() != 1 {
			t.Errorf("%d requests lost, %d replacements", lost, calls.Load())
		}
		next := &Request{Cache: session, Prompt: append(idle.IDs(), 3), MaxTokens: 8}
		if err := s.Submit(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if got := drain(next); len(said) != 3 || !slices.Equal(got, alone(next.Prompt, 8, next.Sample, nil)) {
			t.Errorf("the conversation that was idle: %v", got)
		}
		if l := s.Load(); l.FreePages < l.Pages-8 || l.Running != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestDeviceLostInCopy loses it while a shared page is copied.
func TestDeviceLostInCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, e, calls := replaced(t, 100, nil)
		a, b := &Cache{}, &Cache{}
		first := &Request{Cache: a, Prompt: prompt(6, 1), MaxTokens: 3}
		if err := s.Submit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		drain(first)
		if err := s.Fork(b, a); err != nil {
			t.Fatal(err)
		}
		e.left.Store(0)
		r := &Request{Cache: b, Prompt: append(first.IDs(), 2), MaxTokens: 5}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		drain(r)
		if _, _, err := r.Ended(); !errors.Is(err, backend.ErrDeviceLost) || calls.Load() != 1 {
			t.Errorf("%v, %d replacements", err, calls.Load())
		}
		again := &Request{Cache: a, Prompt: r.Prompt, MaxTokens: 5}
		if err := s.Submit(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if got := drain(again); !slices.Equal(got, alone(again.Prompt, 5, again.Sample, nil)) {
			t.Errorf("%v", got)
		}
	})
}

// TestDeviceLostForGood has nothing to go on with: what runs, what waits and what
// comes is told why, and the dead executable is left alone.
func TestDeviceLostForGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, e, _ := replaced(t, 2, errors.New("no room either"))
		var all []*Request
		for i := range 7 { // more than run at once
			r := &Request{Cache: &Cache{}, Prompt: prompt(6, i), MaxTokens: 30}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for i, r := range all {
			drain(r)
			if _, _, err := r.Ended(); !errors.Is(err, backend.ErrDeviceLost) {
				t.Errorf("request %d: %v", i, err)
			}
		}
		if n := e.left.Load(); n != -1 {
			t.Errorf("%d runs after the loss", -1-n)
		}
		if err := s.Submit(t.Context(), &Request{Cache: &Cache{}, Prompt: prompt(6, 1), MaxTokens: 3}); !errors.Is(err, backend.ErrDeviceLost) {
			t.Error(err)
		}
	})
}

// TestCloseDuringReplacement does not wait until what takes the device's place is
// ready.
func TestCloseDuringReplacement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) {
			c.Exec = &mortal{toy: base}
			c.Replace = func(ctx context.Context, _ error) (backend.Executable, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		var all []*Request
		for i := range 5 {
			r := &Request{Cache: &Cache{}, Prompt: prompt(6, i), MaxTokens: 30}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		synctest.Wait() // it is in Replace
		s.Close()
		for i, r := range all {
			drain(r)
			want := backend.ErrDeviceLost
			if i == 4 {
				want = ErrClosed // it had not begun
			}
			if _, _, err := r.Ended(); !errors.Is(err, want) {
				t.Errorf("request %d: %v", i, err)
			}
		}
	})
}
