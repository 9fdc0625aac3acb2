package tokenizer

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// The real vocabularies, by the names the published ids go under.
var realFiles = map[string][]string{
	"llama-spm":        {"tokenizers", "ggml-vocab-llama-spm.gguf.gz"},
	"phi-3":            {"tokenizers", "ggml-vocab-phi-3.gguf.gz"},
	"deepseek-llm":     {"tokenizers", "ggml-vocab-deepseek-llm.gguf.gz"},
	"deepseek-coder":   {"tokenizers", "ggml-vocab-deepseek-coder.gguf.gz"},
	"gpt-2":            {"tokenizers", "ggml-vocab-gpt-2.gguf.gz"},
	"llama-bpe":        {"tokenizers", "vocab-llama-bpe.gguf.gz"},
	"qwen2":            {"tokenizers", "vocab-qwen2.gguf.gz"},
	"deepseek-r1-qwen": {"tokenizers", "vocab-qwen2.gguf.gz"}, // with another pre-tokenizer's name
	"o200k_harmony":    {"tokenizers", "vocab-o200k_harmony.gguf.gz"},
	"stories260K":      {"models", "stories260K-f32.gguf"},
}

// vocabOf reads a real vocabulary.
func vocabOf(t testing.TB, name string) Vocab {
	t.Helper()
	f, err := gguf.Parse(name, testdata.Open(t, realFiles[name]...))
	if err != nil {
		t.Fatal(err)
	}
	var v Vocab
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	id := func(key string) int32 {
		n, err := f.Int("tokenizer.ggml."+key+"_token_id", -1)
		must(err)
		return int32(n)
	}
	v.Model, err = f.String("tokenizer.ggml.model", "")
	must(err)
	v.Pre, err = f.String("tokenizer.ggml.pre", "")
	must(err)
	v.Tokens, err = f.Strings("tokenizer.ggml.tokens")
	must(err)
	v.Types, err = f.Ints("tokenizer.ggml.token_type")
	must(err)
	v.Scores, err = f.Floats("tokenizer.ggml.scores")
	must(err)
	v.Merges, err = f.Strings("tokenizer.ggml.merges")
	must(err)
	v.BOS, v.EOS, v.EOT, v.UNK, v.PAD = id("bos"), id("eos"), id("eot"), id("unknown"), id("padding")
	v.AddSpacePrefix = v.Model == "llama"
	if name == "deepseek-r1-qwen" {
		v.Pre = name
	}
	return v
}

var (
	realMu sync.Mutex
	reals  = map[string]*Tokenizer{}
)

// real builds a real vocabulary's tokenizer, once for all tests.
func realTokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	realMu.Lock()
	defer realMu.Unlock()
	if reals[name] == nil {
		tok, err := New(vocabOf(t, name))
		if err != nil {
			t.Fatal(err)
		}
		reals[name] = tok
	}
	return reals[name]
}

func checkIDs(t *testing.T, tok *Tokenizer, text string, want []int32) {
	t.Helper()
	got, err := tok.Encode(nil, text, false)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q:\n got %v %q\nwant %v %q", text, got, split(tok, got), want, split(tok, want))
	}
}

func split(tok *Tokenizer, ids []int32) (pieces []string) {
	for _, id := range ids {
		pieces = append(pieces, string(tok.Piece(id)))
	}
	return pieces
}

// TestPublished compares with the ids that llama.cpp publishes for its vocabularies.
func TestPublished(t *testing.T) {
	for name := range realFiles {
		if name == "o200k_harmony" || name == "stories260K" {
			continue // have none
		}
		t.Run(name, func(t *testing.T) {
			base := "ggml-vocab-" + name + ".gguf"
			texts := strings.Split(string(testdata.Open(t, "tokenizers", base+".inp")), "\n__ggml_vocab_test__\n")
			lines := strings.Split(string(testdata.Open(t, "tokenizers", base+".out")), "\n")
			if len(texts) < 46 || len(texts) != len(lines) {
				t.Fatalf("%d texts, %d lines of ids", len(texts), len(lines))
			}
			tok := realTokenizer(t, name)
			for i, text := range texts {
				var want []int32
				for _, n := range strings.Fields(lines[i]) {
					id, err := strconv.Atoi(n)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, int32(id))
				}
				checkIDs(t, tok, text, want)
			}
		})
	}
}

type freshText struct {
	Text string             `json:"text"`
	IDs  map[string][]int32 `json:"ids"`
}

func freshTexts(t testing.TB) []freshText {
	t.Helper()
	var fresh struct {
		Rows []freshText `json:"rows"`
	}
	testdata.JSON(t, &fresh, "tokenizers", "fresh_texts.json")
	return fresh.Rows
}

// TestFreshTexts compares with ids on texts in many scripts.
func TestFreshTexts(t *testing.T) {
	n := 0
	for _, row := range freshTexts(t) {
		for name, want := range row.IDs {
			n++
			checkIDs(t, realTokenizer(t, name), row.Text, want)
		}
	}
	if n < 1000 {
		t.Errorf("only %d texts were compared", n)
	}
}

// TestPlans compares with the ids of gpt-tokenizer's test plans.
func TestPlans(t *testing.T) {
	var plans map[string][]struct {
		Text string  `json:"text"`
		IDs  []int32 `json:"ids"`
	}
	testdata.JSON(t, &plans, "tokenizers", "testplans.json")
	if len(plans) < 2 {
		t.Fatalf("plans of %d vocabularies", len(plans))
	}
	for name, rows := range plans {
		for _, row := range rows {
			checkIDs(t, realTokenizer(t, name), row.Text, row.IDs)
		}
	}
}

// TestStories compares with the prompts of a real model's golden texts.
func TestStories(t *testing.T) {
	var golden struct {
		Cases []struct {
			Prompt    string  `json:"prompt"`
			PromptIDs []int32 `json:"prompt_ids"`
			GenIDs    []int32 `json:"gen_ids"`
			GenText   string  `json:"gen_text"`
		} `json:"cases"`
	}
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	tok := realTokenizer(t, "stories260K")
	for _, c := range golden.Cases {
		if len(c.PromptIDs) == 0 || c.PromptIDs[0] != tok.BOS() {
			t.Fatalf("prompt %q does not begin with BOS", c.Prompt)
		}
		checkIDs(t, tok, c.Prompt, c.PromptIDs[1:])
		text, err := tok.Decode(nil, c.GenIDs, false)
		if want := strings.TrimPrefix(c.GenText, " "); err != nil || string(text) != want {
			t.Errorf("prompt %q: text %q, %v, want %q", c.Prompt, text, err, want)
		}
	}
}
