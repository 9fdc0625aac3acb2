package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
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

// Encode appends the ids of text to dst. With special, the texts of control tokens
// become their ids; without, they are plain text. Tokens that users defined are
// always matched. White space behind the tokens of StripAfter is dropped. BOS and EOS are not added.
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
			if _, strip := slices.BinarySearch(t.stripAfter, id); strip {
				end = run(text, end, inW)
			}
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
	if cap(e.symbols) > keep || cap(e.queue) > keep || cap(e.text) > 16*keep {
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
