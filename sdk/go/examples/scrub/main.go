// Command scrub is an output filter that replaces e-mail addresses, phone,
// card and US social security numbers, also where they fall across chunks. The
// request's or the plugin's configuration may say {"text": "[removed]"} to use
// one text for all of them.
package main

import (
	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func init() {
	plugin.ServeFilter(plugin.Manifest{
		Name: "sandwarp/scrub", Version: "1.0.0",
		Description: "replaces e-mail addresses, phone, card and social security numbers",
		Features:    []string{"replay"}, HoldMax: holdMax,
		Fuel: 10_000_000, FuelPerByte: 2000,
	}, &redactor{labels: labels})
}

func main() {}

var labels = [kinds]string{email: "[email]", phone: "[phone]", card: "[card]", ssn: "[ssn]"}

type redactor struct{ labels [kinds]string }

// stream is a sequence's state.
type stream struct {
	machine // of the text being judged
	flags   uint32
	labels  [kinds]string
	segs    []segment
	out     []byte
}

// Configure reads the plugin's configuration.
func (r *redactor) Configure(config []byte, _ abi.Configure) (err error) {
	r.labels, err = readLabels(config, r.labels)
	return err
}

// Open reads the request's configuration.
func (r *redactor) Open(seq *plugin.Seq) error {
	l, err := readLabels(seq.Config, r.labels)
	seq.State = &stream{labels: l}
	return err
}

func readLabels(config []byte, l [kinds]string) ([kinds]string, error) {
	if config == nil {
		return l, nil
	}
	r := abi.NewReader("scrub configuration", config)
	r.Fields(16, func(key string) {
		if key != "text" {
			r.Skip()
			return
		}
		text := r.String(64)
		for k := range l {
			l[k] = text
		}
	})
	return l, r.Done()
}

// Filter judges what can be judged and holds the rest.
func (r *redactor) Filter(seq *plugin.Seq, pending []byte, flags uint32) plugin.Verdict {
	s := seq.State.(*stream)
	if prompt := flags & abi.FlagPrompt; prompt != s.flags {
		s.machine, s.flags = machine{}, prompt // another text
	}
	n, found := 0, false
	s.out = s.out[:0]
	for n < len(pending) {
		s.segs = s.step(s.segs[:0], pending[n:], flags&(abi.FlagEnd|abi.FlagReplay) != 0)
		if len(s.segs) == 0 {
			break
		}
		for _, g := range s.segs {
			if g.kind == plain {
				s.out = append(s.out, pending[n:n+g.n]...)
			} else {
				s.out = append(s.out, s.labels[g.kind]...)
				found = true
			}
			n += g.n
		}
	}
	switch {
	case found:
		return plugin.Replace(n, s.out)
	case n == 0:
		return plugin.Hold()
	}
	return plugin.Pass(n)
}
