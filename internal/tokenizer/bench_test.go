package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// realText is a text of many scripts, repeated to about n bytes.
func realText(t testing.TB, n int) string {
	var b strings.Builder
	rows := freshTexts(t)
	for b.Len() < n {
		for _, row := range rows {
			b.WriteString(row.Text)
			b.WriteString("\n")
		}
	}
	return b.String()
}

// prose is English prose out of the same texts.
func prose(t testing.TB, n int) string {
	var b strings.Builder
	rows := freshTexts(t)
	for b.Len() < n {
		for _, row := range rows[:20] {
			b.WriteString(row.Text)
			b.WriteString("\n")
		}
	}
	return b.String()
}

var benchNames = []string{"gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "deepseek-coder", "o200k_harmony", "llama-spm"}

func BenchmarkEncode(b *testing.B) {
	for _, name := range benchNames {
		tok := realTokenizer(b, name)
		for kind, text := range map[string]string{"prose": prose(b, 1<<18), "mixed": realText(b, 1<<18)} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				ids := make([]int32, 0, len(text))
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if ids, err = tok.Encode(ids[:0], text, true); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"qwen2", "llama-spm"} {
		tok := realTokenizer(b, name)
		text := realText(b, 1<<18)
		ids, err := tok.Encode(nil, text, false)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			out := make([]byte, 0, len(text)+16)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if out, err = tok.Decode(out[:0], ids, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, name := range benchNames {
		v := vocabOf(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hardTexts are texts of n bytes that punish what is not linear.
func hardTexts(n int) map[string]string {
	rng := rand.New(rand.NewPCG(1, 2))
	random, letters, marks := make([]byte, n), make([]byte, n), strings.Repeat("\u0301", n/2)
	for i := range n {
		random[i] = byte(rng.Uint32())
		letters[i] = 'a' + byte(rng.Uint32()%26)
	}
	return map[string]string{
		"spaces":    strings.Repeat(" ", n),
		"newlines":  strings.Repeat("\n", n),
		"crlf":      strings.Repeat("\r\n ", n/3),
		"a":         strings.Repeat("a", n),
		"A":         strings.Repeat("A", n),
		"digits":    strings.Repeat("1", n),
		"dashes":    strings.Repeat("-", n),
		"apostroph": strings.Repeat("'", n),
		"less":      strings.Repeat("<|", n/2),
		"random":    string(random),
		"word":      string(letters),
		"han":       strings.Repeat("日本語", n/9),
		"marks":     "a" + marks,
		"camel":     strings.Repeat("日A", n/4),
		"zeros":     strings.Repeat("\x00", n),
		"ff":        strings.Repeat("\xff", n),
	}
}

func BenchmarkHard(b *testing.B) {
	for _, name := range []string{"gpt-2", "qwen2", "o200k_harmony", "deepseek-llm", "llama-spm"} {
		tok := realTokenizer(b, name)
		for kind, text := range hardTexts(1 << 20) {
			b.Run(name+"/"+kind, func(b *testing.B) {
				ids := make([]int32, 0, 4*len(text))
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					var err error
					if ids, err = tok.Encode(ids[:0], text, true); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
