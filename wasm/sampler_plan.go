package wasm

import "github.com/sandwarp/sandwarp/abi"

// plan is an answer given before the logits were there.
type plan struct {
	valid  bool
	pos    int // length of the history it was made for
	answer answer
}

// keep copies an answer out of the guest's memory.
func (pl *plan) keep(a answer, pos int) {
	old := pl.answer
	pl.valid, pl.pos, pl.answer = true, pos, a
	if a.mask != nil {
		pl.answer.mask = append(old.mask[:0], a.mask...)
	}
	if a.list != nil {
		pl.answer.list = append(old.list[:0], a.list...)
	}
}

// maxRefused plans that fail in a row are the last that are asked for.
const maxRefused = 3

// Plan lets a sampler work before the logits are there, while the model computes them:
// one in mode mask may decide then. It is called from any goroutine, but not during
// another call for one of these sequences. What is planned holds until the sequence's
// next Process, Accept or Rollback. Both slices are of one length.
func (p *Plugin) Plan(seqs []uint64, histories [][]int32) {
	if !p.has[fnPlan] || p.manifest.Kind != abi.KindSampler {
		return
	}
	r := p.resolve(seqs)
	defer r.release()
	for in := r.next(); in != nil; in = r.next() {
		in.mu.Lock()
		in.tasks = in.tasks[:0]
		r.each(in, func(i int, s *sequence) {
			s.plan.valid = false
			in.add(s, i, histories[i], nil)
		})
		if in.vocab != 0 && in.refused < maxRefused && p.breaker.allow() {
			if f := in.plan(in.tasks); f != nil {
				f.Call = abi.ExportPlan
				in.refused++
				p.settle(in, f)
			}
		}
		in.mu.Unlock()
	}
}

// plan shows the guest rows without logits, and keeps its answers.
func (in *instance) plan(rows []task) *Fault {
	for k := range rows {
		if f := rows[k].s.ensure(); f != nil {
			return f
		}
	}
	if f := in.window(in.vocab); f != nil {
		return f
	}
	in.begin(0, rows)
	masks := in.layout.Mode == abi.ModeMask
	if masks {
		for k := range rows {
			in.clearMask(rows[k].at)
		}
	} else {
		// No logits, mask or candidates: what lies there is another step's.
		clear(in.part(32, 24))
	}
	budget := min(uint64(len(rows))*in.p.callFuel, max(in.p.opt.Limits.Fuel, in.p.callFuel))
	in.stack[0] = uint64(len(rows))
	f := in.do(fnPlan, budget)
	in.p.stats.fuel.Add(in.used(budget))
	if f != nil || int32(in.stack[0]) < 0 {
		return f // a negative result says that it has not planned
	}
	if f := in.answers(rows, masks); f != nil {
		return f
	}
	in.refused = 0
	return nil
}

// answers checks all answers and then keeps them.
func (in *instance) answers(rows []task, masks bool) (f *Fault) {
	for k := range rows {
		t := &rows[k]
		if choice := in.row(t).Action(); !masks && choice != abi.ChoiceNone {
			return in.fault(abi.ExportPlan, ReasonResult, "choice %d before there are logits", choice)
		}
		if !masks {
			continue
		}
		if t.answer, f = in.check(t); f != nil {
			return f
		}
	}
	for k := range rows {
		if t := &rows[k]; t.answer.choice != abi.ChoiceNone {
			t.s.plan.keep(t.answer, len(t.history))
		}
	}
	return nil
}

// planned applies the answers that are there already, and returns the other rows.
func (in *instance) planned(rows []task) (rest []task) {
	n := 0
	for k := range rows {
		t := &rows[k]
		pl := &t.s.plan
		t.s.action = abi.ChoiceNone
		ready := pl.valid && pl.pos == len(t.history) && int(in.vocab) == len(t.logits)
		pl.valid = false
		if !ready {
			continue
		}
		t.answer = pl.answer
		in.apply(t)
		rows[n], rows[k] = rows[k], rows[n]
		n++
	}
	if n > 0 {
		in.p.stats.planned.Add(uint64(n))
	}
	return rows[n:]
}
