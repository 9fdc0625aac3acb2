package examples_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// each writes something else for every ASCII letter, given by its place in the alphabet
// and whether it is a capital.
func each(text string, as func(letter rune, n int) string) string {
	var b strings.Builder
	for _, c := range text {
		if c < 128 && unicode.IsLetter(c) {
			b.WriteString(as(c, int(unicode.ToLower(c)-'a')))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func replacer(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// disguises are ways to write a text that people still read, or that a model still
// reads.
var disguises = map[string]func(string) string{
	"as it is":           func(s string) string { return s },
	"capitals":           strings.ToUpper,
	"full width":         func(s string) string { return each(s, func(c rune, _ int) string { return string(c - 'A' + 'Ａ') }) },
	"mathematical bold":  func(s string) string { return each(s, func(_ rune, n int) string { return string(rune(0x1d41a + n)) }) },
	"circled":            func(s string) string { return each(s, func(_ rune, n int) string { return string(rune(0x24d0 + n)) }) },
	"small capitals":     replacer("a", "ᴀ", "b", "ʙ", "c", "ᴄ", "d", "ᴅ", "e", "ᴇ", "f", "ꜰ", "g", "ɢ", "h", "ʜ", "i", "ɪ", "l", "ʟ", "m", "ᴍ", "n", "ɴ", "o", "ᴏ", "p", "ᴘ", "r", "ʀ", "s", "ꜱ", "t", "ᴛ", "u", "ᴜ", "w", "ᴡ", "y", "ʏ"),
	"zero width between": func(s string) string { return each(s, func(c rune, _ int) string { return string(c) + "\u200b" }) },
	"soft hyphens":       func(s string) string { return each(s, func(c rune, _ int) string { return string(c) + "\u00ad" }) },
	"direction marks": func(s string) string {
		return each(s, func(c rune, _ int) string { return "\u202a" + string(c) + "\u202c" })
	},
	"combining accents": func(s string) string {
		return each(s, func(c rune, _ int) string { return string(c) + "\u0336\u0301" })
	},
	"accents":              replacer("a", "á", "e", "ê", "i", "ï", "o", "ø", "u", "ü", "n", "ñ", "c", "ç", "s", "š"),
	"Cyrillic look-alikes": replacer("a", "а", "e", "е", "o", "о", "p", "р", "c", "с", "y", "у", "x", "х", "i", "і", "s", "ѕ"),
	"digits for letters":   replacer("a", "4", "e", "3", "i", "1", "o", "0", "s", "5", "t", "7"),
	"marks for letters":    replacer("a", "@", "s", "$", "i", "!", "l", "|"),
	"points between":       func(s string) string { return each(s, func(c rune, _ int) string { return string(c) + "." }) },
	"letters apart": func(s string) string {
		return each(strings.ReplaceAll(s, " ", "  "), func(c rune, _ int) string { return string(c) + " " })
	},
	"tags": func(s string) string { return strings.Map(func(c rune) rune { return c + 0xe0000 }, s) },
}

// TestGuardSeesThroughDisguises: of the attacks in plain letters that are found, so many
// are found in each disguise, and nothing else is taken for one.
func TestGuardSeesThroughDisguises(t *testing.T) {
	var rows []struct{ Label, Text string }
	testdata.JSON(t, &rows, "safety", "injection.json")
	p := load(t, examples.Guard, wasm.Options{})
	var attacks, benign []string
	for _, row := range rows {
		ascii := strings.IndexFunc(row.Text, func(c rune) bool { return c > 127 }) < 0
		_, stopped := judge(t, p, nil, row.Text)
		switch {
		case ascii && stopped && row.Label == "attack":
			attacks = append(attacks, row.Text)
		case ascii && !stopped && row.Label == "benign":
			benign = append(benign, row.Text)
		}
	}
	for name, disguise := range disguises {
		found, wrong := 0, 0
		for _, text := range attacks {
			if _, stopped := judge(t, p, nil, disguise(text)); stopped {
				found++
			}
		}
		for _, text := range benign {
			if _, stopped := judge(t, p, nil, disguise(text)); stopped {
				wrong++
				t.Logf("%s: %q", name, text)
			}
		}
		t.Logf("%-24s %d of %d, %d of %d others", name, found, len(attacks), wrong, len(benign))
		if found*100 < len(attacks)*90 || wrong > 0 {
			t.Errorf("%s: %d of %d attacks found, %d of %d others taken for one", name, found, len(attacks), wrong, len(benign))
		}
	}
}

// TestGuardWordsAreSmall: the words are as the reader makes the text's.
func TestGuardWordsAreSmall(t *testing.T) {
	source, err := os.ReadFile("guard/words.h")
	if err != nil {
		t.Fatal(err)
	}
	lists := regexp.MustCompile(`(?s)lists\[\] = \{(.*?)\n\};`).FindSubmatch(source)
	if lists == nil {
		t.Fatal("no lists")
	}
	words := 0
	for _, quoted := range regexp.MustCompile(`"[^"]*"`).FindAll(lists[1], -1) {
		for word := range strings.FieldsSeq(strings.Trim(string(quoted), `"`)) {
			words++
			if word != strings.ToLower(word) || len(word) > 36 || strings.IndexFunc(word, func(c rune) bool { return c != '_' && c < 128 && !unicode.IsLetter(c) && !unicode.IsDigit(c) }) >= 0 {
				t.Errorf("%q can never be met", word)
			}
		}
	}
	t.Logf("%d words", words)
}
