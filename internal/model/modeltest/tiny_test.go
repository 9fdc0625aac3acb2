package modeltest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

func TestTinyIsReadableAndRepeats(t *testing.T) {
	for _, arch := range Arches() {
		for _, d := range tensor.DTypes() {
			data := Tiny(arch, d, 7)
			f, err := gguf.Parse("tiny", data)
			if err != nil {
				t.Fatalf("%s %v: %v", arch, d, err)
			}
			if e, ok := f.Tensor("token_embd.weight"); !ok || e.Shape[0] != Vocab || e.DType != d {
				t.Errorf("%s %v: embedding %v", arch, d, e)
			}
			if tokens, err := f.Strings("tokenizer.ggml.tokens"); err != nil || len(tokens) != Vocab || tokens[EOS] != "<|eos|>" {
				t.Errorf("%s: %d tokens, %v", arch, len(tokens), err)
			}
			if !bytes.Equal(data, Tiny(arch, d, 7)) || bytes.Equal(data, Tiny(arch, d, 8)) {
				t.Errorf("%s %v: not a function of the seed", arch, d)
			}
		}
	}
}

// A vocabulary in which a merge makes no token would break tokenizers in ways
// hard to see.
func TestMergesMakeTokens(t *testing.T) {
	tokens := vocabulary("llama")["tokenizer.ggml.tokens"].([]string)
	known := map[string]bool{}
	for _, s := range tokens {
		if known[s] {
			t.Errorf("token %q twice", s)
		}
		known[s] = true
	}
	for _, p := range pairs {
		for _, s := range []string{spaced(p[0]), spaced(p[1])} {
			if !known[s] {
				t.Errorf("merge of %q, which is no token", s)
			}
		}
	}
}

func TestRandomBlocksHaveTheDeviation(t *testing.T) {
	for _, d := range tensor.DTypes() {
		if d.BlockElems() == 1 {
			continue
		}
		const n, want = 4096, 0.1
		b := RandomBlocks(rand.New(rand.NewPCG(1, 2)), d, n, want)
		got := deviation(d, b, n)
		if !(math.Abs(math.Log2(got/want)) < 0.6) { // MXFP4 scales are powers of two
			t.Errorf("%v: standard deviation %.3f, want %.3f", d, got, want)
		}
	}
}
