package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

var marksToCompose = []rune("aeoAUyıqŝǖΰ가각ᄀ가\u11a8\u0300\u0301\u0301\u0302\u0304\u0308\u0323\u0328\u0345\u0342\u0338\u093c\u0915\u09c7\u09be\u0f71\u0f72\u0344\u212a\u2126\u1f7d\u2adc\ufb1d😀z")

// TestComposeIsNFC compares our composition with the library's, where that applies.
func TestComposeIsNFC(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		text := make([]rune, rng.IntN(14))
		for i := range text {
			text[i] = marksToCompose[rng.IntN(len(marksToCompose))]
		}
		s := string(text)
		want := norm.NFC.String(s)
		if got := string(compose(decompose(s))); got != want {
			t.Fatalf("%+q: got %+q, want %+q", s, got, want)
		}
		if got := nfc(s); got != want {
			t.Fatalf("%+q: got %+q, want %+q", s, got, want)
		}
	}
}

// TestLongRuns wants no joiner in long runs of marks.
func TestLongRuns(t *testing.T) {
	acute, below := "\u0301", "\u0323"
	for _, c := range []struct{ in, want string }{
		{"a" + strings.Repeat(acute, 100), "á" + strings.Repeat(acute, 99)},
		{"a" + strings.Repeat(acute+below, 50), "ạ" + strings.Repeat(below, 49) + strings.Repeat(acute, 50)},
		{"á" + strings.Repeat(acute, 100) + "e" + acute, "á" + strings.Repeat(acute, 100) + "é"},
		{strings.Repeat("\u0344", 40), strings.Repeat("\u0308\u0301", 40)},
		{"\xffe" + strings.Repeat(acute, 40) + "\xc3", "\xffé" + strings.Repeat(acute, 39) + "\xc3"},
	} {
		if got := nfc(c.in); got != c.want {
			t.Errorf("%+q: got %+q, want %+q", c.in, got, c.want)
		}
	}
	if s := "x" + strings.Repeat(acute, 100); nfc(s) != s {
		t.Errorf("a text in form C was changed to %+q", nfc(s))
	}
}
