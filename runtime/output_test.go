package sandwarp

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// chop splits s at random places.
func chop(rng *rand.Rand, s string) (parts []string) {
	for len(s) > 0 {
		n := 1 + rng.IntN(min(5, len(s)))
		parts, s = append(parts, s[:n]), s[n:]
	}
	return parts
}

func TestOutputIsIndependentOfChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab é世\n🙂")), 0, 40, -1).Draw(t, "text")
		raw := text + rapid.SampledFrom([]string{"", "\xff", "\xe4\xb8", "\xf0\x9f"}).Draw(t, "tail")
		stops := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab é")), 1, 3, -1), 0, 2).Draw(t, "stops")
		want := strings.ToValidUTF8(text, "\ufffd")
		for _, b := range []byte(raw[len(text):]) {
			_ = b
			want += "\ufffd"
		}
		for n := range len(want) { // the stop text that is complete first
			from := n + 1
			for _, s := range stops {
				if strings.HasSuffix(want[:n+1], s) {
					from = min(from, n+1-len(s))
				}
			}
			if from <= n {
				want = want[:from]
				break
			}
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		out, err := openOutput(&GenerateOptions{Stop: stops}, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range chop(rng, raw) {
			s, err := out.next(p)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(s) {
				t.Fatalf("emitted %q", s)
			}
			got += s
			if out.stopped != FinishNone {
				break
			}
		}
		s, err := out.end()
		if err != nil {
			t.Fatal(err)
		}
		if got += s; got != want {
			t.Fatalf("%q with stops %q gave %q, want %q", raw, stops, got, want)
		}
	})
}

// censor replaces a word and holds what may become it.
type censor struct{ word, with string }

func (c censor) Name() string                 { return "censor" }
func (c censor) OpenSeq(uint64, []byte) error { return nil }
func (c censor) CloseSeq(uint64)              {}
func (c censor) Filter(_ uint64, pending []byte, flags uint32) ([]byte, int, bool, error) {
	if i := bytes.Index(pending, []byte(c.word)); i >= 0 {
		return append(append([]byte{}, pending[:i]...), c.with...), i + len(c.word), false, nil
	}
	keep := 0
	if flags&FilterEnd == 0 {
		for n := 1; n < len(c.word) && n <= len(pending); n++ {
			if bytes.HasSuffix(pending, []byte(c.word[:n])) {
				keep = n
			}
		}
	}
	n := len(pending) - keep
	return pending[:n], n, false, nil
}

func TestFilterChain(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		o := GenerateOptions{Filters: []Filter{censor{"secret", "xyz"}, censor{"xyz", "***"}}}
		out, err := openOutput(&o, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range chop(rng, "my secret is sec ret and secretsecret end") {
			s, err := out.next(p)
			if err != nil {
				t.Fatal(err)
			}
			got += s
		}
		s, err := out.end()
		if err != nil {
			t.Fatal(err)
		}
		if got += s; got != "my *** is sec ret and ****** end" {
			t.Fatalf("%q", got)
		}
	}
}
