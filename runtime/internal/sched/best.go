package sched

import (
	"context"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// bestLogits is the way of logits that stay on the device: the most likely tokens
// come back for every row, and all logits only of the rows whose owners need them.
type bestLogits struct {
	exec backend.Candidates // nil if the executable has no such thing
	k    int
	on   bool // for this batch
	rows []backend.TopLogits
}

// wantBest is how many of the most likely tokens are asked for: what plugins see by
// default, and more than samplers look at.
const wantBest = 256

// use makes e what runs the batches.
func (s *Scheduler) use(e backend.Executable) {
	s.exec, s.best = e, bestLogits{}
	if c, ok := e.(backend.Candidates); ok && c.MaxCandidates() > 0 {
		s.best.exec, s.best.k = c, min(wantBest, c.MaxCandidates(), s.cfg.Vocab)
	}
}

// begin decides for a batch: somebody has to do with the best logits, and scoring
// requests want all logits of all their rows.
func (b *bestLogits) begin(active []*Request) {
	b.on = false
	for _, r := range active {
		if r.Score != nil {
			b.on = false
			return
		}
		b.on = b.on || r.narrow && b.exec != nil
	}
}

// narrow says whether r may do with the best logits, and makes room for all if not.
func (s *Scheduler) narrow(r *Request) {
	r.narrow = s.best.exec != nil && r.chain.Narrow(s.best.k)
	if r.narrow && len(r.Processors) > 0 {
		c, ok := r.Processors[0].(Chooser)
		// Penalties move tokens in and out of what the processor would see.
		if r.narrow = ok && len(r.Processors) == 1 && !r.chain.Penalties(); r.narrow {
			k := c.Top(r.id)
			r.narrow, r.top = k > 0 && k <= s.best.k, c
		}
	}
	if !r.narrow {
		r.top = nil
		if r.frame == nil {
			r.logits = make([]float32, s.cfg.Vocab)
		}
		return
	}
	r.all = func() ([]float32, error) {
		row, err := r.row(s.cfg.Vocab)
		if err == nil {
			err = s.best.exec.Full(r.at, row)
		}
		if err == nil {
			r.chain.Begin(row)
		}
		r.wide = row
		return row, err
	}
}

// runBest runs the batch and fetches the rows somebody wants whole.
func (s *Scheduler) runBest(ctx context.Context) error {
	b, n := &s.best, len(s.rows)
	for len(b.rows) < n {
		b.rows = append(b.rows, backend.TopLogits{IDs: make([]int32, 0, b.k), Logits: make([]float32, 0, b.k)})
	}
	if err := b.exec.RunTop(ctx, &s.batch, b.k, b.rows[:n]); err != nil {
		return err
	}
	for i, row := range s.rows {
		if row != nil {
			if err := b.exec.Full(i, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// chooseBest is chooseFrom for a row of which only the best logits are at hand. It
// fetches all if they turn out not to be enough, be it only to say how likely the
// token was.
func (s *Scheduler) chooseBest(r *Request, i int) (int32, error) {
	id, err := s.pickBest(r, i)
	if err == nil && !r.chain.Knows(id) {
		_, err = r.all()
	}
	return id, err
}

func (s *Scheduler) pickBest(r *Request, i int) (int32, error) {
	best, vocab := &s.best.rows[i], s.cfg.Vocab
	r.at, r.wide = i, nil
	r.chain.BeginTop(sample.Top{IDs: best.IDs, Logits: best.Logits}, float64(best.LogSumExp))
	top := r.chain.AdjustTop(best.IDs, best.Logits, vocab, r.ids)
	if r.top != nil {
		n, pick, err := r.top.ProcessTop(r.id, r.ids, vocab, top.IDs, top.Logits, r.all)
		r.noteAct(pick)
		switch {
		case err != nil:
			return 0, fmt.Errorf("processor %s: %w", r.top.Name(), err)
		case pick >= 0:
			return pick, picked(r.top, pick, vocab)
		case n > len(top.IDs):
			return 0, fmt.Errorf("processor %s kept %d of %d tokens", r.top.Name(), n, len(top.IDs))
		case n > 0:
			top.Only(n)
		case n < 0 && r.wide == nil:
			return 0, fmt.Errorf("processor %s did not ask for the logits it says it has edited", r.top.Name())
		case n < 0:
			return r.chain.Pick(r.wide, r.step())
		}
	}
	id, ok, err := r.chain.PickTop(top, vocab, r.step())
	if ok || err != nil {
		return id, err
	}
	logits, err := r.all()
	if err != nil {
		return 0, err
	}
	r.chain.Adjust(logits, r.ids)
	return r.chain.Pick(logits, r.step())
}
