package examples_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/sdk/go/bpetable"
	"github.com/sandwarp/sandwarp/wasm"
)

// bpeOf loads the tokenizer with the vocabulary of a GGUF file, and the native one.
func bpeOf(t testing.TB, file string) (*wasm.Plugin, *tokenizer.Tokenizer) {
	t.Helper()
	f, err := gguf.Parse(file, testdata.Open(t, "tokenizers", file))
	if err != nil {
		t.Fatal(err)
	}
	v := tokenizer.Vocab{Model: "gpt2", BOS: -1, EOS: -1, EOT: -1, UNK: -1, PAD: -1}
	v.Pre, _ = f.String("tokenizer.ggml.pre", "")
	v.Tokens, _ = f.Strings("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	v.Types, _ = f.Ints("tokenizer.ggml.token_type")
	native, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	table, err := bpetable.Table(bpetable.Vocabulary{Tokens: v.Tokens, Merges: v.Merges, Types: v.Types})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p := load(t, examples.BPE, wasm.Options{Config: m{"table": table, "pre": v.Pre}})
	t.Logf("%s: %d tokens, %d merges, a table of %d bytes, loaded in %v", file, len(v.Tokens), len(v.Merges), len(table), time.Since(start).Round(time.Millisecond))
	return p, native
}

// TestBPEPublished: the ids are the published ones.
func TestBPEPublished(t *testing.T) {
	for _, c := range []struct{ name, vocab string }{{"gpt-2", "ggml-vocab-gpt-2.gguf.gz"}, {"llama-bpe", "vocab-llama-bpe.gguf.gz"}, {"qwen2", "vocab-qwen2.gguf.gz"}} {
		p, _ := bpeOf(t, c.vocab)
		in := strings.Split(string(testdata.Open(t, "tokenizers", "ggml-vocab-"+c.name+".gguf.inp")), "\n__ggml_vocab_test__\n")
		out := strings.Split(strings.TrimRight(string(testdata.Open(t, "tokenizers", "ggml-vocab-"+c.name+".gguf.out")), "\n"), "\n")
		n := 0
		for i, text := range in {
			if i >= len(out) {
				break
			}
			var want []int32
			for _, w := range strings.Fields(out[i]) {
				id, err := strconv.Atoi(w)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, int32(id))
			}
			got, err := p.Encode(nil, text, false)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q: %v\n got  %v\n want %v", c.name, text, err, got, want)
			}
			if back, err := p.Decode(nil, got, false); err != nil || string(back) != text {
				t.Errorf("%s: %q comes back as %q, %v", c.name, text, back, err)
			}
			n++
		}
		t.Logf("%s: %d texts", c.name, n)
		if n < 40 {
			t.Errorf("%s: only %d texts", c.name, n)
		}
	}
}

// TestBPELikeNative compares with the native tokenizer, on texts nobody chose and
// on odd ones.
func TestBPELikeNative(t *testing.T) {
	var fresh struct {
		Rows []struct {
			Text string `json:"text"`
		} `json:"rows"`
	}
	testdata.JSON(t, &fresh, "tokenizers", "fresh_texts.json")
	texts := []string{"", strings.Repeat("ab", 5000), strings.Repeat(" ", 300) + "x", "<|im_end|>a<|endoftext|>", "\xff\xc3 \xe2\x82", strings.Repeat("é\n", 1000), "a\x00b", strings.Repeat("<|", 500)}
	for _, r := range fresh.Rows {
		texts = append(texts, r.Text)
	}
	parts := []string{"a", "The", " the", "'s", "'S", " ", "  ", "\n", "\r\n", "1", "234", "é", "中文", "\xff", "\u00a0", "!", " ...", "\t", "<|im_end|>", "ſ", "'ſ", "٣", "Ⅷ", "\u3000"}
	for _, file := range []string{"ggml-vocab-gpt-2.gguf.gz", "vocab-qwen2.gguf.gz", "vocab-llama-bpe.gguf.gz"} {
		p, native := bpeOf(t, file)
		compared := 0
		compare := func(t fataler, text string, special bool) {
			want, err := native.Encode(nil, text, special)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if back, _ := native.Decode(nil, want, true); !bytes.Equal(back, []byte(text)) {
				return // native normalises; this one does not
			}
			compared++
			got, err := p.Encode(nil, text, special)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: %.100q: %v\n got  %v\n want %v", file, text, err, got[:min(50, len(got))], want[:min(50, len(want))])
			}
		}
		for _, text := range texts {
			compare(t, text, true)
			compare(t, text, false)
		}
		rapid.Check(t, func(t *rapid.T) {
			compare(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 20).Draw(t, "parts"), ""), rapid.Bool().Draw(t, "special"))
		})
		if compared < len(texts) {
			t.Errorf("%s: only %d texts compared", file, compared)
		}
	}
}

func TestBPETable(t *testing.T) {
	good, err := bpetable.Table(bpetable.Vocabulary{Tokens: []string{"a", "b", "ab", "<x>"}, Merges: []string{"a b", "b z"}, Types: []int32{1, 1, 1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := wasm.Load(t.Context(), examples.BPE, wasm.Options{Config: m{"table": good}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, id := range []int32{-1, 4, 1 << 30} {
		if _, err := p.Decode(nil, []int32{id}, false); err == nil || !strings.Contains(err.Error(), "the vocabulary has 4") {
			t.Errorf("id %d: %v", id, err)
		}
	}
	if ids, err := p.Encode(nil, "abba<x>", true); err != nil || !slices.Equal(ids, []int32{2, 1, 0, 3}) {
		t.Error(ids, err)
	}
	if _, err := p.Encode(nil, "abc", false); err == nil || !strings.Contains(err.Error(), "no token for a byte") {
		t.Error(err)
	}
	cache := t.TempDir()
	for i := 0; i < len(good); i += 1 + i/24*53 { // changed or cut anywhere, it does no harm
		odd := slices.Clone(good)
		odd[i] ^= 0x81
		for _, table := range [][]byte{odd, good[:i]} {
			q, err := wasm.Load(t.Context(), examples.BPE, wasm.Options{Config: m{"table": table}, CacheDir: cache})
			if err != nil {
				if !strings.Contains(err.Error(), "table: ") {
					t.Errorf("byte %d: %v", i, err)
				}
				continue
			}
			_, _ = q.Encode(nil, "abba<x>ab", true)
			if _, err := q.Decode(nil, []int32{0, 1, 2, 3}, true); err != nil {
				t.Errorf("byte %d: %v", i, err)
			}
			q.Close()
		}
	}
	for want, config := range map[string]any{
		"want one that package bpetable made": m{"table": []byte("x")}, "are supported": m{"pre": "klingon"}, "unknown key": m{"tokens": "x"}, "want {": m{"table": 3},
	} {
		if _, err := wasm.Load(t.Context(), examples.BPE, wasm.Options{Config: config}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", config, err, want)
		}
	}
}

func BenchmarkBPE(b *testing.B) {
	var fresh struct {
		Rows []struct {
			Text string `json:"text"`
		} `json:"rows"`
	}
	testdata.JSON(b, &fresh, "tokenizers", "fresh_texts.json")
	var text string
	for _, r := range fresh.Rows {
		if len(text) < 1<<20 {
			text += r.Text
		}
	}
	for _, file := range []string{"ggml-vocab-gpt-2.gguf.gz", "vocab-qwen2.gguf.gz", "vocab-llama-bpe.gguf.gz"} {
		p, native := bpeOf(b, file)
		for name, encode := range map[string]func([]int32, string, bool) ([]int32, error){"plugin": p.Encode, "native": native.Encode} {
			b.Run(file+"/"+name, func(b *testing.B) {
				var ids []int32
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					var err error
					if ids, err = encode(ids[:0], text, false); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestBPEVocabulary: a host gets the texts of all tokens by decoding each.
func TestBPEVocabulary(t *testing.T) {
	p, native := bpeOf(t, "vocab-qwen2.gguf.gz")
	start := time.Now()
	texts, err := p.Vocabulary(native.Size())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d texts in %v", len(texts), time.Since(start).Round(time.Millisecond))
	for id, got := range texts {
		if want, err := native.Decode(nil, []int32{int32(id)}, true); err != nil || got != string(want) {
			t.Fatalf("token %d is %q, want %q, %v", id, got, want, err)
		}
	}
	if _, err := p.Vocabulary(0); err == nil {
		t.Error("its manifest does not say how many ids there are")
	}
}
