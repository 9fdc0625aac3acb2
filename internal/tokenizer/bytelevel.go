package tokenizer

import "fmt"

// byteWord encodes a word of a gpt2 vocabulary.
func (e *encoder) byteWord(s string) {
	t := e.t
	id := int32(-1)
	if len(s) == 1 {
		id = t.single[s[0]]
	} else if len(s) <= t.longest {
		id = t.words.findString(s)
	}
	if id >= 0 && (t.pre.ignoreMerges || len(s) == 1) {
		e.dst = append(e.dst, id)
		return
	}
	if e.known(id) {
		return
	}
	from := len(e.dst)
	e.byteSymbols(s)
	e.merge()
	e.emit(s)
	e.learn(id, from)
}

// byteSymbols makes a symbol of every byte.
func (e *encoder) byteSymbols(s string) {
	e.symbols = e.symbols[:0]
	for i := range len(s) {
		e.symbols = append(e.symbols, symbol{id: e.t.single[s[i]], end: int32(i + 1), rank: noMerge})
	}
}

// emit appends the ids of the symbols of a word of a gpt2 vocabulary.
func (e *encoder) emit(s string) {
	for i := range e.symbols {
		id := e.symbols[i].id
		if id >= 0 {
			e.dst = append(e.dst, id)
			continue
		}
		if e.t.unk >= 0 {
			e.dst = append(e.dst, e.t.unk)
			continue
		}
		e.replacement(s[e.symbols[i].end-1])
	}
}

// replacement appends the ids of U+FFFD for a byte that the vocabulary lacks, in
// tokens of one byte each, as no merge can be looked for inside emit.
func (e *encoder) replacement(b byte) {
	for _, c := range []byte("\uFFFD") {
		id := e.t.single[c]
		if id < 0 {
			e.err = fmt.Errorf("tokenizer: the vocabulary has no token for byte 0x%02X, none for U+FFFD in its place and no unknown token", b)
			return
		}
		e.dst = append(e.dst, id)
	}
}
