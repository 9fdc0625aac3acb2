package sandwarp

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
)

// Vocabulary is the tokenizer of a GGUF file, without its weights. It is safe
// for concurrent use.
type Vocabulary struct {
	*tokenizer.Tokenizer
}

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
