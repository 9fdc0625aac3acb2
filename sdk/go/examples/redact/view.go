package main

import "unicode/utf8"

// Results of matchers; a match is its end.
const (
	none = 0
	more = -1
)

const context = 48

// past is the last bytes that were judged, for a decision may look back at them.
type past struct {
	n    int
	text [context]byte
}

// remember keeps the last bytes of what is settled.
func (b *past) remember(p []byte) {
	if len(p) >= context {
		b.n = copy(b.text[:], p[len(p)-context:])
		return
	}
	keep := min(b.n, context-len(p))
	copy(b.text[:], b.text[b.n-keep:b.n])
	b.n = keep + copy(b.text[keep:], p)
}

// view is the text of a call, what came before it, and how far it is settled.
type view struct {
	text   []byte
	last   bool // nothing follows
	floor  int  // matches begin here or later
	before *past
}

func isDigit(c byte) bool  { return c-'0' < 10 }
func isLetter(c byte) bool { return c|32-'a' < 26 }
func isWord(c byte) bool   { return isDigit(c) || isLetter(c) || c == '_' }

// isMark: punctuation inside of local parts.
func isMark(c byte) bool {
	return c == '.' || c == '-' || c == '+' || c == '%' || c == '\'' || c == '~'
}

// isLetter2 says whether two bytes are a letter that addresses may hold: U+00C0 to
// U+07FF, that is Latin, Greek, Cyrillic, Hebrew and Arabic, less the signs for times
// and divided.
func isLetter2(a, b byte) bool {
	return a >= 0xc3 && a <= 0xdf && b&0xc0 == 0x80 && (a != 0xc3 || b != 0x97 && b != 0xb7)
}

// charLen is the length of the character p begins with (len(p) > 0), 0 if it is none,
// more if more bytes are needed to tell.
func charLen(p []byte) int {
	if !utf8.FullRune(p) {
		return more
	}
	if r, n := utf8.DecodeRune(p); r != utf8.RuneError || n > 1 {
		return n
	}
	return 0
}

// whole is the length of text less a character at its end of which bytes are still to
// come.
func whole(text []byte) int {
	n := len(text)
	for back := 1; back <= min(3, n); back++ {
		if text[n-back]&0xc0 != 0x80 { // the start of the last character
			if charLen(text[n-back:]) == more {
				return n - back
			}
			return n
		}
	}
	return n
}

// at is the byte at i >= -context; 0 before the text's start.
func (v *view) at(i int) byte {
	if i >= 0 {
		return v.text[i]
	}
	if i += v.before.n; i >= 0 {
		return v.before.text[i]
	}
	return 0
}

func (v *view) digitAt(i int) bool { return i < len(v.text) && isDigit(v.text[i]) }

// charAt is charLen of the text at i; nothing more comes if the text is at its end.
func (v *view) charAt(i int) int {
	n := charLen(v.text[i:])
	if n == more && v.last {
		return 0
	}
	return n
}

// over is yes at the end of the whole text, more where the call's text ends.
func (v *view) over(yes int) int {
	if v.last {
		return yes
	}
	return more
}

// nextPlace is the next place from i on where something may begin: @ + ( digits, not
// ASCII.
func (v *view) nextPlace(i int) int {
	for ; i < len(v.text); i++ {
		if c := v.text[i]; c >= 0x80 || isDigit(c) || c == '@' || c == '+' || c == '(' {
			break
		}
	}
	return i
}

// What the character before a run allows: a card number, a phone number, one of digits
// without separators.
const (
	mayCard = 1 << iota
	mayPhone
	mayPlain
	may = mayCard | mayPhone | mayPlain
)

func (v *view) allowedBefore(i int) int {
	a, b := v.at(i-1), v.at(i-2)
	unless := func(no bool, otherwise int) int {
		if no {
			return 0
		}
		return otherwise
	}
	switch {
	case a >= 0x80:
		money := b == 0xc2 && (a == 0xa3 || a == 0xa5) || v.at(i-3) == 0xe2 && b == 0x82
		return unless(isLetter2(b, a) || money, may)
	case isWord(a), a == '$':
		return 0
	case a == '.', a == ':':
		return unless(isDigit(b), may)
	case a == ',' && isDigit(b):
		return mayCard | mayPhone
	case a == '-', a == '+':
		return unless(isWord(b), may)
	case a == '(' && isWord(b):
		return mayCard
	case a == '/', a == '\\', a == '#', a == '`':
		return unless(isWord(b), mayCard)
	}
	return may
}

// allowedAfter says whether a number may end at i: 1, none, more. A plain one is not
// followed by decimals.
func (v *view) allowedAfter(i int, plain bool) int {
	if i >= len(v.text) {
		return v.over(1)
	}
	c := v.text[i]
	switch {
	case isWord(c), c == '@', c == '%':
		return none
	case c == ',' && plain, c == ':', c == '.':
		if i+1 >= len(v.text) {
			return v.over(1)
		}
		if isDigit(v.text[i+1]) {
			return none
		}
		return 1
	case c < 0x80:
		return 1
	}
	switch n := v.charAt(i); {
	case n == more:
		return more
	case n == 2:
		if b := v.text[i+1]; isLetter2(c, b) || c == 0xc2 && b != 0xa0 && b != 0xbb {
			return none // a letter, a unit, money
		}
	case n == 3 && c == 0xe2 && v.text[i+1] == 0x82:
		return none
	}
	return 1
}
