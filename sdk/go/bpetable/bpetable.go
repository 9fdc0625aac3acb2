// Package bpetable makes the configuration of the tokenizer sandwarp/bpe
// (sdk/c/examples/bpe.c) out of a byte-level BPE vocabulary.
package bpetable

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
)

// Vocabulary is a byte-level BPE vocabulary in GGUF's terms: the arrays
// tokenizer.ggml.tokens, .merges and .token_type (nil if all are normal). Tokens and
// merges are spelled in GPT-2's printable stand-ins for bytes.
type Vocabulary struct {
	Tokens []string
	Merges []string // "left right", the first one first
	Types  []int32
}

// Types of tokens, as GGUF numbers them.
const (
	typeUnknown = 2
	typeControl = 3
	typeUser    = 4
)

const none = 0xffffffff

// Table is the vocabulary as the plugin wants it; bpe.c describes the bytes. Merges
// whose parts or result are no tokens are left out.
func Table(v Vocabulary) ([]byte, error) {
	if len(v.Tokens) == 0 || v.Types != nil && len(v.Types) != len(v.Tokens) {
		return nil, fmt.Errorf("bpetable: %d tokens, %d types; want one type for each token", len(v.Tokens), len(v.Types))
	}
	ofByte := [256]uint32{}
	for i := range ofByte {
		ofByte[i] = none
	}
	ids, texts, special := map[string]uint32{}, make([]string, len(v.Tokens)), []uint32(nil)
	for id, token := range v.Tokens {
		texts[id] = token
		if v.Types != nil && (v.Types[id] == typeUnknown || v.Types[id] == typeControl || v.Types[id] == typeUser) {
			if token != "" {
				special = append(special, uint32(id))
			}
			continue
		}
		text, ok := spell(token)
		if !ok {
			continue // it can be decoded, but never encoded
		}
		texts[id] = text
		if _, double := ids[text]; double || text == "" {
			continue
		}
		ids[text] = uint32(id)
		if len(text) == 1 {
			ofByte[text[0]] = uint32(id)
		}
	}
	var merges []uint32
	for i, m := range v.Merges {
		at := strings.IndexByte(m[min(1, len(m)):], ' ') + min(1, len(m))
		if at < 1 || at+1 >= len(m) {
			return nil, fmt.Errorf("bpetable: merge %d is %q; want two tokens and a space between them", i, m)
		}
		left, _ := spell(m[:at])
		right, _ := spell(m[at+1:])
		l, ok1 := ids[left]
		r, ok2 := ids[right]
		id, ok3 := ids[left+right]
		if ok1 && ok2 && ok3 {
			merges = append(merges, l, r, id)
		}
	}
	sort.SliceStable(special, func(i, j int) bool { return len(texts[special[i]]) > len(texts[special[j]]) })
	return v.write(ofByte[:], texts, merges, special), nil
}

func (v Vocabulary) write(ofByte []uint32, texts []string, merges, special []uint32) []byte {
	all := strings.Join(texts, "")
	b := append([]byte(nil), "SWB1"...)
	put := func(list ...uint32) {
		for _, x := range list {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
	}
	put(uint32(len(texts)), uint32(len(merges)/3), uint32(len(special)), uint32(len(all)))
	put(ofByte...)
	at := uint32(0)
	for _, t := range texts {
		put(at)
		at += uint32(len(t))
	}
	put(at)
	put(merges...)
	for _, id := range special {
		control := uint32(1)
		if v.Types[id] == typeUser {
			control = 0
		}
		put(id, control)
	}
	return append(b, all...)
}

// byLetter finds the byte a letter stands for: printable Latin-1 characters are
// themselves, the others follow from U+0100 on, in order.
var byLetter = func() map[rune]byte {
	m, next := make(map[rune]byte, 256), rune(256)
	for c := range 256 {
		r := rune(c)
		if !(c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae) {
			r = next
			next++
		}
		m[r] = byte(c)
	}
	return m
}()

// spell turns a token's letters into its bytes; ok is false if one is none.
func spell(token string) (text string, ok bool) {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, known := byLetter[r]
		if !known {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}
