package wasm

import "sync"

// Name is that of the first plugin, so that configurations find it.
func (s *Swap) Name() string { return s.name }

// OpenSeq begins a sequence with the current plugin.
func (s *Swap) OpenSeq(seq uint64, config []byte) error {
	return s.open(seq, func(p *Plugin) error { return p.OpenSeq(seq, config) })
}

// OpenSeqSeeded is OpenSeq with a seed of the request's.
func (s *Swap) OpenSeqSeeded(seq, seed uint64, config []byte) error {
	return s.open(seq, func(p *Plugin) error { return p.OpenSeqSeeded(seq, seed, config) })
}

func (s *Swap) open(seq uint64, open func(*Plugin) error) error {
	v, err := s.enter()
	if err != nil {
		return err
	}
	if err = open(v.Plugin); err == nil {
		if err = s.keep(seq, v); err != nil {
			v.CloseSeq(seq)
		}
	}
	if err != nil {
		s.leave(v)
	}
	return err
}

// ForkSeq opens dst with the plugin src is with.
func (s *Swap) ForkSeq(src, dst uint64) error {
	v, err := s.join(src)
	if err != nil {
		return err
	}
	if err = v.ForkSeq(src, dst); err == nil {
		if err = s.keep(dst, v); err != nil {
			v.CloseSeq(dst)
		}
	}
	if err != nil {
		s.leave(v)
	}
	return err
}

// CloseSeq ends a sequence, and the plugin it was the last of if that was replaced.
func (s *Swap) CloseSeq(seq uint64) {
	s.mu.Lock()
	v := s.seqs[seq]
	delete(s.seqs, seq)
	s.mu.Unlock()
	if v == nil {
		return
	}
	v.CloseSeq(seq)
	s.leave(v)
}

// Process is Plugin.Process of the sequence's plugin.
func (s *Swap) Process(seq uint64, history []int32, logits []float32) (pick int32, err error) {
	v, err := s.at(seq)
	if err != nil {
		return -1, err
	}
	return v.Process(seq, history, logits)
}

// LastAction is Plugin.LastAction of the sequence's plugin.
func (s *Swap) LastAction(seq uint64) uint8 {
	v, err := s.at(seq)
	if err != nil {
		return 0
	}
	return v.LastAction(seq)
}

// Frame is Plugin.Frame of the sequence's plugin.
func (s *Swap) Frame(seq uint64, vocab int) ([]float32, error) {
	v, err := s.at(seq)
	if err != nil {
		return nil, err
	}
	return v.Frame(seq, vocab)
}

// Accept is Plugin.Accept of the sequence's plugin.
func (s *Swap) Accept(seq uint64, tokens []int32) error {
	v, err := s.at(seq)
	if err != nil {
		return err
	}
	return v.Accept(seq, tokens)
}

// Rollback is Plugin.Rollback of the sequence's plugin.
func (s *Swap) Rollback(seq uint64, n int) error {
	v, err := s.at(seq)
	if err != nil {
		return err
	}
	return v.Rollback(seq, n)
}

// Top is Plugin.Top of the sequence's plugin.
func (s *Swap) Top(seq uint64) int {
	v, err := s.at(seq)
	if err != nil {
		return 0
	}
	return v.Top(seq)
}

// ProcessTop is Plugin.ProcessTop of the sequence's plugin.
func (s *Swap) ProcessTop(seq uint64, history []int32, vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (n int, pick int32, err error) {
	v, err := s.at(seq)
	if err != nil {
		return 0, -1, err
	}
	return v.ProcessTop(seq, history, vocab, ids, logits, all)
}

// Filter is Plugin.Filter of the sequence's plugin.
func (s *Swap) Filter(seq uint64, pending []byte, flags uint32) (out []byte, n int, stop bool, err error) {
	v, err := s.at(seq)
	if err != nil {
		return nil, 0, false, err
	}
	return v.Filter(seq, pending, flags)
}

// Encode and Decode go to the current plugin, which is not closed before they return.
func (s *Swap) Encode(dst []int32, text string, special bool) ([]int32, error) {
	v, err := s.enter()
	if err != nil {
		return dst, err
	}
	defer s.leave(v)
	return v.Encode(dst, text, special)
}

// Decode goes to the current plugin, as Encode does.
func (s *Swap) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	v, err := s.enter()
	if err != nil {
		return dst, err
	}
	defer s.leave(v)
	return v.Decode(dst, ids, special)
}

// parted is scratch of calls with sequences of several versions.
type parted struct {
	of        []*version // by row; nil once it has had its turn
	at        []int
	seqs      []uint64
	histories [][]int32
	logits    [][]float32
	picks     []int32
	errs      []error
}

var parts = sync.Pool{New: func() any { return new(parted) }}

// ProcessRows shows each version its sequences together.
func (s *Swap) ProcessRows(seqs []uint64, histories [][]int32, logits [][]float32, picks []int32, errs []error) {
	p, one := s.part(seqs, errs)
	defer p.release()
	for i := range picks {
		picks[i] = -1
	}
	if one != nil {
		one.ProcessRows(seqs, histories, logits, picks, errs)
		return
	}
	for v := p.next(seqs, histories); v != nil; v = p.next(seqs, histories) {
		for _, i := range p.at {
			p.logits, p.picks, p.errs = append(p.logits, logits[i]), append(p.picks, -1), append(p.errs, nil)
		}
		v.ProcessRows(p.seqs, p.histories, p.logits, p.picks, p.errs)
		for k, i := range p.at {
			picks[i], errs[i] = p.picks[k], p.errs[k]
		}
	}
}

// Plan has each version plan for its sequences.
func (s *Swap) Plan(seqs []uint64, histories [][]int32) {
	p, one := s.part(seqs, nil)
	defer p.release()
	if one != nil {
		one.Plan(seqs, histories)
		return
	}
	for v := p.next(seqs, histories); v != nil; v = p.next(seqs, histories) {
		v.Plan(p.seqs, p.histories)
	}
}

// part finds the versions of sequences: one if all are with the same. The error of a
// sequence that is not open goes to errs, unless that is nil.
func (s *Swap) part(seqs []uint64, errs []error) (p *parted, one *version) {
	p = parts.Get().(*parted)
	same := true
	for i, seq := range seqs {
		v, err := s.at(seq)
		if errs != nil {
			errs[i] = err
		}
		p.of = append(p.of, v)
		same = same && v != nil && v == p.of[0]
	}
	if same && len(seqs) > 0 {
		return p, p.of[0]
	}
	return p, nil
}

// next is a version that has not had its turn, with its rows in at, seqs and
// histories; nil if there is none.
func (p *parted) next(seqs []uint64, histories [][]int32) (v *version) {
	p.clear()
	for i, w := range p.of {
		if v == nil {
			v = w
		}
		if w != nil && w == v {
			p.of[i] = nil
			p.at, p.seqs, p.histories = append(p.at, i), append(p.seqs, seqs[i]), append(p.histories, histories[i])
		}
	}
	return v
}

func (p *parted) clear() {
	clear(p.histories)
	clear(p.logits)
	clear(p.errs)
	p.at, p.seqs, p.histories, p.logits, p.picks, p.errs = p.at[:0], p.seqs[:0], p.histories[:0], p.logits[:0], p.picks[:0], p.errs[:0]
}

func (p *parted) release() {
	p.clear()
	clear(p.of)
	p.of = p.of[:0]
	parts.Put(p)
}
