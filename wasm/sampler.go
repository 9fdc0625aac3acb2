package wasm

import (
	"fmt"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// Process lets a sampler edit logits (vocab) in place, or pick the next token.
// The logits may be a row that Frame returned, in which case none is copied. If the
// plugin fails and OnFault is open, logits are unchanged and pick is -1.
func (p *Plugin) Process(seq uint64, history []int32, logits []float32) (pick int32, err error) {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return -1, err
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.suits(logits); err != nil {
		return -1, err
	}
	in.tasks = in.tasks[:0]
	in.add(s, 0, history, logits)
	in.process()
	t := &in.tasks[0]
	if t.fault != nil {
		return -1, p.give(t.fault)
	}
	return t.pick, nil
}

// LastAction is what the plugin did in the sequence's last Process or ProcessRows:
// an abi.Choice, 0 for nothing.
func (p *Plugin) LastAction(seq uint64) uint8 {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return 0
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return uint8(s.action)
}

// suits refuses logits the instance has no frame for.
func (in *instance) suits(logits []float32) error {
	if len(logits) == 0 || len(logits) > abi.MaxVocab {
		return fmt.Errorf("plugin %s: %d logits", in.p.name, len(logits))
	}
	return in.oneVocab(len(logits))
}

// oneVocab refuses a second vocabulary: frames are laid out for one.
func (in *instance) oneVocab(n int) error {
	if in.vocab != 0 && int(in.vocab) != n {
		return fmt.Errorf("plugin %s: serves a vocabulary of %d, got one of %d; load the plugin once for each model", in.p.name, in.vocab, n)
	}
	return nil
}

// give applies the policy: nil if the request goes on without the plugin.
func (p *Plugin) give(f *Fault) error {
	if p.open {
		return nil
	}
	return f
}

// Frame returns the row in the plugin's memory that belongs to the sequence, for
// a sampler that sees all logits; for others a row of the host's. It stays valid
// until the next call of Frame or CloseSeq for the sequence, Close included.
func (p *Plugin) Frame(seq uint64, vocab int) ([]float32, error) {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return nil, err
	}
	if vocab <= 0 || vocab > abi.MaxVocab {
		return nil, fmt.Errorf("plugin %s: a vocabulary of %d", p.name, vocab)
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.oneVocab(vocab); err != nil {
		return nil, err
	}
	if p.manifest.Mode == abi.ModeDense && p.breaker.allow() {
		f := in.usable()
		if f == nil {
			in.settleIn(uint32(vocab))
			f = in.window(uint32(vocab))
		}
		if f == nil {
			return s.seen(vocab), nil
		}
		p.settle(in, f)
		if !p.open {
			return nil, f
		}
	}
	s.letGo()
	if len(s.own) != vocab {
		s.own = make([]float32, vocab)
	}
	return s.own, nil
}

// seen returns the sequence's row as the guest sees it: one that can be mapped into other
// plugins' frames, too, or the one in this guest's memory.
func (s *sequence) seen(vocab int) []float32 {
	in := s.in
	if s.shared == nil && in.shares() {
		s.shared = newRow(vocab)
	}
	if s.shared != nil && in.mapRow(s.slot, s.shared) {
		return s.shared.vals
	}
	in.held = true
	return s.hold()
}

// rowPage is how rows of logits lie in a frame, on every engine and system, so that a
// guest sees the same addresses: to be mapped, where that can be.
func rowPage() uint32 { return max(4096, rowAlign()) }

// shares says whether rows can be mapped into the frame.
func (in *instance) shares() bool {
	return in.layout.Paged() && rowAlign() > 0 && linearOf(in.raw) != nil
}

// hold returns the sequence's row and keeps its memory mapped.
func (s *sequence) hold() []float32 {
	row := s.in.logits(s.slot)
	if s.row == nil || unsafe.SliceData(s.row) != unsafe.SliceData(row) {
		s.letGo()
		s.free, s.row = s.in.raw.Hold(), row
	}
	return row
}

// window makes sure the instance has a frame for the vocabulary.
func (in *instance) window(vocab uint32) *Fault {
	if in.layout != nil && in.layout.Vocab == vocab {
		return nil
	}
	p := in.p
	l, err := abi.NewPagedLayout(p.manifest.Mode, uint32(p.rows()), vocab, p.k, p.manifest.History, rowPage())
	if err != nil {
		return in.fault(abi.ExportFrame, ReasonError, "%v", err)
	}
	in.stack[0] = uint64(l.Size())
	// Clearing the window may cost the guest a unit for 8 bytes.
	if f := in.do(fnFrame, p.callFuel+uint64(l.Size())); f != nil {
		return f
	}
	ptr := uint32(in.stack[0])
	_, ok := in.mem(ptr, l.Size())
	switch {
	case ptr == 0 || int32(ptr) < 0:
		return in.fault(abi.ExportFrame, ReasonError, "no memory for a frame of %d bytes (manifest: memory)", l.Size())
	case ptr%abi.WindowAlign != 0:
		return in.fault(abi.ExportFrame, ReasonResult, "the frame at %d is not aligned to %d", ptr, abi.WindowAlign)
	case !ok:
		return in.fault(abi.ExportFrame, ReasonPointer, "a frame of %d bytes at %d, memory has %d", l.Size(), ptr, in.raw.MemSize())
	}
	in.frame, in.layout, in.vocab, in.view = ptr, l, vocab, nil
	in.unmasked(true) // whatever the window held before
	return nil
}

// unmasked says of all masks whether they may not be zero.
func (in *instance) unmasked(may bool) {
	if in.masked == nil {
		in.masked = make([]bool, in.p.rows())
	}
	for i := range in.masked {
		in.masked[i] = may
	}
}

// part is n bytes of the frame. The frame was checked and memory never shrinks.
func (in *instance) part(off, n uint32) []byte {
	if in.view == nil {
		in.view, _ = in.mem(in.frame, in.layout.Size())
	}
	return in.view[off : off+n : off+n]
}

func (in *instance) logits(slot uint32) []float32 {
	return view[float32](in.part(in.layout.LogitsOff(slot), in.layout.Vocab*4))
}

// Accept tells a sampler which tokens were chosen.
func (p *Plugin) Accept(seq uint64, tokens []int32) error {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return err
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(tokens) == 0 {
		return nil
	}
	s.plan.valid = false
	if !p.has[fnAccept] {
		s.accepted = append(s.accepted, tokens...)
		return nil
	}
	if f := s.ready(abi.ExportAccept); f != nil {
		s.accepted, s.stale = append(s.accepted, tokens...), true
		return p.give(f)
	}
	f := s.ensure()
	if f == nil {
		f = s.tell(tokens)
	}
	s.accepted = append(s.accepted, tokens...)
	p.settle(in, f)
	if f != nil {
		s.stale = true
		return p.give(f)
	}
	return nil
}

// tell passes tokens to sw_accept.
func (s *sequence) tell(tokens []int32) *Fault {
	in := s.in
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(tokens))), 4*len(tokens))
	ptr, f := in.input(b)
	if f != nil {
		return f
	}
	in.stack[0], in.stack[1], in.stack[2] = s.gid, uint64(ptr), uint64(len(tokens))
	if f := in.do(fnAccept, in.p.textFuel(len(b))); f != nil {
		return f
	}
	return in.code(abi.ExportAccept)
}

// Rollback takes back the last n accepted tokens. A plugin that cannot do it is told
// of the sequence anew.
func (p *Plugin) Rollback(seq uint64, n int) error {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return err
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if n < 0 || n > len(s.accepted) {
		return fmt.Errorf("plugin %s: rollback of %d tokens, %d were accepted", p.name, n, len(s.accepted))
	}
	if n == 0 {
		return nil
	}
	s.plan.valid = false
	s.accepted = s.accepted[:len(s.accepted)-n]
	if !p.has[fnSeqRollback] || in.raw == nil || s.gen != in.gen || s.stale {
		s.stale = true // rebuilt from what remains, at the next call
		return nil
	}
	f := s.ready(abi.ExportSeqRollback)
	if f == nil {
		in.stack[0], in.stack[1] = s.gid, uint64(n)
		if f = in.do(fnSeqRollback, p.callFuel); f == nil {
			f = in.code(abi.ExportSeqRollback)
		}
		p.settle(in, f)
	}
	if f != nil {
		s.stale = true
		return p.give(f)
	}
	return nil
}
