package sandwarp

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/runtime/internal/sched"
)

// Change says what a processor did about a token, or a filter about some text.
type Change struct {
	// By is the name of the processor or filter.
	By   string
	Kind ChangeKind
	// Start and End are where the text of ChangeReplaced and ChangeStopped begins
	// and ends, in bytes of Token.Text; in Session.Changes of the whole answer. If
	// a filter changed text another one had changed, both changes span what came of
	// it. An empty span says where text is missing.
	Start, End int
	// Original is how many bytes were there before; of ChangeHeld, how many are
	// held back now.
	Original int
	// Prompt says that the text is that of the prompt, as the model got it.
	Prompt bool

	rest bool // of a change whose beginning came with an earlier token; Original is 0
}

// ChangeKind says what was done.
type ChangeKind uint8

const (
	// ChangePicked: the processor chose the token.
	ChangePicked ChangeKind = iota + 1
	// ChangeEdited: it edited the logits the token was chosen from.
	ChangeEdited
	// ChangeExcluded: it excluded tokens from the choice by a mask.
	ChangeExcluded
	// ChangeReplaced: the filter released other text in the place of some.
	ChangeReplaced
	// ChangeStopped: it released a last text, which may be empty, and ended the answer.
	ChangeStopped
	// ChangeHeld: it holds text back until more comes.
	ChangeHeld
)

func (k ChangeKind) String() string {
	names := [...]string{"", "picked", "edited", "excluded", "replaced", "stopped", "held"}
	if k > 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("ChangeKind(%d)", k)
}

// MarshalText is the kind's name.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ChangeCount is how many tokens, or stretches of text, one processor or filter
// changed in one way.
type ChangeCount struct {
	By     string
	Kind   ChangeKind
	Prompt bool
	N      int
}

// maxChanges bounds what Session.Changes remembers of an answer.
const maxChanges = 10_000

// ledger gathers the changes of an answer.
type ledger struct {
	counts []ChangeCount
	text   []Change // of text, with spans of the whole
	length int      // bytes of the answer so far
}

// book adds the changes that came with the next text of the answer, or with the
// whole prompt.
func (l *ledger) book(changes []Change, text string) {
	for _, c := range changes {
		if c.rest && l.extend(c) {
			continue
		}
		i := slices.IndexFunc(l.counts, func(n ChangeCount) bool { return n.By == c.By && n.Kind == c.Kind && n.Prompt == c.Prompt })
		if i < 0 {
			i = len(l.counts)
			l.counts = append(l.counts, ChangeCount{By: c.By, Kind: c.Kind, Prompt: c.Prompt})
		}
		l.counts[i].N++
		if (c.Kind == ChangeReplaced || c.Kind == ChangeStopped) && len(l.text) < maxChanges {
			if !c.Prompt {
				c.Start, c.End = c.Start+l.length, c.End+l.length
			}
			l.text = append(l.text, c)
		}
	}
	l.length += len(text)
}

// extend makes the rest of a change part of it.
func (l *ledger) extend(c Change) bool {
	if len(l.text) == maxChanges {
		return true // it may be one that was not kept
	}
	for i := len(l.text) - 1; i >= 0; i-- {
		if t := &l.text[i]; t.By == c.By && t.Kind == c.Kind {
			t.End = c.End + l.length
			return true
		}
	}
	return false
}

// choices turns what a request's processors did about a token into changes. Tokens
// treated alike share a list.
type choices struct {
	acts    []uint8
	changes []Change
}

func (c *choices) of(acts []uint8, processors []LogitProcessor) []Change {
	if acts == nil {
		return nil
	}
	if len(c.acts) > 0 && &c.acts[0] == &acts[0] { // lists that were sent never change
		return c.changes
	}
	*c = choices{acts: acts}
	for i, a := range acts {
		if kind := kindOf(a); kind != 0 {
			c.changes = append(c.changes, Change{By: processors[i].Name(), Kind: kind})
		}
	}
	c.changes = slices.Clip(c.changes)
	return c.changes
}

// kindOf reads what Tracer.LastAction said.
func kindOf(act uint8) ChangeKind {
	switch act {
	case sched.ActNone:
		return 0
	case sched.ActPicked:
		return ChangePicked
	case sched.ActMasked:
		return ChangeExcluded
	}
	return ChangeEdited
}

// released moves the marks within the first n bytes of a stage's pending text, for
// which out was released, to done, the marks of the text released before, which is
// base bytes long. Marks of what is left stay. kind is ChangeReplaced or
// ChangeStopped if the filter did more than to pass.
func (f *filterStage) released(done []Change, base int, out []byte, n int, stop bool) []Change {
	from, to, was := difference(f.pending[:n], out)
	rest := f.marks[:0]
	for _, m := range f.marks {
		if m.Start > n || m.Start == n && (m.End > n || n == 0) {
			m.Start, m.End = m.Start-n, m.End-n
			rest = append(rest, m)
			continue
		}
		tail := m
		m.End = min(m.End, n)
		m.Start, m.End = base+moved(m.Start, from, from, was, to), base+moved(m.End, to, from, was, to)
		done = append(done, m)
		if tail.End > n {
			tail.Start, tail.End, tail.Original, tail.rest = 0, tail.End-n, 0, true
			rest = append(rest, tail)
		}
	}
	f.marks = rest
	switch {
	case stop:
		done = append(done, Change{By: f.Name(), Kind: ChangeStopped, Start: base + from, End: base + to, Original: was - from})
	case from < to || from < was:
		done = append(done, Change{By: f.Name(), Kind: ChangeReplaced, Start: base + from, End: base + to, Original: was - from})
	}
	return done
}

// moved is where position p of a text is after its bytes [from, was) became
// [from, to); inside is what becomes of a position strictly between.
func moved(p, inside, from, was, to int) int {
	switch {
	case p <= from:
		return p
	case p >= was:
		return p - was + to
	}
	return inside
}

// difference finds the one stretch in which two texts differ: old[from:was] became
// text[from:to]. It does not cut characters.
func difference(old, text []byte) (from, to, was int) {
	if bytes.Equal(old, text) {
		return len(text), len(text), len(text)
	}
	most := min(len(old), len(text))
	for from < most && old[from] == text[from] {
		from++
	}
	tail := 0
	for tail < most-from && old[len(old)-1-tail] == text[len(text)-1-tail] {
		tail++
	}
	for from > 0 && (from < len(old) && !utf8.RuneStart(old[from]) || from < len(text) && !utf8.RuneStart(text[from])) {
		from--
	}
	for tail > 0 && (!utf8.RuneStart(old[len(old)-tail]) || !utf8.RuneStart(text[len(text)-tail])) {
		tail--
	}
	return from, len(text) - tail, len(old) - tail
}
