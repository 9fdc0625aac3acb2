package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

const (
	gpt2Regexp     = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	foldRegexp     = `(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])` // (?i:'s|'t|'re|'ve|'m|'ll|'d)
	llama3Regexp   = foldRegexp + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	upperRegexp    = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lowerRegexp    = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	o200kRegexp    = `[^\r\n\p{L}\p{N}]?` + upperRegexp + `*` + lowerRegexp + `+` + foldRegexp + `?|[^\r\n\p{L}\p{N}]?` + upperRegexp + `+` + lowerRegexp + `*` + foldRegexp + `?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	tekkenRegexp   = `[^\r\n\p{L}\p{N}]?` + upperRegexp + `*` + lowerRegexp + `+|[^\r\n\p{L}\p{N}]?` + upperRegexp + `+` + lowerRegexp + `*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	casedRegexp    = `\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+`
	easternRegexp  = `[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+`
	v3WordsRegexp  = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
	hanKanaRegexp  = `[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+`
	cjkStopsRegexp = `\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+`
)

// publishedRegexps are the published patterns, one name of each group.
var publishedRegexps = map[string][]string{
	"gpt-2":          {gpt2Regexp},
	"starcoder":      {`\p{N}`, gpt2Regexp},
	"llama-bpe":      {llama3Regexp},
	"qwen2":          {strings.Replace(llama3Regexp, `\p{N}{1,3}`, `\p{N}`, 1)},
	"qwen35":         {foldRegexp + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`},
	"gpt-4o":         {o200kRegexp},
	"tekken":         {tekkenRegexp},
	"deepseek-llm":   {`[\r\n]`, casedRegexp, cjkStopsRegexp, `\s+\z`, easternRegexp, `\p{N}+`},
	"deepseek-coder": {`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, easternRegexp, `\p{N}`},
	"deepseek-v3":    {`\p{N}{1,3}`, hanKanaRegexp, v3WordsRegexp},
	"falcon":         {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Regexp, `[0-9][0-9][0-9]`},
	"default":        {`[\p{P}\$\+<=>\^~\|]+`, gpt2Regexp, `\p{N}+`, `[0-9][0-9][0-9]`},
}

// regexpWords is the oracle: each pattern cuts what the one before has cut, the
// text between matches is a word too.
func regexpWords(t testing.TB, patterns []*regexp2.Regexp, text string) []string {
	words := []string{text}
	for _, re := range patterns {
		var next []string
		for _, w := range words {
			rs, at := []rune(w), 0
			m, err := re.FindStringMatch(w)
			for ; m != nil && err == nil; m, err = re.FindNextMatch(m) {
				if m.Index > at {
					next = append(next, string(rs[at:m.Index]))
				}
				next = append(next, m.String())
				at = m.Index + m.Length
			}
			if err != nil {
				t.Fatal(err)
			}
			if at < len(rs) {
				next = append(next, string(rs[at:]))
			}
		}
		words = next
	}
	return words
}

// scannedWords is what is tested.
func scannedWords(p preTokenizer, stage int, s string, words []string) []string {
	if stage == len(p.stages) {
		return append(words, s)
	}
	for at := 0; at < len(s); {
		lo, hi := p.stages[stage](s, at)
		if lo > at {
			words = scannedWords(p, stage+1, s[at:lo], words)
		}
		if hi > lo {
			words = scannedWords(p, stage+1, s[lo:hi], words)
		}
		at = hi
	}
	return words
}

func compiled(t testing.TB) map[string][]*regexp2.Regexp {
	all := map[string][]*regexp2.Regexp{}
	for name, patterns := range publishedRegexps {
		for _, p := range patterns {
			re, err := regexp2.Compile(p, regexp2.None)
			if err != nil {
				t.Fatal(name, err)
			}
			all[name] = append(all[name], re)
		}
	}
	fillClasses()
	return all
}

func checkWords(t testing.TB, oracle map[string][]*regexp2.Regexp, text string) {
	for name, patterns := range oracle {
		p, err := preTokenizerOf(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if text != "" {
			want = regexpWords(t, patterns, text)
		}
		if got := scannedWords(p, 0, text, nil); !slices.Equal(got, want) {
			t.Errorf("%s: %q:\n got %q\nwant %q", name, text, got, want)
		}
	}
}

// alphabet has runes of every class, and what the patterns name.
var alphabet = []rune("aabzABZ  \t\n\r\r\n''''sStTrReEvVmMlLdDſ0123456789½Ⅷ٣.,!?/-_$+<=>^~|`\"#[]\\{}…。、「」－：～“”" +
	"éßµªº\u01bb\u01c5ǅʰ\u0294ΩΚλω\u1f7dὣд中日本龥\u9fffあカー한글\u0e01\u0e34\u0904\u0905\u0301\u0308\u20dd\ufe0f\u200d\u200b" +
	"\u00a0\u2028\u3000\u0085\u000b\u000c\x00\x1c😀🇩🏻€©𝒳𐐀𞤀\U00020000\U000e0100\U000e0001\ufffd\ufeff\u0378\U0010ffff")

func TestPatterns(t *testing.T) {
	oracle := compiled(t)
	for _, row := range freshTexts(t) {
		checkWords(t, oracle, row.Text)
	}
}

// TestPatternsRandom compares on random texts over the alphabet.
func TestPatternsRandom(t *testing.T) {
	oracle := compiled(t)
	rng := rand.New(rand.NewPCG(7, 8))
	n := 3000
	if testing.Short() {
		n = 300
	}
	for range n {
		text := make([]rune, rng.IntN(24))
		few := alphabet
		if rng.IntN(2) == 0 { // few runes, so that they meet again
			from := rng.IntN(len(alphabet) - 6)
			few = alphabet[from : from+6]
		}
		for i := range text {
			text[i] = few[rng.IntN(len(few))]
			if rng.IntN(6) == 0 {
				text[i] = alphabet[rng.IntN(len(alphabet))]
			}
		}
		checkWords(t, oracle, string(text))
		if t.Failed() {
			return
		}
	}
}

// FuzzPatterns compares with the published regular expressions, and on bytes that
// are not UTF-8 tests that nothing is lost.
func FuzzPatterns(f *testing.F) {
	oracle := compiled(f)
	for _, s := range []string{"", "Hello, world's  end\r\n\r\n 12345", "日A日Ab'LL", " \u3000\u3000。x", "'ſ", "\u0301\u0301Aa/\n/", "\xff\xfea"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			t.Skip("the oracle is slow")
		}
		if utf8.ValidString(text) {
			checkWords(t, oracle, text)
			return
		}
		for name, p := range preTokenizers {
			if got := strings.Join(scannedWords(p, 0, text, nil), ""); got != text {
				t.Errorf("%s: %q became %q", name, text, got)
			}
		}
	})
}

func TestClasses(t *testing.T) {
	fillClasses()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		want := other
		for _, c := range classRanges {
			if unicodeIs(c.class, r) {
				if want != other {
					t.Fatalf("%U is in two classes", r)
				}
				want = c.class
			}
		}
		if got := classify(r); got != want {
			t.Fatalf("%U is of class %d, want %d", r, got, want)
		}
	}
}

func TestPreUnknown(t *testing.T) {
	_, err := New(Vocab{Model: "gpt2", Pre: "nope", Tokens: []string{"a"}, BOS: -1, EOS: -1, EOT: -1, UNK: -1, PAD: -1})
	if err == nil || !strings.Contains(err.Error(), `"nope"`) || !strings.Contains(err.Error(), "qwen2") {
		t.Errorf("error %v", err)
	}
}

func unicodeIs(c class, r rune) bool {
	switch c {
	case upper:
		return unicode.Is(unicode.Lu, r)
	case lower:
		return unicode.Is(unicode.Ll, r)
	case title:
		return unicode.Is(unicode.Lt, r)
	case modifier:
		return unicode.Is(unicode.Lm, r)
	case letter:
		return unicode.Is(unicode.Lo, r)
	case mark:
		return unicode.IsMark(r)
	case number:
		return unicode.IsNumber(r)
	case punct:
		return unicode.IsPunct(r)
	case sign:
		return unicode.IsSymbol(r)
	}
	return unicode.IsSpace(r)
}
