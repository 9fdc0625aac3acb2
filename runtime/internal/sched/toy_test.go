package sched

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

const toyVocab = 17

// toy is an executable whose "keys and values" are the ids themselves. Logits are
// a hash of every id the block table leads to, so that a wrong page, position or
// copy changes the answer.
type toy struct {
	lim   backend.Limits
	pages [][backend.PageTokens]int32 // id + 1, 0 where nothing was written

	mu   sync.Mutex
	runs []backend.Batch // what was run, if keep
	keep bool
	gate chan struct{} // if set, a run takes one from it or ends with its context
	bad  error         // the first broken promise of a batch
}

func newToy(lim backend.Limits) *toy {
	return &toy{lim: lim, pages: make([][backend.PageTokens]int32, lim.Pages)}
}

func (e *toy) Run(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if err := e.admit(b, logits); err != nil {
		if e.bad == nil {
			e.bad = err
		}
		return err
	}
	if e.gate != nil {
		select {
		case <-e.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if e.keep {
		e.mu.Lock()
		e.runs = append(e.runs, backend.Batch{
			Pos: append([]int32(nil), b.Pos...), Seq: append([]int32(nil), b.Seq...), LogitRows: append([]int32(nil), b.LogitRows...),
		})
		e.mu.Unlock()
	}
	for r, id := range b.Tokens {
		p := b.Pos[r]
		e.pages[b.Tables[b.Seq[r]][p/backend.PageTokens]][p%backend.PageTokens] = id + 1
	}
	for i, r := range b.LogitRows {
		var h uint64
		for p := range b.Pos[r] + 1 {
			id := e.pages[b.Tables[b.Seq[r]][p/backend.PageTokens]][p%backend.PageTokens] - 1
			h = toyMix(h, id)
		}
		toyLogits(h, logits[i])
	}
	return nil
}

// admit checks what a backend may rely on.
func (e *toy) admit(b *backend.Batch, logits [][]float32) error {
	if err := b.Validate(e.lim, toyVocab); err != nil {
		return err
	}
	if len(logits) != len(b.LogitRows) {
		return fmt.Errorf("%d rows of logits for %d", len(logits), len(b.LogitRows))
	}
	for i, l := range logits {
		if len(l) != toyVocab {
			return fmt.Errorf("row %d of logits has length %d", i, len(l))
		}
	}
	return nil
}

func (e *toy) CopyPage(dst, src int32) error {
	e.pages[dst] = e.pages[src]
	return nil
}

func (e *toy) Close() error { return nil }

func (e *toy) batches() []backend.Batch {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs
}

func toyMix(h uint64, id int32) uint64 {
	h = (h ^ uint64(id+1)) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

func toyLogits(h uint64, logits []float32) {
	for i := range logits {
		logits[i] = float32(toyMix(h, int32(i))%1000) / 100
	}
}

// alone is the answer of a run that shares nothing with anybody: n ids that
// follow prompt, fewer if stop says so.
func alone(prompt []int32, n int, p sample.Params, stop func(int32) bool) (answer []int32) {
	return aloneIn(0, prompt, n, p, stop)
}

// aloneIn is alone for a sequence that slides when it has room ids.
func aloneIn(room int, prompt []int32, n int, p sample.Params, stop func(int32) bool) (answer []int32) {
	chain := sample.NewChain(p, toyVocab)
	ids := append([]int32(nil), prompt...)
	logits := make([]float32, toyVocab)
	for step := range n {
		var h uint64
		for _, id := range ids {
			h = toyMix(h, id)
		}
		toyLogits(h, logits)
		chain.Begin(logits)
		chain.Adjust(logits, ids)
		id, err := chain.Pick(logits, uint64(step))
		if err != nil || stop != nil && stop(id) {
			break
		}
		ids, answer = append(ids, id), append(answer, id)
		if len(ids) == room {
			ids = append(ids[:1:1], ids[1+room/2:]...)
		}
	}
	return answer
}

// start begins a scheduler over a toy; the test ends it.
func start(t testing.TB, lim backend.Limits, edit func(*toy, *Config)) (*Scheduler, *toy) {
	t.Helper()
	e := newToy(lim)
	cfg := Config{Exec: e, Limits: lim, Vocab: toyVocab}
	if edit != nil {
		edit(e, &cfg)
	}
	s := New(cfg)
	t.Cleanup(func() {
		s.Close()
		if e.bad != nil {
			t.Errorf("a batch no backend would take: %v", e.bad)
		}
	})
	return s, e
}

// toyLimits has room for 4 sequences of 4 pages each.
func toyLimits() backend.Limits {
	return backend.Limits{MaxRows: 64, MaxSeqs: 4, MaxLogit: 8, Pages: 16}
}

func prompt(n, salt int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i + salt) % toyVocab)
	}
	return ids
}

// drain reads a request to its end.
func drain(r *Request) (ids []int32) {
	for e, ok := r.Next(); ok; e, ok = r.Next() {
		ids = append(ids, e.ID)
	}
	return ids
}

// bubble runs f where time stands still while anything can happen.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }
