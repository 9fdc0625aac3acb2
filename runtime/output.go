package sandwarp

import (
	"fmt"
	"strings"
)

// output turns the pieces of an answer into the text its reader may see: whole
// characters, cut at the first stop text, passed by every filter. It belongs to
// one answer and one goroutine.
type output struct {
	chars   utf8Buffer
	dummy   bool // a space the vocabulary puts before a text is still to come, and to go
	stops   []string
	held    string // may be the beginning of a stop text
	filters []filterStage
	seq     uint64
	marks   []Change     // what filters did to the text of the last next or end
	stopped FinishReason // FinishStop or FinishFilter once nothing more may follow
}

// filterStage is a filter and the text it has not judged yet.
type filterStage struct {
	Filter
	pending []byte
	marks   []Change // of pending, by the stages before
	stopped bool
	reason  string // what it put in the place of the text it stopped at
}

// openOutput starts the filters for a sequence. close ends them.
func openOutput(o *GenerateOptions, seq uint64) (*output, error) {
	out := &output{stops: o.Stop, seq: seq}
	for _, f := range o.Filters {
		config := o.Configs[f.Name()]
		var err error
		if s, ok := f.(Seeder); ok {
			err = s.OpenSeqSeeded(seq, o.Seed, config)
		} else {
			err = f.OpenSeq(seq, config)
		}
		if err != nil {
			out.close()
			return nil, fmt.Errorf("filter %s: %w", f.Name(), err)
		}
		out.filters = append(out.filters, filterStage{Filter: f})
	}
	return out, nil
}

func (o *output) close() {
	for _, f := range o.filters {
		f.CloseSeq(o.seq)
	}
}

// next returns what becomes visible with the next piece; marks then says what was
// done to it, until the next call.
func (o *output) next(piece string) (string, error) {
	text := o.chars.next(piece)
	if o.dummy && text != "" {
		text, o.dummy = strings.TrimPrefix(text, " "), false
	}
	text = o.cut(text, false)
	if len(o.filters) == 0 {
		return text, nil
	}
	return o.filter(text, 0)
}

// end returns what becomes visible when nothing more follows.
func (o *output) end() (string, error) {
	if o.stopped == FinishFilter {
		o.marks = nil
		return "", nil // what was held back never passed it
	}
	text := ""
	if o.stopped != FinishStop {
		text = o.cut(o.chars.end(), true)
	}
	if len(o.filters) == 0 {
		return text, nil
	}
	return o.filter(text, FilterEnd)
}

// cut looks for stop texts; the one that is complete first counts, of several the
// longest. It keeps back a tail that may become one.
func (o *output) cut(text string, end bool) string {
	if len(o.stops) == 0 {
		return text
	}
	text = o.held + text
	o.held = ""
	from, to := 0, len(text)+1
	for _, s := range o.stops {
		if i := strings.Index(text, s); i >= 0 && (i+len(s) < to || i+len(s) == to && i < from) {
			from, to = i, i+len(s)
		}
	}
	if to <= len(text) {
		o.stopped = FinishStop
		return text[:from]
	}
	if end {
		return text
	}
	keep := 0
	for _, s := range o.stops {
		for n := min(len(s)-1, len(text)); n > keep; n-- {
			if strings.HasSuffix(text, s[:n]) {
				keep = n
			}
		}
	}
	o.held = text[len(text)-keep:]
	return text[:len(text)-keep]
}

// filter passes text through all stages.
func (o *output) filter(text string, flags uint32) (string, error) {
	o.marks = o.marks[:0]
	text, err := o.pass(text, flags)
	for i := range o.filters {
		if f := &o.filters[i]; err == nil && len(f.pending) > 0 && !f.stopped {
			o.marks = append(o.marks, Change{By: f.Name(), Kind: ChangeHeld, Start: len(text), End: len(text), Original: len(f.pending)})
		}
	}
	return text, err
}

// pass is filter but for what is held.
func (o *output) pass(text string, flags uint32) (string, error) {
	for i := range o.filters {
		f := &o.filters[i]
		if f.stopped {
			return "", nil
		}
		for _, m := range o.marks {
			m.Start, m.End = m.Start+len(f.pending), m.End+len(f.pending)
			f.marks = append(f.marks, m)
		}
		o.marks = o.marks[:0]
		f.pending = append(f.pending, text...)
		if len(f.pending) == 0 && flags&FilterEnd == 0 {
			return "", nil
		}
		var err error
		if text, err = o.judge(f, flags); err != nil {
			return "", err
		}
		if f.stopped {
			o.stopped = FinishFilter
			flags |= FilterEnd // the stages behind see the end of what they get
		}
	}
	return text, nil
}

// judge lets a filter decide on its pending text, again while it decides on some
// and leaves some.
func (o *output) judge(f *filterStage, flags uint32) (string, error) {
	var text []byte
	for {
		out, n, stop, err := f.Filter.Filter(o.seq, f.pending, flags)
		if err != nil {
			return "", fmt.Errorf("filter %s: %w", f.Name(), err)
		}
		if n < 0 || n > len(f.pending) {
			return "", fmt.Errorf("filter %s: it says it judged %d of %d bytes", f.Name(), n, len(f.pending))
		}
		if flags&FilterEnd != 0 && n == 0 && len(f.pending) > 0 && !stop {
			return "", fmt.Errorf("filter %s: it holds %d bytes although nothing follows", f.Name(), len(f.pending))
		}
		o.marks = f.released(o.marks, len(text), out, n, stop)
		text = append(text, out...)
		if stop {
			f.reason = inPlaceOf(out, f.pending)
		}
		f.pending = f.pending[:copy(f.pending, f.pending[n:])]
		if f.stopped = stop; stop || n == 0 || len(f.pending) == 0 {
			return string(text), nil
		}
	}
}

// filterPrompt passes a prompt through the filters of a request, and says what they
// did to it.
func filterPrompt(o *GenerateOptions, seq uint64, prompt string) (string, []Change, error) {
	if len(o.Filters) == 0 {
		return prompt, nil, nil
	}
	p := GenerateOptions{Filters: o.Filters, Configs: o.Configs}
	p.Seed = o.Seed
	out, err := openOutput(&p, seq)
	if err != nil {
		return "", nil, err
	}
	defer out.close()
	text, err := out.filter(prompt, FilterPrompt|FilterEnd)
	if err == nil && out.stopped == FinishFilter {
		err = fmt.Errorf("%w: %s", ErrBlocked, out.refusal())
	}
	for i := range out.marks {
		out.marks[i].Prompt = true
	}
	return text, out.marks, err
}

// maxReason bounds the bytes of a filter's reason in an error.
const maxReason = 256

// inPlaceOf is the text of out behind what it shares with the beginning of pending.
func inPlaceOf(out, pending []byte) string {
	n := 0
	for n < min(len(out), len(pending)) && out[n] == pending[n] {
		n++
	}
	return strings.ToValidUTF8(string(out[n:min(len(out), n+maxReason)]), "")
}

// refusal is the name of the filter that stopped the text, and its reason if it gave one.
func (o *output) refusal() string {
	for i := range o.filters {
		switch f := &o.filters[i]; {
		case f.stopped && f.reason != "":
			return fmt.Sprintf("%s: %q", f.Name(), f.reason)
		case f.stopped:
			return f.Name()
		}
	}
	return ""
}
