package sched

import "fmt"

// process takes the rows of a step whose logits are at hand through penalties, bias
// and processors. Each row passes its own processors in their order; where several
// rows wait for the same one, and it takes several, they go together.
func (s *Scheduler) process() {
	for i, r := range s.owners {
		if r.Score != nil || r.err != nil {
			continue
		}
		r.next, r.pick = 0, -1
		clear(r.acts)
		if s.rows[i] == nil {
			r.next = len(r.stages) // chooseBest sees to its only processor
			continue
		}
		r.chain.Begin(s.rows[i])
		r.chain.Adjust(s.rows[i], r.ids)
		s.advance(r, i)
	}
	for {
		p := s.ripe()
		if p == nil {
			return
		}
		s.together(p)
	}
}

// waits is the processor the owner of a row waits for others at; nil if it is done.
// Between two calls of together no row waits for one that takes a row at a time.
func (r *Request) waits() BatchProcessor {
	if r.Score != nil || r.err != nil || r.next >= len(r.stages) {
		return nil
	}
	return r.stages[r.next].batch
}

// advance takes row i of r through the processors that get a row at a time, up to
// one that takes several.
func (s *Scheduler) advance(r *Request, i int) {
	for r.err == nil && r.next < len(r.stages) && r.stages[r.next].batch == nil {
		pick, err := r.stages[r.next].Process(r.id, r.ids, s.rows[i])
		r.settle(pick, err, len(s.rows[i]))
	}
}

// ripe is a processor some row waits for, if possible one that no other row comes to
// later on; nil if all rows are done.
func (s *Scheduler) ripe() BatchProcessor {
	var first BatchProcessor
	for _, r := range s.owners {
		p := r.waits()
		if p == nil {
			continue
		}
		if first == nil {
			first = p
		}
		if !s.comesLater(p) {
			return p
		}
	}
	return first
}

// comesLater says whether p is in some chain behind the stage that comes next.
func (s *Scheduler) comesLater(p BatchProcessor) bool {
	for _, r := range s.owners {
		if r.waits() == nil {
			continue
		}
		for i := r.next + 1; i < len(r.stages); i++ {
			if r.stages[i].batch == p {
				return true
			}
		}
	}
	return false
}

// group is what one call of ProcessRows or Plan is about.
type group struct {
	at        []int // indices into Scheduler.owners
	seqs      []uint64
	histories [][]int32
	rows      [][]float32
	picks     []int32
	errs      []error
}

func (g *group) reserve(n int) {
	*g = group{make([]int, 0, n), make([]uint64, 0, n), make([][]int32, 0, n), make([][]float32, 0, n), make([]int32, 0, n), make([]error, 0, n)}
}

func (g *group) add(i int, r *Request, row []float32) {
	g.at, g.seqs, g.histories, g.rows = append(g.at, i), append(g.seqs, r.id), append(g.histories, r.ids), append(g.rows, row)
	g.picks, g.errs = append(g.picks, -1), append(g.errs, nil)
}

// drop forgets the rows, so that no ended request is kept alive.
func (g *group) drop() {
	clear(g.histories)
	clear(g.rows)
	clear(g.errs)
	g.at, g.seqs, g.histories, g.rows, g.picks, g.errs = g.at[:0], g.seqs[:0], g.histories[:0], g.rows[:0], g.picks[:0], g.errs[:0]
}

// together calls p for every row that waits for it.
func (s *Scheduler) together(p BatchProcessor) {
	g := &s.group
	for i, r := range s.owners {
		if w := r.waits(); w != nil && w == p {
			g.add(i, r, s.rows[i])
		}
	}
	if len(g.at) == 1 {
		g.picks[0], g.errs[0] = p.Process(g.seqs[0], g.histories[0], g.rows[0])
	} else {
		p.ProcessRows(g.seqs, g.histories, g.rows, g.picks, g.errs)
	}
	for j, i := range g.at {
		r := s.owners[i]
		r.settle(g.picks[j], g.errs[j], len(g.rows[j]))
		s.advance(r, i)
	}
	g.drop()
}

// choose picks r's next token from row i, which process has seen, and tells the
// processors.
func (s *Scheduler) choose(r *Request, i int) (id int32, err error) {
	switch {
	case s.rows[i] == nil:
		r.next = 0
		id, err = s.chooseBest(r, i)
	case r.pick >= 0:
		id = r.pick
	default:
		id, err = r.chain.Pick(s.rows[i], r.step())
	}
	if err != nil {
		return 0, err
	}
	r.chosen[0] = id
	for i := range r.stages {
		if err := r.stages[i].Accept(r.id, r.chosen[:]); err != nil {
			return 0, fmt.Errorf("processor %s: %w", r.stages[i].Name(), err)
		}
	}
	return id, nil
}
