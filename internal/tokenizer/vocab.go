// Package tokenizer turns text into token ids and back.
//
// Two families of vocabularies are read, both by the names GGUF gives them:
//
//   - "llama": byte-pair encoding as SentencePiece does it. Characters are joined
//     by the score of the piece they make, a dummy space is put before the text,
//     and what has no piece is spelled in byte tokens <0x00> to <0xFF>.
//     Kudo and Richardson, "SentencePiece", https://arxiv.org/abs/1808.06226.
//   - "gpt2": byte-pair encoding over bytes. A pre-tokenizer of the vocabulary's
//     own cuts the text into words, and in each word the pair of the lowest rank
//     in the list of merges is joined first. Sennrich et al.,
//     https://arxiv.org/abs/1508.07909; Radford et al., "Language Models are
//     Unsupervised Multitask Learners" (2019) for the bytes.
//
// Encoding is linear in the text but for the factor log n of a queue over the
// longest word, whatever the bytes are.
package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// The kinds of tokens, numbered as in tokenizer.ggml.token_type.
const (
	typeUndefined   = 0 // taken as normal
	typeNormal      = 1
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
	typeUnused      = 5
	typeByte        = 6
)

// maxSpecial is the longest text of a token that is matched in the text as a
// whole, in bytes. The longest known is 40; the cap keeps matching linear.
const maxSpecial = 512

// Vocab is a vocabulary as a GGUF file states it.
type Vocab struct {
	Model string // "llama" or "gpt2"
	Pre   string // pre-tokenizer of a gpt2 vocabulary, "" is "default"; llama has none

	Tokens []string  // text of each id; gpt2: in the printable letters of GPT-2's byte table
	Types  []int32   // token_type of each id; nil: all are normal
	Scores []float32 // llama: score of each id, the higher joins first; nil: all are 0
	Merges []string  // gpt2: "left right", the first has the lowest rank

	BOS, EOS, EOT, UNK, PAD int32 // -1: the vocabulary has none

	StripAfter []int32 // special tokens behind which white space is dropped from the text

	AddBOS, AddEOS bool // whether a prompt begins with BOS and ends with EOS
	AddSpacePrefix bool // llama: a text begins with a dummy space; gpt2 ignores it
}

// check tests what can be tested of the fields one by one.
func (v *Vocab) check() error {
	if v.Model != "llama" && v.Model != "gpt2" {
		return fmt.Errorf("tokenizer: tokenizer.ggml.model is %q, supported are llama and gpt2", v.Model)
	}
	n := len(v.Tokens)
	if n == 0 {
		return errors.New("tokenizer: tokenizer.ggml.tokens is empty")
	}
	if n > math.MaxInt32/2 {
		return fmt.Errorf("tokenizer: tokenizer.ggml.tokens has %d entries, more than ids can name", n)
	}
	if v.Types != nil && len(v.Types) != n {
		return fmt.Errorf("tokenizer: tokenizer.ggml.token_type has %d entries, tokens has %d", len(v.Types), n)
	}
	if v.Scores != nil && len(v.Scores) != n {
		return fmt.Errorf("tokenizer: tokenizer.ggml.scores has %d entries, tokens has %d", len(v.Scores), n)
	}
	for i, k := range v.Types {
		if k < typeUndefined || k > typeByte {
			return fmt.Errorf("tokenizer: tokenizer.ggml.token_type[%d] is %d, known are 0 to 6", i, k)
		}
	}
	for i, s := range v.Scores {
		if s != s {
			return fmt.Errorf("tokenizer: tokenizer.ggml.scores[%d] is not a number", i)
		}
	}
	return v.checkSpecial()
}

func (v *Vocab) checkSpecial() error {
	for _, s := range []struct {
		key string
		id  int32
	}{{"bos", v.BOS}, {"eos", v.EOS}, {"eot", v.EOT}, {"unknown", v.UNK}, {"padding", v.PAD}} {
		if s.id < -1 || int(s.id) >= len(v.Tokens) {
			return fmt.Errorf("tokenizer: tokenizer.ggml.%s_token_id is %d, the vocabulary has ids 0 to %d",
				s.key, s.id, len(v.Tokens)-1)
		}
	}
	for i, id := range v.StripAfter {
		if id < 0 || int(id) >= len(v.Tokens) {
			return fmt.Errorf("tokenizer: StripAfter[%d] is %d, the vocabulary has ids 0 to %d", i, id, len(v.Tokens)-1)
		}
	}
	if v.AddBOS && v.BOS < 0 {
		return errors.New("tokenizer: tokenizer.ggml.add_bos_token is set but there is no bos_token_id")
	}
	if v.AddEOS && v.EOS < 0 {
		return errors.New("tokenizer: tokenizer.ggml.add_eos_token is set but there is no eos_token_id")
	}
	return nil
}

// kind is the type of a token, with undefined taken as normal.
func (v *Vocab) kind(id int) int32 {
	if v.Types == nil || v.Types[id] == typeUndefined {
		return typeNormal
	}
	return v.Types[id]
}

// byteValue reads the text of a byte token, <0x00> to <0xFF> and nothing else.
func byteValue(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	const digits = "0123456789ABCDEF"
	hi, lo := strings.IndexByte(digits, text[3]), strings.IndexByte(digits, text[4])
	return byte(hi<<4 | lo&15), hi >= 0 && lo >= 0
}
