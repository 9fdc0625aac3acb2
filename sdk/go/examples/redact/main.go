// Command redact is a filter that takes e-mail addresses, phone numbers, payment card
// numbers and US social security numbers out of a text while it is being written.
//
// What is redacted depends on the text alone, not on how it is cut into pieces: a
// decision about a place looks at most context bytes back and at most hold_max bytes
// ahead, and is put off until that much is there or the text has ended. Time is
// linear: each byte is looked at a bounded number of times.
//
// Configuration of the plugin, of a request, or both; every key may be left out:
//
//	email, phone, card, ssn   text to write instead, at most 64 bytes, or nil to
//	                          leave this kind alone; "[email]", "[phone]", ...
//	text                      the same for all kinds
//	prompts                   true: redact prompts too. They pass otherwise
//
// The same program exists in C, Rust and AssemblyScript, and a test compares what they
// do: change all four.
package main

import (
	"math"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
	_ "github.com/sandwarp/sandwarp/sdk/go/fork"
)

func init() {
	plugin.ServeFilter(plugin.Manifest{
		Name: "sandwarp/redact", Version: "1.0.0",
		Description: "Redacts e-mail addresses, phone numbers and payment card numbers",
		Features:    []string{"replay"}, HoldMax: 512,
		Fuel: 20_000_000, FuelPerByte: 20_000, ConfigureFuel: 2_000_000_000,
	}, &redactor{standard: settings{labels: [kinds]*string{label("[email]"), label("[phone]"), label("[card]"), label("[ssn]")}}})
}

func main() {}

func label(s string) *string { return &s }

// What can be found.
const (
	email = iota
	phone
	card
	ssn
	kinds
)

const labelMax = 64

// settings say what is written instead of each kind, nil to leave it alone.
type settings struct {
	labels  [kinds]*string
	prompts bool
}

func readLabel(r *abi.Reader) (*string, error) {
	if r.IsNil() {
		return nil, nil
	}
	text := r.Bytes(labelMax)
	if r.Err() != nil {
		return nil, abi.EINVAL.Errorf("configuration: a replacement is nil or text of at most 64 bytes")
	}
	return label(string(text)), nil
}

// read reads a map of settings. A request's may have a seed besides.
func (s *settings) read(config []byte, request bool) (err error) {
	r := abi.NewReader("configuration", config)
	for n := r.Map(len(config)); n > 0; n-- {
		key := string(r.Bytes(len(config)))
		if r.Err() != nil {
			break
		}
		switch key {
		case "email":
			s.labels[email], err = readLabel(r)
		case "phone":
			s.labels[phone], err = readLabel(r)
		case "card":
			s.labels[card], err = readLabel(r)
		case "ssn":
			s.labels[ssn], err = readLabel(r)
		case "text":
			var l *string
			l, err = readLabel(r)
			s.labels = [kinds]*string{l, l, l, l}
		case "prompts":
			if s.prompts = r.Bool(); r.Err() != nil {
				err = abi.EINVAL.Errorf("configuration: prompts is true or false")
			}
		default:
			if !request || key != "seed" {
				return abi.EINVAL.Errorf("configuration: unknown key %s; known are email, phone, card, ssn, text, prompts", key)
			}
			r.Skip()
		}
		if err != nil {
			return err
		}
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("configuration: want a map")
	}
	return nil
}

type redactor struct {
	standard settings
	out      []byte
}

// stream is what is known of a sequence.
type stream struct {
	settings
	before past
}

// Configure reads the plugin's configuration.
func (r *redactor) Configure(config []byte, _ abi.Configure) error {
	if config == nil {
		return nil
	}
	return r.standard.read(config, false)
}

// Open reads the request's configuration.
func (r *redactor) Open(seq *plugin.Seq) error {
	s := &stream{settings: r.standard}
	seq.State = s
	if seq.Config == nil {
		return nil
	}
	return s.read(seq.Config, true)
}

// Fork copies the state.
func (r *redactor) Fork(src, dst *plugin.Seq) error {
	s := *src.State.(*stream)
	dst.State = &s
	return nil
}

// Filter judges what can be judged and holds the rest.
func (r *redactor) Filter(seq *plugin.Seq, text []byte, flags uint32) plugin.Verdict {
	s := seq.State.(*stream)
	if flags&abi.FlagPrompt != 0 && !s.prompts {
		return plugin.Pass(len(text))
	}
	if flags&abi.FlagReplay != 0 {
		s.before = past{}
		s.before.remember(text)
		return plugin.Pass(len(text))
	}
	v := &view{text: text[:min(len(text), math.MaxInt32/4)], last: flags&abi.FlagEnd != 0, before: &s.before}
	settled, changed := r.judge(v, &s.settings)
	s.before.remember(text[:settled])
	switch {
	case v.last:
		s.before = past{}
	case settled == 0 && len(text) > 0:
		return plugin.Hold()
	}
	if changed {
		return plugin.Replace(settled, r.out)
	}
	return plugin.Pass(settled)
}

// judge writes to r.out what is released if anything differs. It returns the number
// of bytes settled, and whether anything differs.
func (r *redactor) judge(v *view, s *settings) (settled int, changed bool) {
	r.out = r.out[:0]
	copied, settled := 0, -1
	for i := v.nextPlace(0); settled < 0 && i < len(v.text); i = v.nextPlace(i) {
		p := v.look(s, i)
		i = p.next
		switch {
		case p.end == more:
			settled = p.start
		case p.end > 0:
			r.out = append(append(r.out, v.text[copied:p.start]...), p.instead...)
			changed = true
			i, v.floor, copied = p.end, p.end, p.end
		}
	}
	if settled < 0 {
		settled = len(v.text)
	}
	if !v.last { // the last word may go on to be an address
		settled = min(settled, v.localStart(whole(v.text)))
	}
	if changed {
		r.out = append(r.out, v.text[copied:settled]...)
	}
	return settled, changed
}

// place is what is found somewhere: where it starts and ends (or none, or more), what
// is written instead, and where to look next.
type place struct {
	start, end, next int
	instead          string
}

func (v *view) look(s *settings, i int) place {
	if v.text[i] >= 0x80 { // it is a find if it is not UTF-8
		switch n := v.charAt(i); n {
		case 0:
			return place{i, i + 1, i, "\ufffd"}
		case more:
			return place{i, more, i, ""}
		default:
			return place{i, none, i + n, ""}
		}
	}
	p, kind := place{start: i, next: i + 1}, email
	if v.text[i] == '@' {
		p.start, p.end = v.emailAt(i)
	} else {
		p.end, kind = v.numberAt(i)
	}
	if l := s.labels[kind]; l != nil {
		p.instead = *l
	} else if p.end > 0 { // it stays, in one piece
		p.next, v.floor, p.end = p.end, p.end, none
	}
	for p.next < len(v.text) && isDigit(v.text[p.next-1]) && isDigit(v.text[p.next]) {
		p.next++ // nothing begins inside of a group
	}
	return p
}

// numberAt is the end of the number at start, and its kind. It depends on the text
// around start only, never on what was found before: where a call ends and the next
// begins must not matter.
func (v *view) numberAt(start int) (end, kind int) {
	may := v.allowedBefore(start)
	if may == 0 {
		return none, card
	}
	r := run{start: start}
	if got := r.read(v); got != 1 || r.digits() < 7 {
		return min(got, none), card
	}
	said := hint{}
	if may&mayCard != 0 {
		end = r.cardEnd(v, &said)
	}
	if end != none || may&mayPhone == 0 || r.n == 1 && may&mayPlain == 0 || r.notPhone(v) {
		return end, card
	}
	if end = r.ssnEnd(v); end != none {
		return end, ssn
	}
	return r.phoneEnd(v, &said), phone
}
