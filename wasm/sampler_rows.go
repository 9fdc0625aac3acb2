package wasm

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sandwarp/sandwarp/abi"
)

// task is one row of a step: a sequence and the logits of its next token.
type task struct {
	s       *sequence
	index   int // in the caller's slices
	history []int32
	logits  []float32

	at      uint32    // row of the frame
	inPlace bool      // logits are that row
	undo    []float32 // what an in-place row was before the guest saw it
	answer  answer
	pick    int32
	fault   *Fault
}

// ProcessRows is Process for several sequences: the plugin sees all rows at once.
// picks[i] and errs[i] are set for every i. A failing row costs the others nothing:
// they come out as if each had been processed alone. All slices are of one length.
func (p *Plugin) ProcessRows(seqs []uint64, histories [][]int32, logits [][]float32, picks []int32, errs []error) {
	r := p.resolve(seqs)
	defer r.release()
	for i := range seqs {
		picks[i], errs[i] = -1, r.missing(p, i)
	}
	for in := r.next(); in != nil; in = r.next() {
		in.mu.Lock()
		in.tasks = in.tasks[:0]
		r.each(in, func(i int, s *sequence) {
			err := in.suits(logits[i])
			if n := len(in.tasks); err == nil && n > 0 && len(in.tasks[0].logits) != len(logits[i]) {
				err = fmt.Errorf("plugin %s: %d logits in a step of rows of %d", p.name, len(logits[i]), len(in.tasks[0].logits))
			}
			if err != nil {
				errs[i] = err
				return
			}
			in.add(s, i, histories[i], logits[i])
		})
		in.process()
		for k := range in.tasks {
			t := &in.tasks[k]
			if picks[t.index] = t.pick; t.fault != nil {
				picks[t.index], errs[t.index] = -1, p.give(t.fault)
			}
		}
		in.mu.Unlock()
	}
}

// roster is the sequences of a step, taken off as their instances are visited.
type roster struct {
	seqs    []uint64
	found   []*sequence // nil: unknown, or taken off
	visited []*sequence
}

var rosters = sync.Pool{New: func() any { return new(roster) }}

func (p *Plugin) resolve(seqs []uint64) *roster {
	r := rosters.Get().(*roster)
	r.seqs, r.found = seqs, r.found[:0]
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, id := range seqs {
		s := p.seqs[id]
		if p.closed || p.manifest.Kind != abi.KindSampler {
			s = nil
		}
		r.found = append(r.found, s)
	}
	return r
}

func (r *roster) release() {
	clear(r.found)
	clear(r.visited)
	r.seqs = nil
	rosters.Put(r)
}

// missing is the error of a sequence that was not found.
func (r *roster) missing(p *Plugin, i int) error {
	if r.found[i] != nil {
		return nil
	}
	_, err := p.lookup(abi.KindSampler, r.seqs[i])
	if err == nil { // opened since
		err = fmt.Errorf("plugin %s: %w: %d", p.name, ErrSequence, r.seqs[i])
	}
	return err
}

// next is an instance with sequences left, nil if there are none.
func (r *roster) next() *instance {
	for _, s := range r.found {
		if s != nil {
			return s.in
		}
	}
	return nil
}

// each takes off the sequences of an instance, whose mu the caller holds. Of one that
// is listed twice, or of more than a frame has rows, the rest is left for later.
func (r *roster) each(in *instance, f func(i int, s *sequence)) {
	r.visited = r.visited[:0]
	for i, s := range r.found {
		if s == nil || s.in != in || s.listed || len(r.visited) == in.p.rows() {
			continue
		}
		s.listed = true
		r.found[i], r.visited = nil, append(r.visited, s)
		f(i, s)
	}
	for _, s := range r.visited {
		s.listed = false
	}
}

// add puts a row to in.tasks.
func (in *instance) add(s *sequence, index int, history []int32, logits []float32) {
	n := len(in.tasks)
	in.tasks = slices.Grow(in.tasks, 1)[:n+1]
	t := &in.tasks[n]
	t.s, t.index, t.history, t.logits = s, index, history, logits
	t.undo, t.fault, t.inPlace, t.pick, t.answer = nil, nil, false, -1, answer{}
}

// process decides all of in.tasks, whose pick and fault are the outcome.
func (in *instance) process() {
	p := in.p
	rest := in.planned(in.tasks)
	if len(rest) == 0 {
		return
	}
	if f := p.ready(abi.ExportSample); f != nil {
		for k := range rest {
			rest[k].fault, rest[k].s.kept = f, true
		}
		return
	}
	if p.manifest.Mode == abi.ModeDense && len(rest) > 1 {
		slices.SortFunc(rest, func(a, b task) int { return int(a.s.slot) - int(b.s.slot) })
	}
	if in.raw != nil {
		in.settleIn(uint32(len(rest[0].logits)))
	}
	for len(rest) > 0 {
		n := in.together(rest)
		in.rows(rest[:n])
		rest = rest[n:]
	}
}

// together is how many of the rows can share a call. Logits of a dense plugin lie in
// their sequences' own rows, so a call takes neighbours; and only rows that can be
// put back if another fails.
func (in *instance) together(rows []task) int {
	if in.p.manifest.Mode != abi.ModeDense {
		return len(rows)
	}
	n := 1
	for in.undoable(&rows[n-1]) && n < len(rows) && rows[n].s.slot == rows[n-1].s.slot+1 && in.undoable(&rows[n]) {
		n++
	}
	return n
}

// undoable says whether the logits will be there still if the call fails: beside the
// frame they are, and within it where a copy is made.
func (in *instance) undoable(t *task) bool {
	return in.layout != nil && (in.p.open || !in.lies(t.s, t.logits))
}

// rows runs the guest on rows that share a call. If that fails, each is run alone,
// so that only the one at fault suffers.
func (in *instance) rows(rows []task) {
	p := in.p
	start, timed := p.stats.begin()
	f := in.attempt(rows)
	if timed {
		p.stats.end(start)
	}
	if f == nil || len(rows) == 1 {
		p.settle(in, f)
		rows[0].fault = f
		return
	}
	// Also a call that failed in good order may have changed what the guest knows of
	// other sequences.
	p.stats.repeats.Add(1)
	p.stats.more.Add(uint64(len(rows)))
	_ = in.reset() // if this fails, the attempts say so
	for k := range rows {
		rows[k].fault = in.attempt(rows[k : k+1])
		p.settle(in, rows[k].fault)
	}
}

// attempt runs the guest on rows that share a call and applies what it did. After a
// fault the logits are as they were.
func (in *instance) attempt(rows []task) *Fault {
	f := in.ask(rows)
	for k := 0; k < len(rows) && f == nil; k++ {
		rows[k].answer, f = in.check(&rows[k])
	}
	for k := range rows {
		t := &rows[k]
		switch {
		case f == nil:
			in.apply(t)
		case t.undo != nil:
			copy(t.logits, t.undo)
		}
	}
	return f
}

// ask shows the guest the rows and calls it.
func (in *instance) ask(rows []task) *Fault {
	for k := range rows {
		rows[k].undo, rows[k].inPlace = nil, false
		if f := rows[k].s.ensure(); f != nil {
			return f
		}
	}
	if f := in.window(uint32(len(rows[0].logits))); f != nil {
		return f
	}
	l, first := in.layout, uint32(0)
	if l.Mode == abi.ModeDense {
		first = rows[0].s.slot
	}
	in.begin(first, rows)
	for k := range rows {
		in.present(&rows[k], k)
	}
	return in.sample(len(rows))
}

// begin fills in the frame's header, rows and histories, from row first on.
func (in *instance) begin(first uint32, rows []task) {
	l := in.layout
	in.step++
	l.PutHeader(abi.Header(in.part(0, abi.HeaderSize)), first, uint32(len(rows)), in.step)
	for k := range rows {
		t := &rows[k]
		t.at = first + uint32(k)
		seed := mix(t.s.seed + uint64(len(t.history)))
		if k == 0 {
			in.seed = seed
		}
		n := min(uint32(len(t.history)), l.History)
		if n > 0 {
			copy(view[int32](in.part(l.HistOff(t.at), n*4)), t.history[uint32(len(t.history))-n:])
		}
		in.row(t).Begin(t.s.gid, uint32(len(t.history)), seed, l.HistOff(t.at), n, 0)
	}
}

func (in *instance) row(t *task) abi.Row {
	return abi.Row(in.part(in.layout.RowOff(t.at), abi.RowSize))
}

// sample calls the guest. Several rows may take several times the fuel of one, as far
// as that is allowed in one go.
func (in *instance) sample(rows int) *Fault {
	p := in.p
	budget := min(uint64(rows)*p.callFuel, max(p.opt.Limits.Fuel, p.callFuel))
	in.stack[0] = uint64(rows)
	f := in.do(fnSample, budget)
	p.stats.fuel.Add(in.used(budget))
	if rows > 1 {
		p.stats.more.Add(uint64(rows - 1))
	}
	if f == nil {
		f = in.code(abi.ExportSample)
	}
	return f
}

// present puts what the mode shows into the frame; k is the row's number in the call.
// Of dense logits that lie there already it keeps a copy, to undo the guest's work if
// the request is to go on without it.
func (in *instance) present(t *task, k int) {
	switch l := in.layout; l.Mode {
	case abi.ModeCandidates:
		in.top = topK(in.top[:0], t.logits, int(l.Candidates))
		c := abi.Candidates(in.part(l.CandOff(t.at), l.Candidates*abi.CandidateSize))
		for i, best := range in.top {
			c.Set(i, best.id(), best.logit())
		}
		in.row(t).SetCandN(uint32(len(in.top)))
		in.p.stats.gave(len(in.top) * abi.CandidateSize)
	case abi.ModeMask:
		in.clearMask(t.at)
	case abi.ModeDense:
		in.p.stats.gave(4 * len(t.logits))
		t.inPlace = in.lies(t.s, t.logits)
		if !t.inPlace {
			copy(in.logits(t.s.slot), t.logits)
		} else if in.p.open {
			for len(in.backup) <= k {
				in.backup = append(in.backup, nil)
			}
			in.backup[k] = append(in.backup[k][:0], t.logits...)
			t.undo = in.backup[k]
		}
		in.clearMask(t.at)
	}
}

// clearMask makes a row's mask zero. It is, unless the last call with that row may
// have written to it.
func (in *instance) clearMask(at uint32) {
	if in.masked[at] {
		clear(in.part(in.layout.MaskOff(at), in.layout.MaskWords()*4))
	}
	in.masked[at] = true
}
