// Command bpe is a tokenizer: byte-level byte-pair encoding (Sennrich et al.,
// https://arxiv.org/abs/1508.07909; over bytes as in GPT-2) with a vocabulary that
// comes by configuration, see readSource. Text is taken as it is: it is not
// normalised. Without a configuration each byte is a token.
package main

import (
	"bytes"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func init() {
	plugin.ServeTokenizer(plugin.Manifest{
		Name: "sandwarp/bpe-go", Version: "1.0.0",
		Description: "byte-level BPE with a vocabulary given as configuration",
		Fuel:        50_000_000, FuelPerByte: 20_000, ConfigureFuel: 20_000_000_000,
	}, &bpe{vocab: bytesOnly()})
}

func main() {}

type bpe struct {
	vocab *vocab
	m     merger
	known map[string][]int32 // ids of words met before
}

// mostKnown bounds the words remembered; longKnown their length.
const mostKnown, longKnown = 1 << 14, 32

func errorf(format string, args ...any) error { return abi.EINVAL.Errorf(format, args...) }

func (b *bpe) Configure(config []byte, _ abi.Configure) error {
	if config == nil {
		return nil
	}
	s, err := readSource(config)
	if err != nil {
		return err
	}
	b.vocab, err = build(s)
	return err
}

// Encode finds special tokens, and encodes the text between them.
func (b *bpe) Encode(dst []int32, text []byte, special bool) ([]int32, error) {
	for len(text) > 0 {
		n, id, size := b.find(text, special)
		for rest := text[:n]; len(rest) > 0; {
			k := b.vocab.pre.next(rest)
			dst = b.word(dst, rest[:k])
			rest = rest[k:]
		}
		if size > 0 {
			dst = append(dst, id)
		}
		text = text[n+size:]
	}
	for _, id := range dst {
		if id < 0 {
			return nil, errorf("the vocabulary has no token for a byte of the text, and no unknown token")
		}
	}
	return dst, nil
}

// find is the first special token in text, of several there the longest: where it
// begins, its id and its length; the text's length and 0 if there is none.
func (b *bpe) find(text []byte, control bool) (at int, id int32, size int) {
	for i, c := range text {
		for _, s := range b.vocab.special[c] {
			if (s.always || control) && bytes.HasPrefix(text[i:], []byte(s.text)) {
				return i, s.id, len(s.text)
			}
		}
	}
	return len(text), 0, 0
}

// word appends the ids of a word.
func (b *bpe) word(dst []int32, w []byte) []int32 {
	if id, ok := b.vocab.words[string(w)]; ok && (b.vocab.whole || len(w) == 1) {
		return append(dst, id)
	}
	if ids, ok := b.known[string(w)]; ok {
		return append(dst, ids...)
	}
	from := len(dst)
	dst = b.m.encode(b.vocab, dst, w)
	if len(w) <= longKnown {
		if len(b.known) >= mostKnown || b.known == nil {
			b.known = make(map[string][]int32, mostKnown)
		}
		b.known[string(w)] = append([]int32(nil), dst[from:]...)
	}
	return dst
}

func (b *bpe) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	for _, id := range ids {
		if id < 0 || int(id) >= len(b.vocab.pieces) {
			return nil, errorf("id %d, the vocabulary has %d", id, len(b.vocab.pieces))
		}
		if special || !b.vocab.control[id] {
			dst = append(dst, b.vocab.pieces[id]...)
		}
	}
	return dst, nil
}
