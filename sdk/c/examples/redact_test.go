package examples_test

import (
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// stream shows a filter a text in pieces, as the runtime does: what it has not
// consumed comes again with what follows.
type stream struct {
	t       testing.TB
	p       *wasm.Plugin
	seq     uint64
	pending []byte
	out     []byte
}

func (s *stream) feed(piece string, flags uint32) {
	s.t.Helper()
	s.pending = append(s.pending, piece...)
	for {
		out, n, stop, err := s.p.Filter(s.seq, s.pending, flags)
		if err != nil || stop {
			s.t.Fatalf("pending %q: stop %v, error %v", s.pending, stop, err)
		}
		s.out = append(s.out, out...)
		s.pending = s.pending[n:]
		if n == 0 || len(s.pending) == 0 {
			return
		}
	}
}

var lastSeq uint64

func open(t testing.TB, p *wasm.Plugin, config []byte) *stream {
	t.Helper()
	lastSeq++
	if err := p.OpenSeq(lastSeq, config); err != nil {
		t.Fatal(err)
	}
	return &stream{t: t, p: p, seq: lastSeq}
}

// redact gives the filter the pieces, of which the last ends the text.
func redact(t testing.TB, p *wasm.Plugin, pieces ...string) string {
	t.Helper()
	s := open(t, p, nil)
	defer p.CloseSeq(s.seq)
	for i, piece := range pieces {
		flags := uint32(0)
		if i == len(pieces)-1 {
			flags = abi.FlagEnd
		}
		s.feed(piece, flags)
	}
	return string(s.out)
}

var cases = []struct{ in, want string }{
	// The ones everybody writes.
	{"hello@example.com", "[email]"},
	{"+1 555 010 0199", "[phone]"},
	{"4111 1111 1111 1111", "[card]"},
	{"write to hello@example.com or call +1 555 010 0199 now", "write to [email] or call [phone] now"},
	{"nothing here, 12 apples on 2024-01-15", "nothing here, 12 apples on 2024-01-15"},
}

func TestRedact(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for _, c := range cases {
		if got := redact(t, p, c.in); got != c.want {
			t.Errorf("%q\n gives %q\n want  %q", c.in, got, c.want)
		}
		for cut := 1; cut < len(c.in); cut++ {
			if got := redact(t, p, c.in[:cut], c.in[cut:]); got != c.want {
				t.Errorf("%q | %q\n gives %q\n want  %q", c.in[:cut], c.in[cut:], got, c.want)
			}
		}
	}
}
