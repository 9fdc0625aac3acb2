package sandwarp

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
)

// Vocabulary is the tokenizer of a GGUF file, without its weights. It is safe
// for concurrent use.
type Vocabulary struct {
	t *tokenizer.Tokenizer
}

// Encode appends the ids of text to dst, without a beginning-of-sequence token.
// With special, the text forms of control tokens become their ids.
func (v *Vocabulary) Encode(dst []int32, text string, special bool) ([]int32, error) {
	return v.t.Encode(dst, text, special)
}

// Decode appends the bytes of ids to dst; control tokens are left out unless
// special. An id out of range is an error.
func (v *Vocabulary) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	return v.t.Decode(dst, ids, special)
}

// Size is the number of tokens; ids go from 0 to Size()-1.
func (v *Vocabulary) Size() int { return v.t.Size() }

// Piece is the bytes a single token contributes to a text, shared: do not change
// them.
func (v *Vocabulary) Piece(id int32) []byte { return v.t.Piece(id) }

// OpenVocabulary reads the vocabulary of the GGUF file at path, which need not
// hold any tensor.
func OpenVocabulary(path string) (*Vocabulary, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open vocabulary: %w", err)
	}
	defer f.Close()
	return vocabulary(f)
}

// ParseVocabulary is OpenVocabulary for a file in memory.
func ParseVocabulary(name string, data []byte) (*Vocabulary, error) {
	f, err := gguf.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("open vocabulary: %w", err)
	}
	defer f.Close()
	return vocabulary(f)
}

func vocabulary(f *gguf.File) (*Vocabulary, error) {
	v, err := readVocab(f)
	if err != nil {
		return nil, fmt.Errorf("open vocabulary: %w", err)
	}
	t, err := tokenizer.New(v)
	if err != nil {
		return nil, fmt.Errorf("open vocabulary: %s: %w", f.Name, err)
	}
	return &Vocabulary{t}, nil
}
