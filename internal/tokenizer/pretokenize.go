package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// stage finds the next match of a pattern in s at or after at, lo == hi == len(s)
// if there is none. The text between matches is a word of its own.
type stage func(s string, at int) (lo, hi int)

// preTokenizer cuts a text into words: each stage cuts what the stage before has
// cut.
type preTokenizer struct {
	stages       []stage
	nfc          bool // the text is brought to normalization form C first
	ignoreMerges bool // a word that is a piece is taken whole, whatever the merges
	addBOS       bool // what GGUF takes for add_bos_token when the file says nothing
}

// Patterns as published in the tokenizer.json of the models they are named for,
// or in OpenAI's tiktoken. The tests hold each as a regular expression.
var (
	gpt2Words = pattern{contractions: lowerCase, letters: inL, prefix: spacePrefix}

	llama3Words = pattern{contractions: foldCase, letters: inL, prefix: anyPrefix, digits: 3, tail: "\r\n", newlines: true}
	qwen2Words  = pattern{contractions: foldCase, letters: inL, prefix: anyPrefix, digits: 1, tail: "\r\n", newlines: true}
	qwen35Words = pattern{contractions: foldCase, letters: inL | inM, prefix: anyPrefix, digits: 1, tail: "\r\n", newlines: true}
	o200kWords  = pattern{contractions: afterWord, camel: true, prefix: anyPrefix, digits: 3, tail: "\r\n/", newlines: true}
	tekkenWords = pattern{camel: true, prefix: anyPrefix, digits: 1, tail: "\r\n/", newlines: true}
)

// preTokenizers by the names of tokenizer.ggml.pre. Names in a row are names of
// the same thing.
var preTokenizers = func() map[string]preTokenizer {
	m := map[string]preTokenizer{}
	add := func(p preTokenizer, names ...string) {
		for _, name := range names {
			m[name] = p
		}
	}
	gpt2 := []stage{gpt2Words.next}
	add(preTokenizer{stages: gpt2}, "gpt-2", "phi-2", "jais", "trillion", "granite-docling", "exaone4", "gigachat",
		"mellum", "a.x-4.0", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe")
	add(preTokenizer{stages: gpt2, nfc: true}, "mpt", "olmo") // GPT-NeoX's tokenizer

	digits := []stage{each(inN, 1), gpt2Words.next}
	add(preTokenizer{stages: digits}, "starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b")
	add(preTokenizer{stages: digits, nfc: true}, "command-r")

	llama3 := []stage{llama3Words.next}
	add(preTokenizer{stages: llama3, ignoreMerges: true, addBOS: true}, "llama-bpe", "llama3", "llama-v3", "falcon3",
		"falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano")
	add(preTokenizer{stages: llama3}, "smaug-bpe", "dbrx", "glm4", "chatglm-bpe")

	add(preTokenizer{stages: []stage{qwen2Words.next}, nfc: true}, "qwen2", "deepseek-r1-qwen", "megrez")
	add(preTokenizer{stages: []stage{qwen2Words.next}}, "stablelm2", "hunyuan", "solar-open", "grok-2", "kormo")
	add(preTokenizer{stages: []stage{qwen35Words.next}, nfc: true}, "qwen35")

	add(preTokenizer{stages: []stage{o200kWords.next}, ignoreMerges: true}, "gpt-4o", "o200k", "o200k_harmony", "llama4", "minimax-m2")
	add(preTokenizer{stages: []stage{tekkenWords.next}, ignoreMerges: true, addBOS: true}, "tekken")

	add(preTokenizer{stages: deepseekLLM}, "deepseek-llm")
	add(preTokenizer{stages: deepseekCoder}, "deepseek-coder")
	add(preTokenizer{stages: deepseekV3}, "deepseek-v3", "hunyuan-dense", "joyai-llm")

	add(preTokenizer{stages: []stage{runs(isFalconPunct), gpt2Words.next, asciiTriple}}, "falcon")
	add(preTokenizer{stages: []stage{runs(isDefaultPunct), gpt2Words.next, runs(isNumber), asciiTriple}}, "default", "")
	return m
}()

func preTokenizerOf(name string) (preTokenizer, error) {
	p, ok := preTokenizers[name]
	if !ok {
		known := slices.Sorted(maps.Keys(preTokenizers))
		return p, fmt.Errorf("tokenizer: tokenizer.ggml.pre is %q, which is not known here; known are %s",
			name, strings.TrimSpace(strings.Join(known, " ")))
	}
	return p, nil
}

// DefaultAddBOS is what add_bos_token of a gpt2 vocabulary with this
// pre-tokenizer means when a file does not say.
func DefaultAddBOS(pre string) bool { return preTokenizers[pre].addBOS }
