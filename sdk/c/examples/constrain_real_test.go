package examples_test

import (
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// realVocab are the texts of a real model's tokens, 151,936 of them.
func realVocab(t testing.TB) []string {
	t.Helper()
	const file = "vocab-qwen2.gguf.gz"
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
	vocab := make([]string, 151_936) // the model has rows for tokens that are not there
	for id := range v.Tokens {
		vocab[id] = string(native.Piece(int32(id)))
	}
	return vocab
}

// TestConstrainFirstMasks: over a real vocabulary the first mask of a state stays
// within its budget, and allows the tokens whose bytes may follow one by one.
func TestConstrainFirstMasks(t *testing.T) {
	vocab := realVocab(t)
	p, bytewise := closed(t, vocab), closed(t, byteVocab)
	const usual, hard = 10_000_000, 36_000_000 // fuel; hard: characters matter that are not at the beginning
	person := `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}}`
	for _, c := range []struct {
		settings m
		text     string
		most     uint64
	}{
		{m{"json": true}, "", usual}, {m{"json": true}, `{`, usual}, {m{"json": true}, `"`, usual}, {m{"json": true}, `"\`, usual},
		{m{"json": true}, `["\u00`, usual}, {m{"json": true}, `[1`, usual}, {m{"json": true}, "[\n  ", usual}, {m{"json": true}, "\"\xe4", usual},
		{m{"schema": `{"type":"string","maxLength":100}`}, `"`, usual}, {m{"schema": `{"type":"string","maxLength":3}`}, `"`, usual},
		{m{"schema": `{"type":"string","maxLength":7,"minLength":3}`}, `"`, usual},
		{m{"schema": person}, `{"`, usual}, {m{"schema": person}, `{"x`, usual}, {m{"schema": person}, `{"age": 12`, usual},
		{m{"schema": `{"type":"string","pattern":"^[A-Z][a-z]+( [A-Z][a-z]+)*$"}`}, `"Al`, usual}, {m{"schema": `{"type":"string","pattern":"b+$"}`}, `"`, hard},
		{m{"schema": `{"type":"string","format":"email"}`}, `"`, usual}, {m{"schema": `{"type":"string","format":"email"}`}, `"a@b`, usual},
		{m{"regex": ".*"}, "", usual}, {m{"regex": `[\s\S]*`}, "a", usual}, {m{"regex": "[a-z ]+"}, "a", usual}, {m{"regex": ".{0,60}"}, "", usual},
		{m{"regex": `\w+( \w+)*\.`}, "a", usual}, {m{"regex": "[^a-y]{2,30}"}, "", usual}, {m{"regex": `([^"]|"[^"]*")*`}, `"`, usual},
		{m{"regex": `(\S+\s){5,40}`}, "", hard}, {m{"regex": "(.{3}[a-z])*"}, "", hard},
	} {
		w, err := write(t, p, c.settings)
		if err != nil {
			t.Fatalf("%v: %v", c.settings, err)
		}
		w.n = len(vocab)
		for i := range len(c.text) {
			w.accept(byteToken(t, vocab, c.text[i]))
		}
		before := p.Stats().Fuel
		ok := w.allowed()
		fuel, n := p.Stats().Fuel-before, 0
		for id, yes := range ok {
			if yes {
				n++
			}
			if sample := id%997 == 0 || id < 256; sample && vocab[id] != "" && yes != bytesAllowed(t, bytewise, c.settings, c.text, vocab[id], 257) {
				t.Errorf("%v after %q: token %q allowed: %v", c.settings, c.text, vocab[id], yes)
			}
		}
		t.Logf("%.1f M fuel, %6d tokens: %v after %q", float64(fuel)/1e6, n, c.settings, c.text)
		if fuel > c.most {
			t.Errorf("%v after %q: %d fuel for a mask, want at most %d", c.settings, c.text, fuel, c.most)
		}
		p.CloseSeq(w.seq)
	}
}

// byteToken is the token of one byte.
func byteToken(t testing.TB, vocab []string, b byte) int32 {
	for id, s := range vocab {
		if s == string([]byte{b}) {
			return int32(id)
		}
	}
	t.Fatalf("no token for byte %d", b)
	return 0
}

// TestConstrainSixGrammars: requests with six grammars over a real vocabulary share
// an instance of 64 MiB.
func TestConstrainSixGrammars(t *testing.T) {
	vocab := realVocab(t)
	p := load(t, examples.Constrain, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed, Limits: wasm.Limits{Memory: 64 << 20}})
	order := `{"type":"object","properties":{"id":{"type":"string","format":"uuid"},"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string","pattern":"^[A-Z]{3}-[0-9]{4}$"},"n":{"type":"integer","minimum":1,"maximum":999}},"required":["sku","n"]},"minItems":1}},"required":["id","lines"],"additionalProperties":false}`
	settings := []m{
		{"json": true}, {"json": true, "compact": true, "depth": 5}, {"schema": order}, {"regex": `[A-Z][a-z]+( [a-z]+){2,40}\.`},
		{"schema": `{"type":"array","items":{"type":"string","maxLength":200},"maxItems":50}`},
		{"schema": `{"type":"object","properties":{"when":{"type":"string","format":"date-time"},"x":{"type":"number","minimum":-1,"maximum":1}},"required":["when","x"]}`, "max_tokens": 120},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 3 {
		var open []*writer
		var seqs []uint64
		for _, s := range settings {
			w, err := write(t, p, s)
			if err != nil {
				t.Fatalf("%v: %v", s, err)
			}
			w.n = len(vocab)
			open, seqs = append(open, w), append(seqs, w.seq)
		}
		for range 25 {
			p.Plan(seqs, make([][]int32, len(seqs)))
			for i, w := range open {
				var may []int32
				for id, yes := range w.allowed() {
					if yes && vocab[id] != "<|im_end|>" && vocab[id] != "<|endoftext|>" {
						may = append(may, int32(id))
					}
				}
				if len(may) > 0 {
					w.accept(may[r.IntN(len(may))])
				} else if round == 0 && i < 2 {
					t.Errorf("%v: nothing may follow", settings[i])
				}
			}
		}
		for _, w := range open {
			p.CloseSeq(w.seq)
		}
	}
	if s := p.Stats(); s.Instances != 1 {
		t.Errorf("%d instances", s.Instances)
	}
}
