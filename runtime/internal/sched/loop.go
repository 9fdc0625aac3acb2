package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// loop is the one goroutine that owns the schedule.
func (s *Scheduler) loop() {
	defer close(s.ended)
	defer s.plans.close()
	for {
		s.sweep()
		s.admit()
		if s.gone != nil {
			s.fail(s.gone)
			s.gone = nil
			continue
		}
		s.openNew()
		if s.ctx.Err() != nil {
			s.shutdown()
			return
		}
		if !s.fill() {
			select {
			case <-s.woken:
			case <-s.ctx.Done():
			}
			continue
		}
		s.plans.begin(s.owners)
		err := s.run()
		s.plans.end()
		if err != nil {
			s.fail(err)
			continue
		}
		s.deliver()
	}
}

// openNew opens requests that were admitted since the last step. One that was
// cancelled meanwhile, or cannot be opened, takes no part until it is swept out.
func (s *Scheduler) openNew() {
	for _, r := range s.active {
		if r.open || r.err != nil || r.ctx.Err() != nil {
			continue
		}
		if err := s.open(r); err != nil {
			r.fail(err)
			continue
		}
		r.open = true
	}
}

// sweep ends the requests whose context has ended.
func (s *Scheduler) sweep() {
	for i := 0; i < len(s.active); {
		r := s.active[i]
		if err := r.ctx.Err(); err != nil {
			s.retire(i, ReasonError, context.Cause(r.ctx))
			continue
		}
		i++
	}
	s.endWaiting(s.unqueue(), nil)
}

// unqueue takes the requests whose context has ended from the queue.
func (s *Scheduler) unqueue() (gone []*Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := s.queue[:0]
	for _, r := range s.queue {
		if r.ctx.Err() == nil {
			keep = append(keep, r)
		} else {
			gone = append(gone, r)
		}
	}
	clear(s.queue[len(keep):])
	s.queue = keep
	return gone
}

// retire finishes active[i] and closes the gap, keeping the order.
func (s *Scheduler) retire(i int, reason Reason, err error) {
	r := s.active[i]
	s.active = slices.Delete(s.active, i, i+1)
	s.mu.Lock()
	s.running = len(s.active)
	s.mu.Unlock()
	s.finish(r, reason, err)
}

func (s *Scheduler) shutdown() {
	for len(s.active) > 0 {
		s.retire(0, ReasonError, ErrClosed)
	}
	s.mu.Lock()
	waiting := s.queue
	s.queue = nil
	s.mu.Unlock()
	s.endWaiting(waiting, ErrClosed)
}

// fill builds the next batch: a row of every decoding sequence, then chunks of
// prompts. It reports false if there is nothing to run. Scoring runs, which want
// the logits of every row, leave one for each of the others.
func (s *Scheduler) fill() bool {
	b := &s.batch
	b.Tokens, b.Pos, b.Seq, b.Tables, b.LogitRows = b.Tokens[:0], b.Pos[:0], b.Seq[:0], b.Tables[:0], b.LogitRows[:0]
	s.rows, s.owners, s.picked, s.counts = s.rows[:0], s.owners[:0], s.picked[:0], s.counts[:0]
	s.best.begin(s.active)
	scores := s.cfg.Limits.MaxLogit
	for _, r := range s.active {
		if r.Score == nil {
			scores--
		}
		if r.ready() && !r.prefilling() {
			s.add(r, 1)
		}
	}
	room := s.cfg.Limits.MaxRows - len(b.Tokens)
	if len(b.Tokens) > 0 {
		room = min(room, max(mixedRows-len(b.Tokens), minChunk))
	}
	for _, r := range s.active {
		if room > 0 && r.ready() && r.prefilling() {
			n := min(len(r.ids)-r.done, room)
			if r.Score != nil {
				n = min(n, scores)
				scores -= n
			}
			if n > 0 {
				s.add(r, n)
				room -= n
			}
		}
	}
	return len(b.Tokens) > 0
}

// add puts the next n rows of r into the batch and asks for the logits it needs.
func (s *Scheduler) add(r *Request, n int) {
	b := &s.batch
	lastRow := r.done+n == len(r.ids)
	if r.Score == nil && lastRow {
		row, err := s.room(r)
		if err != nil {
			r.fail(err)
			return
		}
		s.want(r, len(b.Tokens)+n-1, row)
	}
	for i := range n {
		if r.Score != nil {
			s.want(r, len(b.Tokens), s.scoreRow(len(b.LogitRows)))
		}
		b.Tokens = append(b.Tokens, r.ids[r.done+i])
		b.Pos = append(b.Pos, int32(r.done+i))
		b.Seq = append(b.Seq, int32(len(b.Tables)))
	}
	b.Tables = append(b.Tables, r.Cache.table.Pages)
	s.picked, s.counts = append(s.picked, r), append(s.counts, n)
}

func (s *Scheduler) want(r *Request, row int, logits []float32) {
	s.batch.LogitRows = append(s.batch.LogitRows, int32(row))
	s.rows = append(s.rows, logits)
	s.owners = append(s.owners, r)
}

// room is where the logits of the next token go; none if only the best are wanted.
func (s *Scheduler) room(r *Request) ([]float32, error) {
	if s.best.on && r.narrow {
		return nil, nil
	}
	return r.row(s.cfg.Vocab)
}

// row has room for all logits of the next token.
func (r *Request) row(vocab int) ([]float32, error) {
	if r.frame == nil {
		if r.logits == nil {
			r.logits = make([]float32, vocab)
		}
		return r.logits, nil
	}
	row, err := r.frame.Frame(r.id, vocab)
	if err == nil && len(row) != vocab {
		err = fmt.Errorf("its frame has room for %d logits, the vocabulary has %d", len(row), vocab)
	}
	if err != nil {
		return nil, fmt.Errorf("processor %s: %w", r.frame.Name(), err)
	}
	return row, nil
}

func (s *Scheduler) scoreRow(i int) []float32 {
	for len(s.score) <= i {
		s.score = append(s.score, make([]float32, s.cfg.Vocab))
	}
	return s.score[i]
}

// run executes the batch. A batch of one sequence ends with its own context, so
// that even a long prompt stops within one step of the plan.
func (s *Scheduler) run() error {
	ctx := s.ctx
	if len(s.picked) == 1 {
		ctx = s.picked[0].ctx
	}
	if s.best.on {
		return s.runBest(ctx)
	}
	return s.exec.Run(ctx, &s.batch, s.rows)
}

// fail ends the requests of a batch that could not be run.
func (s *Scheduler) fail(err error) {
	if s.ctx.Err() != nil {
		return // closing: shutdown says so
	}
	if errors.Is(err, backend.ErrWeightsLost) || errors.Is(err, backend.ErrDeviceLost) {
		s.lose(err)
		return
	}
	for _, r := range s.picked {
		if r.ctx.Err() == nil {
			r.fail(err)
		}
	}
}

// deliver books the rows that were run and gives each wanted row of logits to
// its owner.
func (s *Scheduler) deliver() {
	for i, r := range s.picked {
		r.done += s.counts[i]
		r.Cache.table.Len = r.done
	}
	s.process()
	for i, r := range s.owners {
		if r.err != nil {
			continue
		}
		if r.Score != nil {
			s.deliverScore(r, int(s.batch.Pos[s.batch.LogitRows[i]]), s.rows[i])
			continue
		}
		s.deliverToken(r, i)
	}
}

func (s *Scheduler) deliverScore(r *Request, pos int, logits []float32) {
	if err := r.Score(pos, logits); err != nil {
		r.fail(err)
		return
	}
	if pos == len(r.ids)-1 {
		s.retire(s.index(r), ReasonLength, nil)
	}
}

// deliverToken samples a token of r, sends it, and ends r if it was the last.
func (s *Scheduler) deliverToken(r *Request, i int) {
	if r.first.IsZero() {
		r.first = time.Now()
	}
	id, err := s.choose(r, i)
	if err != nil {
		r.fail(err)
		return
	}
	r.ids = append(r.ids, id)
	r.made++
	if r.Stop != nil && r.Stop(id) {
		s.retire(s.index(r), ReasonStop, nil)
		return
	}
	lp, top := r.chain.Logprob(id)
	r.out <- Event{ID: id, Logprob: lp, Top: top, Acts: r.report(), Slid: r.slid}
	r.slid = false
	switch {
	case r.made == r.MaxTokens:
		s.retire(s.index(r), ReasonLength, nil)
	case len(r.ids) == r.Room:
		s.slide(r)
	}
}

// step numbers the choices of a request.
func (r *Request) step() uint64 { return uint64(r.made) }

func (s *Scheduler) index(r *Request) int {
	for i, a := range s.active {
		if a == r {
			return i
		}
	}
	panic("sched: request is not active")
}
