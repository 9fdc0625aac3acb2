package wasm

import (
	"fmt"

	"github.com/sandwarp/sandwarp/abi"
)

// Top is how many of the most likely tokens the plugin sees; 0 if it sees all
// logits, or none. Only for a plugin with a Top there is ProcessTop.
func (p *Plugin) Top(uint64) int {
	if p.manifest.Mode != abi.ModeCandidates {
		return 0
	}
	return int(p.k)
}

// ProcessTop is Process for a sampler in mode candidates, given the most likely of
// vocab tokens (best first) instead of all: logits that lie on a GPU stay there. It
// returns how many of ids and logits remain, 0 if nothing has changed, -1 if what
// the plugin did needs all logits: then it was done to those that all returned. If
// the plugin fails and OnFault is open, nothing has changed.
func (p *Plugin) ProcessTop(seq uint64, history []int32, vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (n int, pick int32, err error) {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return 0, -1, err
	}
	if p.Top(seq) == 0 {
		return 0, -1, fmt.Errorf("plugin %s: ProcessTop in mode %s", p.name, p.manifest.Mode)
	}
	if vocab <= 0 || vocab > abi.MaxVocab || len(ids) != len(logits) || len(ids) > vocab {
		return 0, -1, fmt.Errorf("plugin %s: %d tokens and %d logits of %d", p.name, len(ids), len(logits), vocab)
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.oneVocab(vocab); err != nil {
		return 0, -1, err
	}
	if f := s.ready(abi.ExportSample); f != nil {
		return 0, -1, p.give(f)
	}
	in.tasks = in.tasks[:0]
	in.add(s, 0, history, nil)
	start, timed := p.stats.begin()
	n, pick, f, err := in.processTop(vocab, ids, logits, all)
	if timed {
		p.stats.end(start)
	}
	p.settle(in, f)
	if f != nil {
		s.action = abi.ChoiceNone
		return 0, -1, p.give(f)
	}
	return n, pick, err
}

// processTop runs the guest on the best tokens of a row. err is that of all.
func (in *instance) processTop(vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (n int, pick int32, f *Fault, err error) {
	t := &in.tasks[0]
	t.s.action, t.s.plan.valid = abi.ChoiceNone, false
	if f = in.showTop(t, vocab, ids, logits); f != nil {
		return 0, -1, f, nil
	}
	row := in.row(t)
	t.s.action = row.Action()
	switch t.s.action {
	case abi.ChoiceNone:
		return 0, -1, nil, nil
	case abi.ChoicePick:
		pick, f = in.picked(row, vocab)
		in.p.stats.took(4)
		return 0, pick, f, nil
	case abi.ChoiceEdit:
		if n, f = in.takeBack(t, vocab, ids, logits); f != nil || n > 0 {
			return n, -1, f, nil
		}
	}
	if t.logits, err = all(); err != nil {
		return 0, -1, nil, err
	}
	if t.answer, f = in.check(t); f == nil {
		in.apply(t)
	}
	return -1, -1, f, nil
}

// showTop calls the guest with the best tokens.
func (in *instance) showTop(t *task, vocab int, ids []int32, logits []float32) *Fault {
	in.settleIn(uint32(vocab))
	if f := t.s.ensure(); f != nil {
		return f
	}
	if f := in.window(uint32(vocab)); f != nil {
		return f
	}
	in.begin(0, in.tasks)
	c := abi.Candidates(in.part(in.layout.CandOff(t.at), in.layout.Candidates*abi.CandidateSize))
	shown := 0
	for shown < len(ids) && shown < int(in.layout.Candidates) && logits[shown] >= lowest {
		c.Set(shown, ids[shown], logits[shown])
		shown++
	}
	in.row(t).SetCandN(uint32(shown))
	in.p.stats.gave(shown * abi.CandidateSize)
	return in.sample(1)
}

// takeBack writes the guest's list to ids and logits and returns its length; of a
// token that is listed twice the last counts. 0 says that there is no room.
func (in *instance) takeBack(t *task, vocab int, ids []int32, logits []float32) (int, *Fault) {
	c, f := in.candidates(t, vocab, false)
	n := len(c) / abi.CandidateSize
	if f != nil || n > len(ids) {
		return 0, f
	}
	in.p.stats.took(len(c))
	in.marks(vocab)
	kept := 0
	for i := n - 1; i >= 0; i-- {
		if id := c.ID(i); in.mark(id) {
			ids[kept], logits[kept] = id, c.Logit(i)
			kept++
		}
	}
	in.unmark(c)
	return kept, nil
}
