package sandwarp

import (
	"fmt"
	"math"
	"strings"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
)

// readVocab reads the vocabulary of a model file from its keys tokenizer.ggml.*.
// What the file leaves out is what its kind of vocabulary means by that: llama has
// BOS 1, EOS 2 and unknown 0, adds BOS and a dummy space; gpt2 has no special ids
// and adds nothing, but for pre-tokenizers that are known to want BOS.
func readVocab(f *gguf.File) (tokenizer.Vocab, error) {
	r := vocabReader{f: f}
	v := tokenizer.Vocab{
		Model:  r.text("model"),
		Pre:    r.text("pre"),
		Tokens: vocabArray(&r, "tokens", f.Strings),
		Types:  vocabArray(&r, "token_type", f.Ints),
	}
	switch {
	case r.err != nil:
		return v, r.err
	case v.Model == "":
		return v, r.missing("model")
	case v.Tokens == nil:
		return v, r.missing("tokens")
	}
	r.size = len(v.Tokens)
	if v.Model == "llama" {
		v.Scores = vocabArray(&r, "scores", f.Floats)
		v.BOS, v.EOS, v.UNK = r.id("bos", 1), r.id("eos", 2), r.id("unknown", 0)
	} else {
		v.Merges = vocabArray(&r, "merges", f.Strings)
		if v.Merges == nil && v.Model == "gpt2" {
			return v, r.missing("merges")
		}
		v.BOS, v.EOS, v.UNK = r.id("bos", -1), r.id("eos", -1), r.id("unknown", -1)
	}
	v.EOT, v.PAD = r.id("eot", -1), r.id("padding", -1)
	wantsBOS := v.Model == "llama" || tokenizer.DefaultAddBOS(v.Pre)
	v.AddBOS = r.flag("add_bos_token", wantsBOS && v.BOS >= 0)
	v.AddEOS = r.flag("add_eos_token", false)
	v.AddSpacePrefix = r.flag("add_space_prefix", v.Model == "llama")
	v.StripAfter = phi3Strips(f, v)
	return v, r.err
}

// phi3Strips are the tokens behind which Phi-3 drops white space. GGUF has no key
// for that, so the model is told by its name. A file without one has none.
func phi3Strips(f *gguf.File, v tokenizer.Vocab) (ids []int32) {
	name, err := f.String("general.name", "")
	name = strings.ToLower(name)
	if err != nil || v.Model != "llama" || !strings.Contains(name, "phi-3") && !strings.Contains(name, "phi3") {
		return nil
	}
	for i, text := range v.Tokens {
		switch {
		case text == "<unk>" || text == "<s>" || text == "<|endoftext|>":
		case text == "</s>" || strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>"):
			ids = append(ids, int32(i))
		}
	}
	return ids
}

// vocabReader reads keys until the first error, which it keeps.
type vocabReader struct {
	f    *gguf.File
	size int // of the vocabulary
	err  error
}

func (r *vocabReader) key(name string) string { return "tokenizer.ggml." + name }

func (r *vocabReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *vocabReader) missing(name string) error {
	return fmt.Errorf("%s: metadata %s is missing: without it text cannot be encoded; convert the model again with its tokenizer",
		r.f.Name, r.key(name))
}

func (r *vocabReader) text(name string) string {
	s, err := r.f.String(r.key(name), "")
	r.keep(err)
	return s
}

func (r *vocabReader) flag(name string, def bool) bool {
	b, err := r.f.Bool(r.key(name), def)
	r.keep(err)
	return b
}

func vocabArray[T any](r *vocabReader, name string, get func(string) ([]T, error)) []T {
	a, err := get(r.key(name))
	r.keep(err)
	return a
}

// id reads a special id. Writers say that there is none by leaving it out or by -1,
// be it as an unsigned number. A default that the vocabulary is too small for is
// none, too; an id that is written and out of range is an error.
func (r *vocabReader) id(name string, def int64) int32 {
	key := r.key(name + "_token_id")
	id, err := r.f.Int(key, def)
	r.keep(err)
	switch {
	case id == -1 || id == math.MaxUint32:
		return -1
	case id >= 0 && id < int64(r.size):
		return int32(id)
	case r.f.Has(key):
		r.keep(fmt.Errorf("%s: metadata %s is %d, the vocabulary has ids 0 to %d", r.f.Name, key, id, r.size-1))
	}
	return -1
}
