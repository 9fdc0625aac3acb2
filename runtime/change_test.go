package sandwarp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

type inner = Filter // a field of another name than the method

// named gives a filter another name.
type named struct {
	inner
	name string
}

func (n named) Name() string { return n.name }

// trace streams text in random pieces and gathers what was done to it.
func trace(t *testing.T, filters []Filter, text string, seed uint64) (string, ledger) {
	t.Helper()
	o := GenerateOptions{Filters: filters}
	out, err := openOutput(&o, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	var got strings.Builder
	var l ledger
	see := func(s string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.marks {
			if c.Start < 0 || c.End < c.Start || c.End > len(s) || c.Original < 0 || !utf8.ValidString(s[c.Start:c.End]) {
				t.Errorf("%+v of %q", c, s)
			}
		}
		l.book(out.marks, s)
		got.WriteString(s)
	}
	for _, p := range chop(rand.New(rand.NewPCG(seed, 2)), text) {
		see(out.next(p))
		if out.stopped != FinishNone {
			break
		}
	}
	see(out.end())
	return got.String(), l
}

// TestChangesSpanWhatWasReplaced wants the same spans however the text came in
// pieces, also through several filters.
func TestChangesSpanWhatWasReplaced(t *testing.T) {
	a := named{censor{"secret", "xyz"}, "a"}
	b := named{censor{"xyz", "*"}, "b"}
	gone := named{censor{"naïve ", ""}, "gone"}
	halt := named{stopAt("BAD", "[cut]"), "halt"}
	const text = "a secret, naïve xyz and two secretsecret things"
	for name, c := range map[string]struct {
		filters []Filter
		text    string
		want    string
		changes string
	}{
		"one":       {[]Filter{a}, text, "a xyz, naïve xyz and two xyzxyz things", "a replaced xyz of 6, a replaced xyz of 6, a replaced xyz of 6"},
		"twice":     {[]Filter{a, b}, "a secret and xyz", "a * and *", "a replaced * of 6, b replaced * of 3, b replaced * of 3"},
		"removed":   {[]Filter{gone, a}, text, "a xyz, xyz and two xyzxyz things", "a replaced xyz of 6, gone replaced  of 7, a replaced xyz of 6, a replaced xyz of 6"},
		"stopped":   {[]Filter{a, halt}, "a secret BAD secret", "a xyz [cut]", "a replaced xyz of 6, halt stopped [cut] of 3"},
		"untouched": {[]Filter{a, b, halt}, "nothing to see", "nothing to see", ""},
	} {
		for seed := range uint64(60) {
			got, l := trace(t, c.filters, c.text, seed)
			var list []string
			removed := 0
			for _, ch := range l.text {
				list = append(list, fmt.Sprintf("%s %v %s of %d", ch.By, ch.Kind, got[ch.Start:ch.End], ch.Original))
				removed += ch.Original - (ch.End - ch.Start)
			}
			if got != c.want || strings.Join(list, ", ") != c.changes {
				t.Errorf("%s, seed %d: %q, %q", name, seed, got, list)
				break
			}
			if len(c.filters) == 1 && len(got)+removed != len(c.text) {
				t.Errorf("%s: %d bytes and %d removed of %d", name, len(got), removed, len(c.text))
			}
		}
	}
}

// TestHeldTextIsReported holds one byte back at a time.
func TestHeldTextIsReported(t *testing.T) {
	hold := rule(func(p []byte, flags uint32) ([]byte, int, bool, error) {
		n := len(p)
		if flags&FilterEnd == 0 {
			n--
		}
		return p[:n], n, false, nil
	})
	out, err := openOutput(&GenerateOptions{Filters: []Filter{hold}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	for _, c := range []struct{ piece, text string }{{"a", ""}, {"bc", "ab"}, {"def", "cde"}} {
		text, err := out.next(c.piece)
		want := []Change{{By: "rule", Kind: ChangeHeld, Start: len(c.text), End: len(c.text), Original: 1}}
		if err != nil || text != c.text || !slices.Equal(out.marks, want) {
			t.Errorf("%q: %q, %+v, %v", c.piece, text, out.marks, err)
		}
	}
	if text, err := out.end(); err != nil || text != "f" || len(out.marks) != 0 {
		t.Errorf("%q, %+v, %v", text, out.marks, err)
	}
}

// FuzzDifference rebuilds a text from another and the stretch they differ in.
func FuzzDifference(f *testing.F) {
	f.Add("a secret", "a xyz")
	f.Add("naïve", "naive")
	f.Add("aaa", "aa")
	f.Add("", "new")
	f.Fuzz(func(t *testing.T, old, text string) {
		from, to, was := difference([]byte(old), []byte(text))
		if old[:from]+text[from:to]+old[was:] != text || old[:from] != text[:from] {
			t.Fatalf("%q, %q: %d %d %d", old, text, from, to, was)
		}
		if utf8.ValidString(old) && utf8.ValidString(text) && !(utf8.ValidString(text[:from]) && utf8.ValidString(text[from:to]) && utf8.ValidString(old[from:was])) {
			t.Fatalf("%q, %q: a character is cut at %d %d %d", old, text, from, to, was)
		}
	})
}
