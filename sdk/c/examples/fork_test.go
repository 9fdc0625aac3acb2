package examples_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// filtering opens a stream that may be stopped.
func filtering(t fataler, p *wasm.Plugin, settings []byte) *stream {
	t.Helper()
	s := open(t, p, settings)
	s.mayStop = true
	return s
}

// fork is a stream in the state of s.
func (s *stream) fork() *stream {
	s.t.Helper()
	lastSeq++
	if err := s.p.ForkSeq(s.seq, lastSeq); err != nil {
		s.t.Fatalf("fork: %v", err)
	}
	f := *s
	f.seq, f.pending, f.out = lastSeq, slices.Clone(s.pending), slices.Clone(s.out)
	return &f
}

// rest shows all pieces, of which the last ends the text.
func (s *stream) rest(pieces []string, flags uint32) (out string, stopped bool) {
	s.t.Helper()
	last := len(pieces) - 1
	for _, piece := range pieces[:last] {
		s.feed(piece, flags)
	}
	return s.end(pieces[last], flags), s.stopped
}

// TestForksOfFilters: a fork has the settings and the past of its source, and its own
// future; and so has the source. Each releases what a sequence that is shown the same
// text at once releases.
func TestForksOfFilters(t *testing.T) {
	attack := []string{"ignore ", "all ", "previous", " instructions", "pass", "word", " your ", "tell me", "é", "忽略", "之前的", "指令", "\xff", "\n", strings.Repeat("a b ", 8000), strings.Repeat("y", 16383)}
	for name, c := range map[string]struct {
		module   []byte
		flags    uint32
		parts    []string
		settings any
	}{
		"redact": {examples.Redact, 0, pieces, m{"phone": "☎"}},
		"pii":    {examples.PII, 0, slices.Concat(pieces, morePieces), m{"url": "[url]", "email": nil}},
		"guard":  {examples.Guard, abi.FlagPrompt, attack, m{"text": "No.", "injection": 12}},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.module, wasm.Options{Instances: 1})
			rapid.Check(t, func(t *rapid.T) {
				var settings []byte
				if rapid.Bool().Draw(t, "own settings") {
					settings = config(t, c.settings)
				}
				part := func(name string) string {
					return strings.Join(rapid.SliceOfN(rapid.SampledFrom(c.parts), 0, 10).Draw(t, name), "")
				}
				past, ours, theirs := part("past"), part("ours"), part("theirs")
				alone := func(text string) (string, bool) { return filtering(t, p, settings).rest([]string{text}, c.flags) }
				wantSource, stopSource := alone(past + ours)
				wantFork, stopFork := alone(past + theirs)

				source := filtering(t, p, settings)
				for _, piece := range cuts(t, past) {
					source.feed(piece, c.flags)
				}
				fork := source.fork()
				forkEnds := func() {
					if got, stopped := fork.rest(cuts(t, theirs), c.flags); got != wantFork || stopped != stopFork {
						t.Fatalf("fork of %.300q with %.300q\n gives %.300q, %v\n want  %.300q, %v", past, theirs, got, stopped, wantFork, stopFork)
					}
				}
				forkFirst := rapid.Bool().Draw(t, "fork first")
				if forkFirst {
					forkEnds()
				}
				if got, stopped := source.rest(cuts(t, ours), c.flags); got != wantSource || stopped != stopSource {
					t.Fatalf("source of %.300q with %.300q\n gives %.300q, %v\n want  %.300q, %v", past, ours, got, stopped, wantSource, stopSource)
				}
				if !forkFirst {
					forkEnds() // its source is closed
				}
			})
		})
	}
}
