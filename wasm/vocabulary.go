package wasm

import (
	"errors"
	"fmt"

	"github.com/sandwarp/sandwarp/abi"
)

// Vocabulary asks a tokenizer for the texts of the ids 0 to n-1, control tokens in text
// form, by decoding each by itself; n == 0 is as many as the manifest says. An id that
// the tokenizer refuses has no text. It is what other plugins get as Options.Vocab. It
// is safe for concurrent use.
func (p *Plugin) Vocabulary(n int) ([]string, error) {
	if n == 0 && p.manifest.Vocab == 0 {
		return nil, fmt.Errorf("plugin %s: its manifest does not say how many ids it has", p.name)
	}
	if n == 0 {
		n = int(p.manifest.Vocab)
	}
	if n < 0 || n > abi.MaxVocab {
		return nil, fmt.Errorf("plugin %s: a vocabulary of %d, at most %d allowed", p.name, n, abi.MaxVocab)
	}
	texts := make([]string, n)
	var b []byte
	for id := range texts {
		var err error
		b, err = p.Decode(b[:0], []int32{int32(id)}, true)
		if f := (*Fault)(nil); errors.As(err, &f) && f.Reason == ReasonError {
			continue
		}
		if err != nil {
			return nil, err
		}
		texts[id] = string(b)
	}
	return texts, nil
}
