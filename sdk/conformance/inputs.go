package conformance

import (
	"math"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// vocabulary is a small one: the bytes, and some words.
func vocabulary() []string {
	v := make([]string, 0, 300)
	for i := range 256 {
		v = append(v, string([]byte{byte(i)}))
	}
	return append(v, " the", " and", "hello", " world", "<|end|>")
}

// texts are ordinary and odd.
func texts() []string {
	return []string{
		"",
		"The quick brown fox jumps over the lazy dog. It was the 3rd of May, 2021, at 10:30.",
		"Write to ann.b+c@example.co.uk or call +44 7700 900123; the card is 4111 1111 1111 1111.",
		"{\"name\": \"value\", \"list\": [1, 2.5e3, null], \"nested\": {\"a\": \"\\u00e9\"}}\n\n```go\nfunc main() {}\n```\n",
		"Ünïcödé, 漢字かな交じり文, עברית, العربية, 👩‍👩‍👧‍👦 e\u0301\u0302\u0303 \u200b\u202e\ufeff",
		strings.Repeat("a", 3000) + "@" + strings.Repeat("b", 3000),
		strings.Repeat("1234 ", 800),
		strings.Repeat("\n", 500) + strings.Repeat("(", 500) + "\x00\x01\x7f",
		"not UTF-8: \xff\xfe\xc3(\xe2\x82 end \xf0\x9f",
	}
}

// short are the first bytes of the texts, for engines that are slow.
func short(texts []string) (list []string) {
	for _, t := range texts {
		list = append(list, t[:min(len(t), 400)])
	}
	return list
}

const vocab = 32_000

var negInf = float32(math.Inf(-1))

// logits are as a model gives them, the same each time.
func logits(n int) [][]float32 {
	r := rand.New(rand.NewPCG(21, 22))
	list := make([][]float32, n)
	for i := range list {
		list[i] = make([]float32, vocab)
		for j := range list[i] {
			list[i][j] = float32(r.NormFloat64() * 3)
		}
	}
	return list
}

// oddLogits are at the edge of what a sampler can meet.
func oddLogits() [][]float32 {
	row := func(f func(i int) float32) []float32 {
		v := make([]float32, vocab)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	return [][]float32{
		row(func(int) float32 { return 0 }),
		row(func(i int) float32 {
			if i == 300 {
				return 1
			}
			return negInf
		}),
		row(func(i int) float32 { return float32(i%2*2-1) * 3e38 }),
		row(func(i int) float32 { return math.SmallestNonzeroFloat32 * float32(i%3) }),
	}
}

// splits says whether position n lies inside a whole UTF-8 character.
func splits(text string, n int) bool {
	start := n
	for start > 0 && n-start < utf8.UTFMax-1 && (start >= len(text) || !utf8.RuneStart(text[start])) {
		start--
	}
	r, size := utf8.DecodeRuneInString(text[start:])
	return start < n && (r != utf8.RuneError || size > 1) && start+size > n
}
