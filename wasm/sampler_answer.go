package wasm

import (
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// answer is what a guest did with a row, checked. The slices lie in its memory.
type answer struct {
	choice abi.Choice
	token  int32          // of a pick
	list   abi.Candidates // what remains, or is added
	mask   []uint32       // tokens allowed; nil for all
}

// check reads a row's answer; nothing is changed yet.
func (in *instance) check(t *task) (a answer, f *Fault) {
	row, mode, vocab := in.row(t), in.layout.Mode, int(in.layout.Vocab)
	a.choice = row.Action()
	if mode != abi.ModeCandidates {
		in.masked[t.at] = a.choice == abi.ChoiceMask
	}
	switch choice := a.choice; {
	case choice == abi.ChoicePick:
		a.token, f = in.picked(row, vocab)
	case choice == abi.ChoiceEdit && mode == abi.ModeDense:
		f = in.sane(in.logits(t.s.slot))
	case (choice == abi.ChoiceEdit || choice == abi.ChoiceKeep) && mode == abi.ModeCandidates:
		a.list, f = in.candidates(t, vocab, choice == abi.ChoiceKeep)
	case choice == abi.ChoiceMask && mode != abi.ModeCandidates, choice == abi.ChoiceBias:
		if a.list, f = in.biases(row, vocab); f == nil && choice == abi.ChoiceMask {
			a.mask, f = in.mask(t)
		}
		if f == nil && in.biasesExcludeAll(a.mask, a.list, vocab) {
			f = in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
		}
		if f == nil {
			f = in.untouched(t)
		}
	case choice == abi.ChoiceNone:
		f = in.untouched(t)
	default:
		f = in.fault(abi.ExportSample, ReasonResult, "choice %d is not allowed in mode %s", choice, mode)
	}
	return a, f
}

// untouched sees to logits in the frame that the guest says it has not edited: apply
// puts a copy back if there is one, and if there is none they must at least be sane.
func (in *instance) untouched(t *task) *Fault {
	if t.inPlace && t.undo == nil {
		return in.sane(t.logits)
	}
	return nil
}

// apply does to the logits what was checked.
func (in *instance) apply(t *task) {
	a := &t.answer
	t.pick, t.s.action = -1, a.choice
	in.p.stats.took(in.size(a))
	if t.undo != nil && a.choice != abi.ChoiceEdit {
		copy(t.logits, t.undo) // whatever the guest scribbled was not meant
	}
	switch a.choice {
	case abi.ChoicePick:
		t.pick = a.token
	case abi.ChoiceEdit, abi.ChoiceKeep:
		in.edited(t)
	case abi.ChoiceMask, abi.ChoiceBias:
		a.restrict(t.logits)
	}
}

// size is how many bytes an answer is.
func (in *instance) size(a *answer) int {
	n := len(a.list) + 4*len(a.mask)
	switch {
	case a.choice == abi.ChoicePick:
		n = 4
	case a.choice == abi.ChoiceEdit && in.layout.Mode == abi.ModeDense:
		n = 4 * int(in.layout.Vocab)
	}
	return n
}

// edited takes over the logits or candidates the guest has edited; of candidates the
// other tokens are excluded unless kept.
func (in *instance) edited(t *task) {
	if in.layout.Mode == abi.ModeDense {
		if !t.inPlace {
			copy(t.logits, in.logits(t.s.slot))
		}
		return
	}
	if t.answer.choice == abi.ChoiceEdit {
		exclude(t.logits)
	}
	list := t.answer.list
	for i := range len(list) / abi.CandidateSize {
		t.logits[list.ID(i)] = list.Logit(i)
	}
}

// restrict applies mask and biases.
func (a *answer) restrict(logits []float32) {
	if a.mask != nil {
		applyMask(logits, a.mask)
	}
	for i := range len(a.list) / abi.CandidateSize {
		l := &logits[a.list.ID(i)]
		*l = biased(*l, a.list.Logit(i))
	}
}

func (in *instance) picked(row abi.Row, vocab int) (int32, *Fault) {
	t := row.Token()
	if t < 0 || int(t) >= vocab {
		return -1, in.fault(abi.ExportSample, ReasonResult, "picked token %d, the vocabulary has %d", t, vocab)
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
func (in *instance) biases(row abi.Row, vocab int) (abi.Candidates, *Fault) {
	n := row.OutN()
	if int64(n) > int64(vocab) {
		return nil, in.fault(abi.ExportSample, ReasonResult, "%d biases for a vocabulary of %d", n, vocab)
	}
	b, ok := in.mem(row.OutOff(), n*abi.CandidateSize)
	if !ok {
		return nil, in.fault(abi.ExportSample, ReasonPointer, "%d biases at %d, memory has %d", n, row.OutOff(), in.raw.MemSize())
	}
	list := abi.Candidates(b)
	for i := range int(n) {
		if id, v := list.ID(i), list.Logit(i); id < 0 || int(id) >= vocab || !(v <= math.MaxFloat32) {
			return nil, in.fault(abi.ExportSample, ReasonResult, "bias %d is %v for token %d of %d", i, v, id, vocab)
		}
	}
	return list, nil
}

// candidates checks the list the guest left behind.
func (in *instance) candidates(t *task, vocab int, keep bool) (abi.Candidates, *Fault) {
	l := in.layout
	n := in.row(t).CandN()
	if n > l.Candidates || n == 0 {
		return nil, in.fault(abi.ExportSample, ReasonResult, "%d candidates, 1 to %d allowed", n, l.Candidates)
	}
	c := abi.Candidates(in.part(l.CandOff(t.at), n*abi.CandidateSize))
	for i := range int(n) {
		id, v := c.ID(i), c.Logit(i)
		if id < 0 || int(id) >= vocab {
			return nil, in.fault(abi.ExportSample, ReasonResult, "candidate %d is token %d, the vocabulary has %d", i, id, vocab)
		}
		if !(v <= math.MaxFloat32) {
			return nil, in.fault(abi.ExportSample, ReasonResult, "candidate %d has logit %v", i, v)
		}
	}
	if in.listExcludesAll(c, vocab, keep) {
		return nil, in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
	}
	return c, nil
}

// mask checks the guest's mask.
func (in *instance) mask(t *task) ([]uint32, *Fault) {
	l := in.layout
	mask := view[uint32](in.part(l.MaskOff(t.at), l.MaskWords()*4))
	var any uint32
	for _, w := range mask[:len(mask)-1] {
		any |= w
	}
	last := mask[len(mask)-1]
	if r := l.Vocab % 32; r != 0 {
		last &= 1<<r - 1
	}
	if any|last == 0 {
		return nil, in.fault(abi.ExportSample, ReasonResult, "every token is excluded")
	}
	return mask, nil
}
