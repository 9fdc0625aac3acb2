package sandwarp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// rule is a filter made of a function.
type rule func(pending []byte, flags uint32) (out []byte, n int, stop bool, err error)

func (rule) Name() string                 { return "rule" }
func (rule) OpenSeq(uint64, []byte) error { return nil }
func (rule) CloseSeq(uint64)              {}
func (r rule) Filter(_ uint64, pending []byte, flags uint32) ([]byte, int, bool, error) {
	return r(pending, flags)
}

// pass lets everything through.
func pass(pending []byte, _ uint32) ([]byte, int, bool, error) {
	return pending, len(pending), false, nil
}

// stopAt passes what is before word, then says last and stops.
func stopAt(word, last string) rule {
	return func(pending []byte, flags uint32) ([]byte, int, bool, error) {
		if i := bytes.Index(pending, []byte(word)); i >= 0 {
			return append(bytes.Clone(pending[:i]), last...), i + len(word), true, nil
		}
		n := len(pending) - len(word) + 1
		if n < 0 {
			n = 0
		}
		if flags&FilterEnd != 0 {
			n = len(pending)
		}
		return pending[:n], n, false, nil
	}
}

// stream feeds text in random pieces and returns what became visible.
func stream(t *testing.T, o GenerateOptions, text string, seed uint64) (string, FinishReason) {
	t.Helper()
	out, err := openOutput(&o, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	rng := rand.New(rand.NewPCG(seed, 1))
	var got strings.Builder
	for _, p := range chop(rng, text) {
		s, err := out.next(p)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(s)
		if out.stopped != FinishNone {
			break
		}
	}
	s, err := out.end()
	if err != nil {
		t.Fatal(err)
	}
	got.WriteString(s)
	return got.String(), out.stopped
}

// TestFilterStops compares stops by filters and stop texts, in any order, with
// what the whole text gives: nothing that a filter did not pass may show, above
// all not what was held back for a stop text.
func TestFilterStops(t *testing.T) {
	for name, c := range map[string]struct {
		o    GenerateOptions
		text string
		want string
		why  FinishReason
	}{
		"filter":                   {GenerateOptions{Filters: []Filter{stopAt("BAD", "[cut]")}}, "good BAD worse", "good [cut]", FinishFilter},
		"held for a stop text":     {GenerateOptions{Filters: []Filter{stopAt("BAD", "")}, Stop: []string{"secret!"}}, "good BADsecret", "good ", FinishFilter},
		"half a character":         {GenerateOptions{Filters: []Filter{stopAt("BAD", "")}}, "good BAD\xe4\xb8", "good ", FinishFilter},
		"the stop text is first":   {GenerateOptions{Filters: []Filter{stopAt("BAD", "")}, Stop: []string{"END"}}, "good END BAD", "good ", FinishStop},
		"the second filter":        {GenerateOptions{Filters: []Filter{rule(pass), stopAt("BAD", "")}}, "good BAD worse", "good ", FinishFilter},
		"one behind sees the end":  {GenerateOptions{Filters: []Filter{stopAt("BAD", "xyz"), censor{"xyz", "*"}}}, "good BAD worse", "good *", FinishFilter},
		"one behind replaces half": {GenerateOptions{Filters: []Filter{stopAt("BAD", "xy"), censor{"xyz", "*"}}}, "good BAD worse", "good xy", FinishFilter},
	} {
		for seed := range uint64(50) {
			if got, why := stream(t, c.o, c.text, seed); got != c.want || why != c.why {
				t.Errorf("%s: %q, %v; want %q, %v", name, got, why, c.want, c.why)
				break
			}
		}
	}
}

// TestStopTextsOverlap has stop texts inside each other: the one that is complete
// first ends the answer, however the text came in pieces.
func TestStopTextsOverlap(t *testing.T) {
	for _, c := range []struct {
		stops []string
		want  string
	}{
		{[]string{"abcd", "b"}, "xa"},
		{[]string{"b", "abcd"}, "xa"},
		{[]string{"abcd", "cd"}, "x"}, // both at once: the longer
		{[]string{"d", "bc", "abce"}, "xa"},
	} {
		for seed := range uint64(50) {
			if got, _ := stream(t, GenerateOptions{Stop: c.stops}, "xabcdyabcdy", seed); got != c.want {
				t.Errorf("%q: %q, want %q", c.stops, got, c.want)
				break
			}
		}
	}
}

// TestFilterLies has filters break their contract.
func TestFilterLies(t *testing.T) {
	oops := errors.New("oops")
	for name, f := range map[string]rule{
		"more than there is": func(p []byte, _ uint32) ([]byte, int, bool, error) { return nil, len(p) + 1, false, nil },
		"less than nothing":  func([]byte, uint32) ([]byte, int, bool, error) { return nil, -1, false, nil },
		"holds at the end":   func([]byte, uint32) ([]byte, int, bool, error) { return nil, 0, false, nil },
		"fails":              func([]byte, uint32) ([]byte, int, bool, error) { return nil, 0, false, oops },
	} {
		out, err := openOutput(&GenerateOptions{Filters: []Filter{f}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := out.next("some text")
		if err == nil {
			text, err = out.end()
		}
		if err == nil || text != "" || !strings.Contains(err.Error(), "filter rule") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestFilterPrompt(t *testing.T) {
	o := GenerateOptions{Filters: []Filter{censor{"secret", "***"}, stopAt("BAD", "")}}
	if got, _, err := filterPrompt(&o, 1, "a secret"); got != "a ***" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, _, err := filterPrompt(&o, 1, "a BAD one"); !errors.Is(err, ErrBlocked) || !strings.HasSuffix(err.Error(), ": rule") {
		t.Errorf("%q, %v", got, err)
	}
	o.Filters[1] = stopAt("BAD", "[no \x1bsuch words]"+strings.Repeat("x", 1000))
	if got, _, err := filterPrompt(&o, 1, "a BAD one"); !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), `: rule: "[no \x1bsuch words]xxx`) || len(err.Error()) > 350 {
		t.Errorf("%q, %v", got, err)
	}
}
