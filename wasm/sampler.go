package wasm

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// Process lets a sampler edit logits (vocab) in place, or pick the next token.
// The logits may be the row Frame returned, in which case none is copied. If the
// plugin fails and OnFault is open, logits are unchanged and pick is -1.
func (p *Plugin) Process(seq uint64, history []int32, logits []float32) (pick int32, err error) {
	s, err := p.lookup(abi.KindSampler, seq)
	if err != nil {
		return -1, err
	}
	if len(logits) == 0 || len(logits) > abi.MaxVocab {
		return -1, fmt.Errorf("plugin %s: %d logits", p.name, len(logits))
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.oneVocab(len(logits)); err != nil {
		return -1, err
	}
	if f := p.ready(abi.ExportSample); f != nil {
		return -1, p.give(f)
	}
	start, timed := p.stats.begin()
	pick, f := s.process(history, logits)
	if timed {
		p.stats.end(start)
	}
	p.settle(in, f)
	if f != nil {
		return -1, p.give(f)
	}
	return pick, nil
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
			f = in.window(uint32(vocab))
		}
		if f == nil {
			return s.hold(), nil
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
	l, err := abi.NewLayout(p.manifest.Mode, uint32(p.rows()), vocab, p.k, p.manifest.History)
	if err != nil {
		return in.fault(abi.ExportFrame, ReasonError, "%v", err)
	}
	in.stack[0] = uint64(l.Size())
	// Clearing the window may cost the guest a unit for 8 bytes.
	if f := in.call(in.fn.frame, abi.ExportFrame, p.callFuel+uint64(l.Size())); f != nil {
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
	in.frame, in.layout, in.vocab = ptr, l, vocab
	in.masked = make([]bool, p.rows())
	for i := range in.masked {
		in.masked[i] = true // whatever the window held before
	}
	return nil
}

// part is n bytes of the frame. The frame was checked and memory never shrinks.
func (in *instance) part(off, n uint32) []byte {
	b, _ := in.mem(in.frame+off, n)
	return b
}

func (in *instance) logits(slot uint32) []float32 {
	return view[float32](in.part(in.layout.LogitsOff(slot), in.layout.Vocab*4))
}

// process runs the guest on one row.
func (s *sequence) process(history []int32, logits []float32) (int32, *Fault) {
	row, f := s.begin(history, uint32(len(logits)))
	if f != nil {
		return -1, f
	}
	backup, inPlace := s.present(row, logits)
	pick := int32(-1)
	if f = s.in.sample(); f == nil {
		pick, f = s.outcome(row, logits, backup, inPlace)
	}
	if f != nil && inPlace {
		copy(logits, backup)
	}
	return pick, f
}

// begin fills in the frame's header, history and row.
func (s *sequence) begin(history []int32, vocab uint32) (abi.Row, *Fault) {
	in := s.in
	if f := s.ensure(); f != nil {
		return nil, f
	}
	if f := in.window(vocab); f != nil {
		return nil, f
	}
	l := in.layout
	in.step++
	l.PutHeader(abi.Header(in.part(0, abi.HeaderSize)), s.slot, 1, in.step)
	seed := mix(s.seed + uint64(len(history)))
	in.seed = seed
	histN := min(uint32(len(history)), l.History)
	if histN > 0 {
		copy(view[int32](in.part(l.HistOff(s.slot), histN*4)), history[uint32(len(history))-histN:])
	}
	row := abi.Row(in.part(l.RowOff(s.slot), abi.RowSize))
	row.Begin(s.id, uint32(len(history)), seed, l.HistOff(s.slot), histN, 0)
	return row, nil
}

// sample calls the guest.
func (in *instance) sample() *Fault {
	p := in.p
	in.stack[0] = 1
	f := in.call(in.fn.sample, abi.ExportSample, p.callFuel)
	p.stats.fuel.Add(in.used(p.callFuel))
	if f == nil {
		f = in.code(abi.ExportSample)
	}
	return f
}

// present puts what the mode shows into the frame. For dense rows it says
// whether logits already lie there, and keeps a copy to undo the guest's work if
// the request is to go on without it.
func (s *sequence) present(row abi.Row, logits []float32) (backup []float32, inPlace bool) {
	in := s.in
	switch l := in.layout; l.Mode {
	case abi.ModeCandidates:
		in.top = topK(in.top[:0], logits, int(l.Candidates))
		c := abi.Candidates(in.part(l.CandOff(s.slot), l.Candidates*abi.CandidateSize))
		for i, t := range in.top {
			c.Set(i, t.id(), t.logit())
		}
		row.SetCandN(uint32(len(in.top)))
	case abi.ModeMask:
		s.clearMask()
	case abi.ModeDense:
		dst := in.logits(s.slot)
		inPlace = unsafe.SliceData(dst) == unsafe.SliceData(logits)
		if !inPlace {
			copy(dst, logits)
		} else if in.p.open {
			in.backup = append(in.backup[:0], logits...)
			backup = in.backup
		}
		s.clearMask()
	}
	return backup, inPlace
}

// clearMask makes the row's mask zero. It is, unless the slot's last call may
// have written to it.
func (s *sequence) clearMask() {
	in := s.in
	if in.masked[s.slot] {
		clear(in.part(in.layout.MaskOff(s.slot), in.layout.MaskWords()*4))
	}
	in.masked[s.slot] = true
}

// outcome checks and applies what the guest did with the row.
func (s *sequence) outcome(row abi.Row, logits, backup []float32, inPlace bool) (int32, *Fault) {
	in, mode := s.in, s.in.layout.Mode
	choice := row.Action()
	if mode != abi.ModeCandidates {
		in.masked[s.slot] = choice == abi.ChoiceMask
	}
	switch {
	case choice == abi.ChoiceNone && backup != nil:
		copy(logits, backup) // whatever the guest scribbled was not meant
		return -1, nil
	case choice == abi.ChoiceNone && !inPlace:
		return -1, nil
	case choice == abi.ChoiceNone:
		return -1, in.sane(logits)
	case choice == abi.ChoicePick:
		return s.picked(row, len(logits))
	case choice == abi.ChoiceEdit && mode == abi.ModeDense:
		edited := in.logits(s.slot)
		if f := in.sane(edited); f != nil {
			return -1, f
		}
		if !inPlace {
			copy(logits, edited)
		}
		return -1, nil
	case (choice == abi.ChoiceEdit || choice == abi.ChoiceKeep) && mode == abi.ModeCandidates:
		return -1, s.scatter(row, logits, choice == abi.ChoiceKeep)
	case choice == abi.ChoiceMask && mode != abi.ModeCandidates, choice == abi.ChoiceBias:
		list, f := s.biases(row, logits)
		if f == nil && choice == abi.ChoiceMask {
			f = s.mask(logits)
		}
		for i := 0; i < len(list)/abi.CandidateSize && f == nil; i++ {
			logits[list.ID(i)] += list.Logit(i)
		}
		return -1, f
	}
	return -1, in.fault(abi.ExportSample, ReasonResult, "choice %d is not allowed in mode %s", choice, mode)
}

func (s *sequence) picked(row abi.Row, vocab int) (int32, *Fault) {
	t := row.Token()
	if t < 0 || int(t) >= vocab {
		return -1, s.in.fault(abi.ExportSample, ReasonResult, "picked token %d, the vocabulary has %d", t, vocab)
	}
	return t, nil
}

// sane refuses logits a sampler cannot use: NaN, +Inf, or nothing but -Inf.
// It looks at two at a time: an exponent of ones carries into the sign's bit.
func (in *instance) sane(logits []float32) *Fault {
	const exponents, one, carry = 0x7f800000_7f800000, 0x00800000_00800000, 0x80000000_80000000
	some := false
	i := 0
	for ; i+16 <= len(logits); i += 16 {
		b := (*[8]uint64)(unsafe.Pointer(&logits[i]))
		odd := (b[0]&exponents + one) | (b[1]&exponents + one) | (b[2]&exponents + one) | (b[3]&exponents + one) |
			(b[4]&exponents + one) | (b[5]&exponents + one) | (b[6]&exponents + one) | (b[7]&exponents + one)
		if odd&carry == 0 {
			some = true
			continue
		}
		for _, v := range logits[i : i+16] {
			if !(v <= math.MaxFloat32) {
				return in.fault(abi.ExportSample, ReasonResult, "a logit is %v", v)
			}
			some = some || v >= lowest
		}
	}
	for _, v := range logits[i:] {
		if !(v <= math.MaxFloat32) {
			return in.fault(abi.ExportSample, ReasonResult, "a logit is %v", v)
		}
		some = some || v >= lowest
	}
	if !some {
		return in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
	}
	return nil
}

// biases checks the guest's list, before anything is changed.
func (s *sequence) biases(row abi.Row, logits []float32) (abi.Candidates, *Fault) {
	in, n := s.in, row.OutN()
	if int64(n) > int64(len(logits)) {
		return nil, in.fault(abi.ExportSample, ReasonResult, "%d biases for a vocabulary of %d", n, len(logits))
	}
	b, ok := in.mem(row.OutOff(), n*abi.CandidateSize)
	if !ok {
		return nil, in.fault(abi.ExportSample, ReasonPointer, "%d biases at %d, memory has %d", n, row.OutOff(), in.raw.MemSize())
	}
	list := abi.Candidates(b)
	for i := range int(n) {
		if id, v := list.ID(i), list.Logit(i); id < 0 || int(id) >= len(logits) || !(v <= math.MaxFloat32) {
			return nil, in.fault(abi.ExportSample, ReasonResult, "bias %d is %v for token %d of %d", i, v, id, len(logits))
		}
	}
	return list, nil
}

// scatter writes the guest's candidates back; the other tokens are excluded
// unless kept.
func (s *sequence) scatter(row abi.Row, logits []float32, keep bool) *Fault {
	c, n, f := s.candidates(row, len(logits), keep)
	if f != nil {
		return f
	}
	if !keep {
		exclude(logits)
	}
	for i := range n {
		logits[c.ID(i)] = c.Logit(i)
	}
	return nil
}

// candidates checks the list the guest left behind.
func (s *sequence) candidates(row abi.Row, vocab int, keep bool) (abi.Candidates, int, *Fault) {
	in, l := s.in, s.in.layout
	n := row.CandN()
	if n > l.Candidates || n == 0 {
		return nil, 0, in.fault(abi.ExportSample, ReasonResult, "%d candidates, 1 to %d allowed", n, l.Candidates)
	}
	c := abi.Candidates(in.part(l.CandOff(s.slot), n*abi.CandidateSize))
	some := keep
	for i := range int(n) {
		id, v := c.ID(i), c.Logit(i)
		if id < 0 || int(id) >= vocab {
			return nil, 0, in.fault(abi.ExportSample, ReasonResult, "candidate %d is token %d, the vocabulary has %d", i, id, vocab)
		}
		if !(v <= math.MaxFloat32) {
			return nil, 0, in.fault(abi.ExportSample, ReasonResult, "candidate %d has logit %v", i, v)
		}
		some = some || v >= lowest
	}
	if !some {
		return nil, 0, in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
	}
	return c, int(n), nil
}

// mask applies the guest's mask.
func (s *sequence) mask(logits []float32) *Fault {
	in, l := s.in, s.in.layout
	mask := view[uint32](in.part(l.MaskOff(s.slot), l.MaskWords()*4))
	var any uint32
	for _, w := range mask[:len(mask)-1] {
		any |= w
	}
	last := mask[len(mask)-1]
	if r := l.Vocab % 32; r != 0 {
		last &= 1<<r - 1
	}
	if any|last == 0 {
		return in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
	}
	applyMask(logits, mask)
	return nil
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
	if in.fn.accept == nil || len(tokens) == 0 {
		return nil
	}
	if f := p.ready(abi.ExportAccept); f != nil {
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
	in.stack[0], in.stack[1], in.stack[2] = s.id, uint64(ptr), uint64(len(tokens))
	if f := in.call(in.fn.accept, abi.ExportAccept, in.p.textFuel(len(b))); f != nil {
		return f
	}
	return in.code(abi.ExportAccept)
}
