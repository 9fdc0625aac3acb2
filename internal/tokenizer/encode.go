package tokenizer

import (
	"fmt"
	"math"
	"sync/atomic"
	"unicode/utf8"
)

// maxText is the longest text, in bytes: places in it are 32 bits wide, and a mark
// for a space may add to it.
const maxText = math.MaxInt32 / 4

// encoder is the scratch memory of one call of Encode.
type encoder struct {
	t       *Tokenizer
	dst     []int32
	err     error
	unknown int    // llama: length of dst behind the last unknown token, to have one for a run
	text    []byte // llama: the text between two special tokens, as it is encoded
	word    []byte // llama: the word in hand, a part of text
	symbols []symbol
	queue   queue
	splits  map[span]int32 // llama: where an unused piece was merged; nil: none can be
}

// span is a range of bytes of encoder.word.
type span struct{ lo, hi int32 }

// Encode appends the ids of text to dst. With special, the texts of control tokens
// become their ids; without, they are plain text. Tokens that users defined are
// always matched. BOS and EOS are not added.
//
// Any bytes are encoded. A llama vocabulary spells what it has no piece for in its
// byte tokens, or has the unknown token for it; a gpt2 vocabulary that lacks a
// byte has the unknown token, or encodes U+FFFD in its place. It is an error if
// there is none of these. dst is then returned as it was.
//
// A llama vocabulary takes U+2581 for a space, and, with AddSpacePrefix, puts a
// space before the text and behind each special token. Some gpt2 vocabularies bring
// the text to normalization form C.
func (t *Tokenizer) Encode(dst []int32, text string, special bool) ([]int32, error) {
	if len(text) > maxText {
		return dst, fmt.Errorf("tokenizer: text has %d bytes, at most %d can be encoded at once", len(text), maxText)
	}
	e := t.pool.Get().(*encoder)
	e.dst, e.err, e.unknown = dst, nil, -1
	find := t.userDefined
	if special {
		find = t.special
	}
	for at := 0; at < len(text); {
		start, end, id := len(text), len(text), int32(-1)
		if find != nil {
			start, end, id = find.find(text, at)
		}
		e.fragment(text[at:start])
		if id >= 0 {
			e.dst = append(e.dst, id)
		}
		at = end
	}
	out, err := e.dst, e.err
	e.release()
	if err != nil {
		return dst, err
	}
	return out, nil
}

// keep is the most scratch memory, in symbols, that is kept for the next call.
const keep = 1 << 16

func (e *encoder) release() {
	t := e.t
	e.dst, e.word, e.err = nil, nil, nil
	if cap(e.symbols) > keep || cap(e.queue) > keep || cap(e.text) > 4*keep {
		return
	}
	t.pool.Put(e)
}

// fragment encodes the text between special tokens.
func (e *encoder) fragment(s string) {
	switch {
	case s == "":
	case e.t.spm:
		e.sentence(s)
	default:
		if e.t.pre.nfc {
			s = nfc(s)
		}
		e.cut(0, s)
	}
}

// cut cuts s by the stages of the pre-tokenizer from the given one on, at most six
// deep.
func (e *encoder) cut(stage int, s string) {
	if stage == len(e.t.pre.stages) {
		e.byteWord(s)
		return
	}
	next := e.t.pre.stages[stage]
	for at := 0; at < len(s); {
		lo, hi := next(s, at)
		if lo > at {
			e.cut(stage+1, s[at:lo])
		}
		if hi > lo {
			e.cut(stage+1, s[lo:hi])
		}
		at = hi
	}
}

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

// wholeWords remembers, a bit for each id, for which pieces the merges make of
// their bytes just that piece. Nearly always they do, and then a word that is a
// piece need not be merged again.
type wholeWords []uint32

// known appends id and is true if a word that is piece id is known to merge to it.
func (e *encoder) known(id int32) bool {
	if id < 0 || atomic.LoadUint32(&e.t.whole[id>>5])>>(id&31)&1 == 0 {
		return false
	}
	e.dst = append(e.dst, id)
	return true
}

// learn notes what a word that is piece id was encoded to, dst[from:].
func (e *encoder) learn(id int32, from int) {
	if id >= 0 && len(e.dst) == from+1 && e.dst[from] == id {
		atomic.OrUint32(&e.t.whole[id>>5], 1<<(id&31))
	}
}

// Decode appends the bytes of ids to dst. Control tokens and the unknown token are
// left out unless special is set. ids are the beginning of a text: the dummy space
// that Encode put before it is taken off, and with special also the one behind
// each special token. To go on with a text use Piece. An id the vocabulary does
// not have is an error, and dst is returned as it was.
func (t *Tokenizer) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	out := dst
	dummy := t.prefix
	for i, id := range ids {
		if id < 0 || int(id) >= len(t.kinds) {
			return dst, fmt.Errorf("tokenizer: id %d at place %d is not in the vocabulary, which has 0 to %d", id, i, len(t.kinds)-1)
		}
		if !isText(t.kinds[id]) {
			if special || t.kinds[id] == typeUserDefined {
				out = append(out, t.pieces.of(id)...)
				dummy = t.prefix
			}
			continue
		}
		piece := t.pieces.of(id)
		if dummy && len(piece) > 0 {
			dummy = false
			if piece[0] == ' ' {
				piece = piece[1:]
			}
		}
		out = append(out, piece...)
	}
	return out, nil
}

// Piece is the bytes of one id, for streaming: of a control token its text, of a
// llama vocabulary with a space where the model has one. It need not be whole
// UTF-8. It is nil for an id the vocabulary does not have. Do not change it.
func (t *Tokenizer) Piece(id int32) []byte {
	if id < 0 || int(id) >= len(t.kinds) {
		return nil
	}
	return t.pieces.of(id)
}
