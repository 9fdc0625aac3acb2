//go:build !wasip1

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
)

// both builds this tokenizer and the native one from a GGUF vocabulary.
func both(t testing.TB, file string) (*bpe, *tokenizer.Tokenizer) {
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
	ours, err := build(source{tokens: v.Tokens, merges: v.Merges, types: v.Types, pre: v.Pre, unk: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &bpe{vocab: ours}, native
}

func TestLikeNative(t *testing.T) {
	var fresh struct {
		Rows []struct {
			Text string `json:"text"`
		} `json:"rows"`
	}
	testdata.JSON(t, &fresh, "tokenizers", "fresh_texts.json")
	texts := []string{strings.Repeat("ab", 5000), strings.Repeat(" ", 300) + "x", "<|im_end|>a<|endoftext|>", "\xff\xc3 \xe2\x82"}
	for _, r := range fresh.Rows {
		texts = append(texts, r.Text)
	}
	for _, file := range []string{"ggml-vocab-gpt-2.gguf.gz", "vocab-qwen2.gguf.gz", "vocab-llama-bpe.gguf.gz"} {
		ours, native := both(t, file)
		n := 0
		for _, text := range texts {
			want, err := native.Encode(nil, text, true)
			if err != nil {
				t.Fatal(err)
			}
			if back, _ := native.Decode(nil, want, true); !bytes.Equal(back, []byte(text)) {
				continue // native normalises; this one does not
			}
			n++
			got, err := ours.Encode(nil, []byte(text), true)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: %.100q: %v\n got  %v\n want %v", file, text, err, got[:min(50, len(got))], want[:min(50, len(want))])
			}
		}
		t.Logf("%s: %d of %d texts", file, n, len(texts))
		if n < len(texts)*9/10 {
			t.Errorf("%s: only %d texts compared", file, n)
		}
	}
}

func TestConfiguration(t *testing.T) {
	for want, config := range map[string]any{
		"want map":         []int{1},
		"tokens: 0":        map[string]any{},
		"is not supported": map[string]any{"tokens": []string{"a"}, "pre": "klingon"},
		"want one type":    map[string]any{"tokens": []string{"a"}, "types": []int{1, 1}},
		"unk: 5":           map[string]any{"tokens": []string{"a"}, "unk": 5},
		"want two tokens":  map[string]any{"tokens": []string{"a"}, "merges": []string{"aa"}},
		"integer 9":        map[string]any{"tokens": []string{"a"}, "types": []int{9}},
	} {
		b, err := msgpack.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSource(b)
		if err == nil {
			_, err = build(s)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", config, err, want)
		}
	}
	none := &bpe{vocab: bytesOnly()}
	if ids, err := none.Encode(nil, []byte("a\xff b"), false); err != nil || !slices.Equal(ids, []int32{'a', 255, ' ', 'b'}) {
		t.Errorf("%v %v", ids, err)
	}
	if _, err := none.Decode(nil, []int32{256}, false); err == nil {
		t.Error("decoded an id that is not there")
	}
}
