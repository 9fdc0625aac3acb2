package tokenizer

import (
	"cmp"
	"slices"
	"strings"
)

// special finds tokens that stand in a text as a whole: control tokens, if the
// caller wants them, and those that users defined. At every place the longest
// wins. It is a sorted list of their texts, narrowed byte by byte.
type special struct {
	texts []string
	ids   []int32
	first [256]struct{ lo, hi int32 } // range of texts by first byte
}

type specialText struct {
	text string
	id   int32
}

// newSpecial sorts the texts; of equal ones the first stays. nil: there are none.
func newSpecial(all []specialText) *special {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b specialText) int { return cmp.Compare(a.text, b.text) })
	all = slices.CompactFunc(all, func(a, b specialText) bool { return a.text == b.text })
	s := &special{texts: make([]string, len(all)), ids: make([]int32, len(all))}
	for i, a := range all {
		s.texts[i], s.ids[i] = a.text, a.id
		r := &s.first[a.text[0]]
		if r.hi == 0 {
			r.lo = int32(i)
		}
		r.hi = int32(i + 1)
	}
	return s
}

// find is the first token in text at or after at; start == len(text) if none.
func (s *special) find(text string, at int) (start, end int, id int32) {
	for i := at; i < len(text); i++ {
		if r := s.first[text[i]]; r.hi > 0 {
			if end, id = s.match(text[i:], int(r.lo), int(r.hi)); end > 0 {
				return i, i + end, id
			}
		}
	}
	return len(text), len(text), -1
}

// match is the longest of texts[lo:hi], which share their first byte with text,
// that text begins with; length 0: none.
func (s *special) match(text string, lo, hi int) (length int, id int32) {
	for depth := 1; lo < hi; depth++ {
		if len(s.texts[lo]) == depth { // the shortest sorts first
			length, id = depth, s.ids[lo]
			lo++
		}
		if lo == hi || depth == len(text) {
			break
		}
		c := text[depth]
		if hi-lo > 1 {
			lo, hi = s.narrow(lo, hi, depth, c)
		} else if s.texts[lo][depth] != c {
			break
		}
	}
	return length, id
}

// narrow is the part of texts[lo:hi], all longer than depth, with c at depth.
func (s *special) narrow(lo, hi, depth int, c byte) (int, int) {
	before := func(t string, c int) int { return cmp.Compare(int(t[depth]), c) }
	from, _ := slices.BinarySearchFunc(s.texts[lo:hi], int(c), before)
	to, _ := slices.BinarySearchFunc(s.texts[lo:hi], int(c)+1, before)
	return lo + from, lo + to
}

// lookup is the id of exactly this text, or -1.
func (s *special) lookup(text string) int32 {
	if s == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(s.texts, text, strings.Compare)
	if !ok {
		return -1
	}
	return s.ids[i]
}

// endOfGeneration are the texts of tokens that models end an answer or their turn
// with, beside the EOS and EOT that the vocabulary names.
var endOfGeneration = []string{
	"</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end|>",
	"<|return|>", "<|call|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<|EOT|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
	"<end_of_utterance>", "<｜end▁of▁sentence｜>",
}

// findEOG lists the ids that end a generation. In harmony, which has <|return|>
// and <|call|>, <|end|> ends a message, not the answer.
func (t *Tokenizer) findEOG() {
	add := func(id int32) {
		if id >= 0 && !slices.Contains(t.eog, id) {
			t.eog = append(t.eog, id)
		}
	}
	add(t.eos)
	add(t.eot)
	harmony := t.special.lookup("<|return|>") >= 0 && t.special.lookup("<|call|>") >= 0
	for _, text := range endOfGeneration {
		if text != "<|end|>" || !harmony {
			add(t.special.lookup(text))
		}
	}
}
