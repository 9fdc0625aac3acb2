package sandwarp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
)

// parseKeys writes a file with just these metadata and parses it.
func parseKeys(t *testing.T, keys map[string]any) *gguf.File {
	t.Helper()
	w := gguf.NewWriter()
	w.Set("general.architecture", "llama")
	for key, value := range keys {
		w.Set("tokenizer.ggml."+key, value)
	}
	var file bytes.Buffer
	if _, err := w.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse("test.gguf", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVocabDefaults(t *testing.T) {
	tokens := []string{"a", "b", "c"}
	for _, c := range []struct {
		name string
		keys map[string]any
		want tokenizer.Vocab
	}{
		{"llama", map[string]any{"model": "llama", "tokens": tokens, "scores": []float32{0, -1, -2}},
			tokenizer.Vocab{Model: "llama", Scores: []float32{0, -1, -2}, BOS: 1, EOS: 2, UNK: 0, EOT: -1, PAD: -1, AddBOS: true, AddSpacePrefix: true}},
		{"too small for the default ids", map[string]any{"model": "llama", "tokens": tokens[:1]},
			tokenizer.Vocab{Model: "llama", BOS: -1, EOS: -1, UNK: 0, EOT: -1, PAD: -1, AddSpacePrefix: true}},
		{"gpt2", map[string]any{"model": "gpt2", "tokens": tokens, "merges": []string{}},
			tokenizer.Vocab{Model: "gpt2", BOS: -1, EOS: -1, UNK: -1, EOT: -1, PAD: -1}},
		{"gpt2 that wants BOS", map[string]any{"model": "gpt2", "pre": "llama-bpe", "tokens": tokens, "merges": []string{}, "bos_token_id": uint32(2)},
			tokenizer.Vocab{Model: "gpt2", Pre: "llama-bpe", BOS: 2, EOS: -1, UNK: -1, EOT: -1, PAD: -1, AddBOS: true}},
		{"everything written", map[string]any{
			"model": "llama", "pre": "default", "tokens": tokens, "token_type": []int32{1, 3, 6}, "bos_token_id": uint32(0),
			"eos_token_id": int32(1), "eot_token_id": uint64(2), "unknown_token_id": uint32(1<<32 - 1), "padding_token_id": int32(-1),
			"add_bos_token": false, "add_eos_token": true, "add_space_prefix": false},
			tokenizer.Vocab{Model: "llama", Pre: "default", Types: []int32{1, 3, 6}, BOS: 0, EOS: 1, EOT: 2, UNK: -1, PAD: -1, AddEOS: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readVocab(parseKeys(t, c.keys))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Tokens = c.keys["tokens"].([]string)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVocabErrors(t *testing.T) {
	tokens := []string{"a", "b", "c"}
	for _, c := range []struct {
		keys map[string]any
		want string
	}{
		{map[string]any{"tokens": tokens}, "tokenizer.ggml.model"},
		{map[string]any{"model": "llama"}, "tokenizer.ggml.tokens"},
		{map[string]any{"model": "gpt2", "tokens": tokens}, "tokenizer.ggml.merges"},
		{map[string]any{"model": "llama", "tokens": tokens, "eos_token_id": uint32(3)}, "tokenizer.ggml.eos_token_id is 3"},
		{map[string]any{"model": "llama", "tokens": tokens, "padding_token_id": int32(-2)}, "tokenizer.ggml.padding_token_id is -2"},
		{map[string]any{"model": "llama", "tokens": tokens, "bos_token_id": uint64(1<<32 + 1)}, "tokenizer.ggml.bos_token_id"},
		{map[string]any{"model": "llama", "tokens": tokens, "bos_token_id": "one"}, "tokenizer.ggml.bos_token_id"},
		{map[string]any{"model": "llama", "tokens": tokens, "scores": []int32{1, 2, 3}}, "tokenizer.ggml.scores"},
		{map[string]any{"model": "llama", "tokens": tokens, "add_bos_token": "yes"}, "tokenizer.ggml.add_bos_token"},
		{map[string]any{"model": uint32(1), "tokens": tokens}, "tokenizer.ggml.model"},
	} {
		_, err := readVocab(parseKeys(t, c.keys))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "test.gguf") {
			t.Errorf("%v: error %v, wanted is one that names test.gguf and %s", c.keys, err, c.want)
		}
	}
}

// TestBadVocabs gives the malformed vocabularies the verdict their list demands.
func TestBadVocabs(t *testing.T) {
	var classes []struct{ Name, File, Want string }
	testdata.JSON(t, &classes, "badgguf", "classes.json")
	seen := 0
	for _, c := range classes {
		if !strings.HasPrefix(c.Name, "v_") && c.Name != "ok_base" {
			continue
		}
		seen++
		err := func() error {
			f, err := gguf.Parse(c.File, testdata.Open(t, "badgguf", c.File))
			if err != nil {
				return err
			}
			v, err := readVocab(f)
			if err != nil {
				return err
			}
			tok, err := tokenizer.New(v)
			if err != nil {
				return err
			}
			ids, err := tok.Encode(nil, "Once <0x-1> upon\x00 a \xff time</s>", true)
			if err != nil {
				return err
			}
			if _, err = tok.Decode(nil, ids, true); err != nil {
				return fmt.Errorf("decode of what was encoded: %w", err)
			}
			return nil
		}()
		t.Logf("%s: %v", c.Name, err)
		if (c.Want == "reject" && err == nil) || (c.Want == "accept" && err != nil) {
			t.Errorf("%s: error %v, want %s", c.Name, err, c.Want)
		}
	}
	if seen != 4 {
		t.Errorf("%d files were tried", seen)
	}
}

// TestRealVocabs reads the vocabularies of real models.
func TestRealVocabs(t *testing.T) {
	for _, c := range []struct {
		folder, file string
		size         int
		addBOS       bool
	}{
		{"tokenizers", "ggml-vocab-llama-spm.gguf", 32000, true},
		{"tokenizers", "ggml-vocab-phi-3.gguf", 32064, true},
		{"tokenizers", "ggml-vocab-gpt-2.gguf", 50257, false},
		{"tokenizers", "vocab-llama-bpe.gguf", 128256, true},
		{"tokenizers", "ggml-vocab-deepseek-llm.gguf", 102400, true},
		{"models", "onicai-stories260Ktok512.gguf", 512, true},
		{"golden", "t-gptoss-s-F32.gguf", 288, false},
	} {
		f, err := gguf.Parse(c.file, testdata.Open(t, c.folder, c.file))
		if err != nil {
			t.Fatal(err)
		}
		v, err := readVocab(f)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.New(v)
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if tok.Size() != c.size || tok.AddBOS() != c.addBOS {
			t.Errorf("%s: size %d, adds BOS %v, want %d, %v", c.file, tok.Size(), tok.AddBOS(), c.size, c.addBOS)
		}
	}
}

// TestPhi3Strips wants no newline between Phi-3's turns, as its template puts one
// that its tokenizer drops.
func TestPhi3Strips(t *testing.T) {
	f, err := gguf.Parse("phi-3", testdata.Open(t, "tokenizers", "ggml-vocab-phi-3.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := readVocab(f)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tok.Encode(nil, "<|user|>\nHello<|end|>\n<|assistant|>\n", true)
	want := []int32{32010, 15043, 32007, 32001}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
