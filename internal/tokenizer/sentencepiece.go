package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// span is a range of bytes of encoder.word.
type span struct{ lo, hi int32 }

// sentence encodes a text of a llama vocabulary: with a space before it, and the
// mark for a space taken for one.
func (e *encoder) sentence(s string) {
	e.text = e.text[:0]
	if e.t.prefix {
		e.text = append(e.text, ' ')
	}
	e.text = appendUnmarked(e.text, s)
	if e.t.spaceInside {
		e.pieceWord(e.text)
		return
	}
	// No piece goes over a space into the next word, so words are independent.
	for lo := 0; lo < len(e.text); {
		hi := lo
		for hi < len(e.text) && e.text[hi] == ' ' {
			hi++
		}
		for hi < len(e.text) && e.text[hi] != ' ' {
			hi++
		}
		e.pieceWord(e.text[lo:hi])
		lo = hi
	}
}

// pieceWord encodes a word of a llama vocabulary.
func (e *encoder) pieceWord(w []byte) {
	id := int32(-1)
	if len(w) <= e.t.longest {
		id = e.t.words.find(w)
	}
	if e.known(id) {
		return
	}
	from := len(e.dst)
	e.word = w
	e.runeSymbols(w)
	e.merge()
	e.emitPieces()
	e.learn(id, from)
}

// runeSymbols makes a symbol of every rune, and of every byte that is not UTF-8.
func (e *encoder) runeSymbols(w []byte) {
	e.symbols = e.symbols[:0]
	if e.t.unused {
		if e.splits == nil {
			e.splits = map[span]int32{}
		}
		clear(e.splits)
	}
	for i := 0; i < len(w); {
		size := 1
		id := e.t.single[w[i]]
		if w[i] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(w[i:])
			id = e.t.words.find(w[i : i+size])
		}
		i += size
		e.symbols = append(e.symbols, symbol{id: id, end: int32(i), rank: noMerge})
	}
}

// emitPieces appends the ids of the symbols of a word of a llama vocabulary.
func (e *encoder) emitPieces() {
	lo := int32(0)
	for _, s := range e.symbols {
		if s.id >= 0 && e.t.kinds[s.id] == typeUnused {
			e.unmerge(lo, s.end)
		} else {
			e.emitPiece(s.id, lo, s.end)
		}
		lo = s.end
	}
}

// unmerge emits the parts that an unused piece was merged from, left to right. A
// part is a span of the word, of which there are less than bytes.
func (e *encoder) unmerge(lo, hi int32) {
	todo := []span{{lo, hi}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		id := e.t.words.find(e.word[s.lo:s.hi])
		if id < 0 || e.t.kinds[id] != typeUnused {
			e.emitPiece(id, s.lo, s.hi)
			continue
		}
		mid, ok := e.splits[s]
		if !ok { // a single rune
			e.emitPiece(-1, s.lo, s.hi)
			continue
		}
		todo = append(todo, span{mid, s.hi}, span{s.lo, mid})
	}
}

// emitPiece appends id or, if it is -1, the bytes of the word from lo to hi. What
// has no byte token is unknown, a run of it once.
func (e *encoder) emitPiece(id, lo, hi int32) {
	if id >= 0 {
		e.dst = append(e.dst, id)
		return
	}
	for _, b := range e.word[lo:hi] {
		switch unk := e.t.unk; {
		case e.t.fallback[b] >= 0:
			e.dst = append(e.dst, e.t.fallback[b])
		case unk < 0:
			e.err = fmt.Errorf("tokenizer: the vocabulary has no token for byte 0x%02X and no unknown token", b)
			return
		case len(e.dst) != e.unknown:
			e.dst = append(e.dst, unk)
			e.unknown = len(e.dst)
		}
	}
}
