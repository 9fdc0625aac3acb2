package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

// redact runs text through a fresh sequence, cut after each of cuts bytes.
func redact(t testing.TB, text string, cuts ...int) string {
	t.Helper()
	r := &redactor{labels: labels}
	seq := &plugin.Seq{}
	if err := r.Open(seq); err != nil {
		t.Fatal(err)
	}
	var out, pending []byte
	for i := 0; ; i++ {
		n, flags := len(text), abi.FlagEnd
		if i < len(cuts) && cuts[i] < len(text) {
			n, flags = cuts[i], 0
		}
		pending, text = append(pending, text[:n]...), text[n:]
		v := r.Filter(seq, pending, flags)
		switch v.Action {
		case abi.ActionPass:
			out = append(out, pending[:v.N]...)
		case abi.ActionReplace:
			out = append(out, v.Out...)
		}
		pending = pending[v.N:]
		if flags != 0 {
			if len(pending) != 0 {
				t.Fatalf("%q held at the end", pending)
			}
			return string(out)
		}
		if len(pending) > holdMax {
			t.Fatalf("%d bytes held", len(pending))
		}
	}
}

var cases = [][2]string{
	{"", ""}, {"hello world.", "hello world."}, {"héllo 4th wörld 12", "héllo 4th wörld 12"},
	{"mail ann.b+c@example.co.uk!", "mail [email]!"}, {"(a@b.io), <c-d@e-f.org>.", "([email]), <[email]>."},
	{"not@local, a@b, a@b.c, @x.com, x@.com", "not@local, a@b, a@b.c, @x.com, x@.com"},
	{"12 555.john@x.com", "12 [email]"}, {"555-1234.5@x.com", "[email]"},
	{"call 780-999-2181.", "call [phone]."}, {"+46 (0)8 928 571 38 fax", "[phone] fax"},
	{"(37) 788-063-Office\\,07700 063 966-Fax", "[phone]-Office\\,[phone]-Fax"},
	{"01.84.17.61.18?", "[phone]?"}, {"451 5986", "[phone]"}, {"3660170548", "[phone]"}, {"tel:+447700677662", "tel:[phone]"},
	{"555-123-4567 555-123-4568 555-123-4569", "[phone] [phone] [phone]"},
	{"card 4454794511390933?", "card [card]?"}, {"4111 1111 1111 1111", "[card]"}, {"3782-822463-10005", "[card]"},
	{"4111 1111 1111 1112", "4111 1111 1111 1112"}, {"ssn 123-45-6789", "ssn [ssn]"},
	{"2024-01-15, 15.01.2024, 1/2/2024, 1999 2000", "2024-01-15, 15.01.2024, 1/2/2024, 1999 2000"},
	{"2000-04-16 11:34:35", "2000-04-16 11:34:35"}, {"at 3747 3911 Main Street", "at 3747 3911 Main Street"}, {"on 451 5986 I", "on [phone] I"},
	{"192.168.0.1 and 3.14159265", "192.168.0.1 and 3.14159265"}, {"90210-1234", "90210-1234"},
	{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"},
	{strings.Repeat("1 ", 100) + "555-123-4567", strings.Repeat("1 ", 100) + "555-123-4567"},
	{strings.Repeat("a", 300) + "@x.com b@x.com", strings.Repeat("a", 300) + "@x.com [email]"},
	{"abc+1", "abc+1"}, {"+", "+"}, {"(", "("}, {"((5", "((5"}, {"5", "5"}, {"1-800-555-1234x", "1-800-555-1234x"},
}

func TestCases(t *testing.T) {
	for _, c := range cases {
		if got := redact(t, c[0]); got != c[1] {
			t.Errorf("%q\n gives %q\n want  %q", c[0], got, c[1])
		}
	}
}

// However the text is cut, the outcome is the same.
func TestChunking(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	texts := piiTexts(t)
	for _, c := range cases {
		texts = append(texts, c[0])
	}
	for _, text := range texts {
		want := redact(t, text)
		for range 20 {
			var cuts []int
			for range len(text) + 1 {
				cuts = append(cuts, r.IntN(8))
			}
			if got := redact(t, text, cuts...); got != want {
				t.Fatalf("%q cut by %v\n gives %q\n want  %q", text, cuts, got, want)
			}
		}
	}
}

func FuzzChunking(f *testing.F) {
	for _, c := range cases {
		f.Add(c[0], []byte{1, 3})
	}
	f.Fuzz(func(t *testing.T, text string, cuts []byte) {
		want := redact(t, text)
		n := make([]int, 0, len(cuts))
		for _, c := range cuts {
			n = append(n, int(c)%16)
		}
		if got := redact(t, text, n...); got != want {
			t.Errorf("%q cut by %v\n gives %q\n want  %q", text, n, got, want)
		}
	})
}

// row is a text of the labelled set.
type row struct {
	Text  string   `json:"text"`
	Spans [][4]any `json:"spans"`
}

func piiRows(t testing.TB) (rows []row) {
	testdata.JSON(t, &rows, "safety", "pii.json")
	return rows
}

func piiTexts(t testing.TB) (texts []string) {
	for _, r := range piiRows(t) {
		texts = append(texts, r.Text)
	}
	return texts
}

// TestRecallAndPrecision measures against labelled text. A labelled span counts
// as found if all its bytes were replaced, whatever the kind; a finding counts
// as right if it overlaps a span of its own kind.
func TestRecallAndPrecision(t *testing.T) {
	names := map[string]kind{"EMAIL_ADDRESS": email, "PHONE_NUMBER": phone, "CREDIT_CARD": card, "US_SSN": ssn}
	var labelled, found, right, wrong, other [kinds]int
	for _, r := range piiRows(t) {
		marks := make([]kind, len(r.Text)) // by byte
		var m machine
		var segs []segment
		type finding struct {
			from, to int
			kind     kind
		}
		var all []finding
		for at := 0; at < len(r.Text); {
			segs = m.step(segs[:0], []byte(r.Text[at:]), true)
			for _, s := range segs {
				if s.kind != plain {
					all = append(all, finding{at, at + s.n, s.kind})
				}
				for i := range s.n {
					marks[at+i] = s.kind
				}
				at += s.n
			}
		}
		runes := []rune(r.Text)
		offset := func(i any) int { return len(string(runes[:int(i.(float64))])) }
		truth := make([]string, len(r.Text))
		for _, s := range r.Spans {
			from, to, name := offset(s[0]), offset(s[1]), s[2].(string)
			for i := from; i < to; i++ {
				truth[i] = name
			}
			if k, ok := names[name]; ok {
				labelled[k]++
				if bytes.IndexByte([]byte(string(kindBytes(marks[from:to]))), byte(plain)) < 0 {
					found[k]++
				} else {
					t.Logf("missed %s %q", name, r.Text[from:to])
				}
			}
		}
		for _, f := range all {
			own, pii := false, false
			for _, name := range truth[f.from:f.to] {
				k, ok := names[name]
				own = own || ok && k == f.kind
				pii = pii || name != ""
			}
			switch {
			case own:
				right[f.kind]++
			case pii:
				other[f.kind]++
				t.Logf("%v for %q in %q", f.kind, r.Text[f.from:f.to], r.Text)
			default:
				wrong[f.kind]++
				t.Logf("%v for %q in %q", f.kind, r.Text[f.from:f.to], r.Text)
			}
		}
	}
	for k, least := range map[kind][2]float64{phone: {0.9, 0.9}, card: {0.95, 0.95}} {
		recall := float64(found[k]) / float64(labelled[k])
		precision := float64(right[k]) / float64(right[k]+wrong[k]+other[k])
		t.Logf("%s recall %d/%d = %.3f, precision %d/(%d+%d other personal data+%d) = %.3f", labels[k], found[k], labelled[k], recall, right[k], right[k], other[k], wrong[k], precision)
		if recall < least[0] || precision < least[1] {
			t.Errorf("%s: below %v", labels[k], least)
		}
	}
	for _, k := range []kind{email, ssn} {
		t.Logf("%s recall %d/%d, right %d, other %d, wrong %d", labels[k], found[k], labelled[k], right[k], other[k], wrong[k])
	}
}

func kindBytes(k []kind) []byte {
	b := make([]byte, len(k))
	for i, v := range k {
		b[i] = byte(v)
	}
	return b
}
