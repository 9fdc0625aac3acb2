package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/abi"
)

// Types of tokens, as GGUF numbers them.
const (
	typeUnknown = 2
	typeControl = 3
	typeUser    = 4
)

// vocab is a byte-level BPE vocabulary.
type vocab struct {
	pre     pattern
	whole   bool             // a word that is a token needs no merges (llama-bpe)
	words   map[string]int32 // by their bytes
	pieces  []string         // bytes of each id; of special ones the text
	special [256][]special   // by their first byte, longest first
	bytes   [256]int32       // token of each byte, or none
	pairs   table
	control map[int32]bool // left out when decoding, unless asked for
	unk     int32
}

// special is a token matched in the text as a whole.
type special struct {
	text   string
	id     int32
	always bool // also if control tokens are plain text
}

func pair(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// letters are GPT-2's printable stand-ins for bytes: printable Latin-1
// characters are themselves, the others follow from U+0100 on.
var letters = func() (r [256]rune) {
	next := rune(256)
	for c := range 256 {
		if c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae {
			r[c] = rune(c)
		} else {
			r[c] = next
			next++
		}
	}
	return r
}()

var byLetter = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	for c, r := range letters {
		m[r] = byte(c)
	}
	return m
}()

// spell turns a token's letters into its bytes; ok is false if one is none.
func spell(text string) (s string, ok bool) {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		c, known := byLetter[r]
		if !known {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// bytesOnly is the vocabulary of a plugin without configuration: the bytes.
func bytesOnly() *vocab {
	tokens := make([]string, 256)
	for c, r := range letters {
		tokens[c] = string(r)
	}
	v, _ := build(source{tokens: tokens, pre: "gpt-2", unk: -1})
	return v
}

// source is a vocabulary as configured.
type source struct {
	tokens, merges []string
	types          []int32
	pre            string
	unk            int32
}

// readSource reads {"tokens": [text, ...], "merges": ["left right", ...],
// "types": [number, ...], "pre": name, "unk": id}, the names and letters being
// GGUF's (tokenizer.ggml.tokens and so on).
func readSource(config []byte) (source, error) {
	s := source{pre: "gpt-2", unk: -1}
	r := abi.NewReader("bpe configuration", config)
	r.Fields(16, func(key string) {
		switch key {
		case "tokens":
			s.tokens = r.Strings(abi.MaxVocab, 4096)
		case "merges":
			s.merges = r.Strings(abi.MaxVocab, 8192)
		case "types":
			n := r.Array(abi.MaxVocab)
			s.types = make([]int32, 0, n)
			for ; n > 0 && r.Err() == nil; n-- {
				s.types = append(s.types, int32(r.Uint(6)))
			}
		case "pre":
			s.pre = r.String(64)
		case "unk":
			s.unk = int32(r.Uint(abi.MaxVocab))
		default:
			r.Skip()
		}
	})
	return s, r.Done()
}

// build makes the tables. The error names what is wrong with the configuration.
func build(s source) (*vocab, error) {
	pre, ok := patterns[s.pre]
	if !ok {
		return nil, errorf("pre: %q is not supported; gpt-2, llama-bpe and qwen2 are", s.pre)
	}
	if len(s.tokens) == 0 || s.types != nil && len(s.types) != len(s.tokens) {
		return nil, errorf("tokens: %d, types: %d; want one type for each token", len(s.tokens), len(s.types))
	}
	if s.unk >= int32(len(s.tokens)) {
		return nil, errorf("unk: %d, there are %d tokens", s.unk, len(s.tokens))
	}
	v := &vocab{
		pre: pre, whole: s.pre == "llama-bpe", unk: s.unk,
		words: make(map[string]int32, len(s.tokens)), pieces: make([]string, len(s.tokens)),
		pairs: newTable(len(s.merges)), control: map[int32]bool{},
	}
	for i := range v.bytes {
		v.bytes[i] = none
	}
	for id, text := range s.tokens {
		kind := int32(0)
		if s.types != nil {
			kind = s.types[id]
		}
		v.add(int32(id), text, kind)
	}
	for _, list := range v.special {
		slices.SortStableFunc(list, func(a, b special) int { return len(b.text) - len(a.text) })
	}
	return v, v.join(s.merges)
}

// add puts a token into the tables.
func (v *vocab) add(id int32, text string, kind int32) {
	v.pieces[id] = text
	switch kind {
	case typeUnknown, typeControl, typeUser:
		v.control[id] = kind != typeUser
		if text != "" {
			v.special[text[0]] = append(v.special[text[0]], special{text, id, kind == typeUser})
		}
		return
	}
	b, ok := spell(text)
	if !ok {
		b = text // not of this alphabet: it can be decoded, but never encoded
	} else if _, double := v.words[b]; !double && b != "" {
		v.words[b] = id
		if len(b) == 1 {
			v.bytes[b[0]] = id
		}
	}
	v.pieces[id] = b
}

// join reads the merges; those whose parts or result are no tokens are idle.
func (v *vocab) join(merges []string) error {
	for rank, m := range merges {
		at := strings.IndexByte(m[min(1, len(m)):], ' ') + min(1, len(m))
		if at < 1 || at+1 >= len(m) || !utf8.ValidString(m) {
			return errorf("merges: %d is %q; want two tokens and a space between them", rank, m)
		}
		left, ok1 := spell(m[:at])
		right, ok2 := spell(m[at+1:])
		l, ok3 := v.words[left]
		r, ok4 := v.words[right]
		id, ok5 := v.words[left+right]
		if !(ok1 && ok2 && ok3 && ok4 && ok5) {
			continue
		}
		v.pairs.add(pair(l, r), merge{int32(rank), id})
	}
	return nil
}
