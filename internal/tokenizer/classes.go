package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what the pre-tokenizers' patterns tell apart of Unicode's general
// categories. Each rune has one.
type class uint8

const (
	other class = iota // controls, unassigned, bytes that are not UTF-8
	upper
	lower
	title
	modifier
	letter // the others, \p{Lo}
	mark
	number
	punct
	sign
	space  // the property White_Space, which shares no rune with the above
	ending // not a rune: the end of the text, of no set
)

// set is a set of classes.
type set uint16

func (s set) has(c class) bool { return s>>c&1 != 0 }

// In the words of regular expressions: \p{L} \p{M} \p{N} \p{P} \p{S} \s.
const (
	inL   set = 1<<upper | 1<<lower | 1<<title | 1<<modifier | 1<<letter
	inM   set = 1 << mark
	inN   set = 1 << number
	inP   set = 1 << punct
	inS   set = 1 << sign
	inW   set = 1 << space
	every set = 1<<ending - 1

	inUpper set = 1<<upper | 1<<title | 1<<modifier | 1<<letter | 1<<mark // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
	inLower set = 1<<lower | 1<<modifier | 1<<letter | 1<<mark            // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
)

// tableEnd is where the table ends: above are only private use, tags and
// variation selectors.
const tableEnd = 0x32400

var (
	classTable [tableEnd]class
	fillOnce   sync.Once
)

var classRanges = []struct {
	class class
	table *unicode.RangeTable
}{
	{upper, unicode.Lu}, {lower, unicode.Ll}, {title, unicode.Lt}, {modifier, unicode.Lm}, {letter, unicode.Lo},
	{mark, unicode.M}, {number, unicode.N}, {punct, unicode.P}, {sign, unicode.S},
	{space, unicode.White_Space},
}

// fillClasses fills the table, once. New calls it before any scanner runs.
func fillClasses() {
	fillOnce.Do(func() {
		for _, c := range classRanges {
			for _, r := range c.table.R16 {
				fillRange(c.class, rune(r.Lo), rune(r.Hi), rune(r.Stride))
			}
			for _, r := range c.table.R32 {
				fillRange(c.class, rune(r.Lo), rune(r.Hi), rune(r.Stride))
			}
		}
	})
}

func fillRange(c class, lo, hi, stride rune) {
	for r := lo; r <= hi && r < tableEnd; r += stride {
		classTable[r] = c
	}
}

func classify(r rune) class {
	if uint32(r) < tableEnd {
		return classTable[r]
	}
	for _, c := range classRanges {
		if unicode.Is(c.table, r) {
			return c.class
		}
	}
	return other
}

// decode reads the rune at s[i], i < len(s). A byte that is not UTF-8 is -1 of
// length 1.
func decode(s string, i int) (r rune, size int) {
	if c := s[i]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	r, size = utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && size == 1 {
		r = -1
	}
	return r, size
}

// classAt is the class of the rune at s[i] and its length.
func classAt(s string, i int) (c class, size int) {
	if i >= len(s) {
		return ending, 0
	}
	r, size := decode(s, i)
	if r < 0 {
		return other, size
	}
	return classify(r), size
}

// run is the end of the run of runes of the set that starts at s[i], i if none.
func run(s string, i int, in set) int {
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if !in.has(classTable[c]) {
				break
			}
			i++
			continue
		}
		k, size := classAt(s, i)
		if !in.has(k) {
			break
		}
		i += size
	}
	return i
}
