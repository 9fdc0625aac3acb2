package wasm

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/abi"
)

// Filter judges pending, all text of the sequence not yet judged: it consumes
// the first n bytes and releases out in their place; see the runtime's Filter.
// It is to be called again while it consumes some and leaves some.
// The flags are abi.FlagPrompt and abi.FlagEnd. Only what the plugin released
// comes out: if it fails and OnFault is closed, nothing does.
func (p *Plugin) Filter(seq uint64, pending []byte, flags uint32) (out []byte, n int, stop bool, err error) {
	s, err := p.lookup(abi.KindFilter, seq)
	if err != nil {
		return nil, 0, false, err
	}
	flags &= abi.FlagPrompt | abi.FlagEnd
	switch {
	case len(pending) > p.opt.Limits.Input:
		return nil, 0, false, fmt.Errorf("plugin %s: text of %d bytes, at most %d allowed (Limits.Input)", p.name, len(pending), p.opt.Limits.Input)
	case len(pending) == 0 && flags&abi.FlagEnd == 0:
		return nil, 0, false, nil
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if f := s.ready(abi.ExportFilter); f != nil {
		return p.giveText(s, pending, flags, f)
	}
	start, timed := p.stats.begin()
	out, n, stop, f := s.filter(pending, flags)
	if timed {
		p.stats.end(start)
	}
	p.settle(s.in, f)
	if f != nil {
		return p.giveText(s, pending, flags, f)
	}
	p.stats.gave(len(pending))
	p.stats.took(len(out))
	s.remember(pending[:n], flags)
	return out, n, stop, nil
}

// giveText applies the policy: all of the text, or none.
func (p *Plugin) giveText(s *sequence, pending []byte, flags uint32, f *Fault) ([]byte, int, bool, error) {
	if !p.open {
		return nil, 0, false, f
	}
	s.remember(pending, flags)
	s.stale = true
	return pending, len(pending), false, nil
}

// remember keeps judged text for guests that ask to be rebuilt from it.
func (s *sequence) remember(text []byte, flags uint32) {
	if s.in.p.features&abi.FeatureReplay == 0 || len(text) == 0 {
		return
	}
	flags &= abi.FlagPrompt
	if k := len(s.judged); k == 0 || s.judged[k-1].flags != flags {
		s.judged = append(s.judged, span{flags: flags})
	}
	last := &s.judged[len(s.judged)-1]
	last.text = append(last.text, text...)
	s.judgedN += len(text)
	for s.judgedN > maxReplay { // drop the oldest
		first := &s.judged[0]
		cut := min(s.judgedN-maxReplay/2, len(first.text))
		first.text = bytes.Clone(first.text[cut:]) // a fork may read what was cut
		s.judgedN -= cut
		if len(first.text) == 0 {
			s.judged = s.judged[1:]
		}
	}
}

// filter runs the guest on the text and checks its verdict.
func (s *sequence) filter(pending []byte, flags uint32) (out []byte, n int, stop bool, f *Fault) {
	in := s.in
	p := in.p
	if f := s.ensure(); f != nil {
		return nil, 0, false, f
	}
	ptr, f := in.input(pending)
	if f != nil {
		return nil, 0, false, f
	}
	s.calls++
	in.seed = mix(s.seed + s.calls)
	in.stack[0], in.stack[1], in.stack[2], in.stack[3] = s.gid, uint64(ptr), uint64(len(pending)), uint64(flags)
	budget := p.textFuel(len(pending))
	f = in.do(fnFilter, budget)
	p.stats.fuel.Add(in.used(budget))
	if f != nil {
		return nil, 0, false, f
	}
	v := int64(in.stack[0])
	if v < 0 {
		return nil, 0, false, in.failed(abi.ExportFilter, abi.Code(v))
	}
	action, used, ok := abi.UnpackVerdict(v)
	switch {
	case !ok || action > abi.ActionStop:
		return nil, 0, false, in.fault(abi.ExportFilter, ReasonResult, "verdict %#x is not action << 56 | bytes", uint64(v))
	case int64(used) > int64(len(pending)):
		return nil, 0, false, in.fault(abi.ExportFilter, ReasonResult, "judges %d bytes, %d are there", used, len(pending))
	case action == abi.ActionHold && used > 0:
		return nil, 0, false, in.fault(abi.ExportFilter, ReasonResult, "holds, and judges %d bytes", used)
	}
	n = int(used)
	if f := s.held(pending, n, flags, action); f != nil {
		return nil, 0, false, f
	}
	if action == abi.ActionPass {
		return pending[:n], n, false, nil
	}
	if action >= abi.ActionReplace {
		if f := s.replacement(len(pending)); f != nil {
			return nil, 0, false, f
		}
		out = s.out
	}
	if action == abi.ActionStop {
		n = len(pending) // the rest is never shown
	}
	return out, n, action == abi.ActionStop, nil
}

// held checks what a verdict leaves behind.
func (s *sequence) held(pending []byte, n int, flags uint32, action abi.Action) *Fault {
	in, rest := s.in, len(pending)-n
	switch {
	case action == abi.ActionStop || rest == 0:
		return nil
	case n == 0 && flags&abi.FlagEnd != 0:
		return in.fault(abi.ExportFilter, ReasonResult, "holds %d bytes at the end of the text", rest)
	case n == 0 && rest > in.p.holdMax:
		return in.fault(abi.ExportFilter, ReasonResult, "holds %d bytes, its manifest allows %d", rest, in.p.holdMax)
	case splits(pending, n):
		return in.fault(abi.ExportFilter, ReasonResult, "cuts a character at byte %d", n)
	}
	return nil
}

// splits says whether position n lies inside a whole UTF-8 character.
func splits(text []byte, n int) bool {
	start := n
	for start > 0 && n-start < utf8.UTFMax-1 && !utf8.RuneStart(text[start]) {
		start--
	}
	r, size := utf8.DecodeRune(text[start:])
	return start < n && (r != utf8.RuneError || size > 1) && start+size > n
}

// replacement copies what the guest releases instead to s.out.
func (s *sequence) replacement(pending int) *Fault {
	in := s.in
	if f := in.do(fnOut, in.p.callFuel); f != nil {
		return f
	}
	b, f := in.result(abi.ExportOut, int64(in.stack[0]), 64<<10+16*pending)
	if f != nil {
		return f
	}
	if !utf8.Valid(b) {
		return in.fault(abi.ExportOut, ReasonResult, "the replacement is not UTF-8")
	}
	s.out = append(s.out[:0], b...)
	return nil
}
