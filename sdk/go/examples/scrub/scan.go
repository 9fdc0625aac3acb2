package main

// kind is what a piece of text is.
type kind byte

const (
	plain kind = iota
	email
	phone
	card
	ssn
	kinds
)

// segment is a piece of text that was judged.
type segment struct {
	n    int // bytes
	kind kind
}

// Lengths that bound how far ahead the machine looks, and so what is held back.
const (
	maxWord   = 254 // an e-mail's local part; longer words are none
	maxDomain = 253
	maxNumber = 64 // characters of a run of digits and separators
	holdMax   = maxNumber + maxWord + 1 + maxDomain + 1
)

// machine judges a text from left to right. A decision depends on what has been
// judged and on at most holdMax bytes ahead, so that the outcome is the same
// however the text is cut. Its state is all there is to know about the past.
type machine struct {
	skip byte // 'w' or 'n' inside a word or number too long to judge
}

// step judges the beginning of text and appends what it found to segs. It
// judges nothing if that takes more text than there is, unless end is set.
func (m *machine) step(segs []segment, text []byte, end bool) []segment {
	c := text[0]
	switch {
	case m.skip == 'w' && isWord(c), m.skip == 'n' && isNumber(c):
		return append(segs, segment{1, plain})
	}
	m.skip = 0
	switch {
	case isWord(c):
		return m.word(segs, text, end)
	case c == '(' && len(text) < 2 && !end:
		return segs
	case c == '(' && len(text) > 1 && (isDigit(text[1]) || text[1] == '+'):
		return m.number(segs, text, end)
	}
	return append(segs, segment{1, plain})
}

// run is the length of the longest prefix of text, at most max+1, whose bytes
// are all in a class. open says that more text could make it longer.
func run(text []byte, max int, in func(byte) bool, end bool) (n int, open bool) {
	for n < len(text) && n <= max && in(text[n]) {
		n++
	}
	return n, n == len(text) && n <= max && !end
}

// word judges text that begins with a word: an e-mail address, a number or
// neither.
func (m *machine) word(segs []segment, text []byte, end bool) []segment {
	n, open := run(text, maxWord, isWord, end)
	switch {
	case open:
		return segs
	case n > maxWord:
		m.skip = 'w'
		return append(segs, segment{1, plain})
	case n < len(text) && text[n] == '@':
		d, open := run(text[n+1:], maxDomain, isDomain, end)
		if open {
			return segs
		}
		if d = domain(text[n+1 : n+1+min(d, maxDomain)]); d > 0 {
			return append(segs, segment{n + 1 + d, email})
		}
	}
	if isDigit(text[0]) || text[0] == '+' && n > 1 && isDigit(text[1]) {
		return m.number(segs, text, end)
	}
	return append(segs, segment{n, plain})
}

// domain is the length of the host name that s begins with, 0 if there is none:
// labels joined by dots, the last of at least two letters.
func domain(s []byte) int {
	n := len(s)
	for n > 0 && !isAlnum(s[n-1]) {
		n--
	}
	letters, dot := 0, false
	for i := n - 1; i >= 0 && !dot; i-- {
		switch {
		case s[i] == '.':
			dot = true
		case isLetter(s[i]):
			letters++
		default:
			return 0
		}
	}
	if !dot || letters < 2 || !isAlnum(s[0]) {
		return 0
	}
	return n
}

// number judges a run of digits and separators as a whole.
func (m *machine) number(segs []segment, text []byte, end bool) []segment {
	n := 1
	more, open := run(text[1:], maxNumber, isNumber, end)
	switch n += more; {
	case open:
		return segs
	case n > maxNumber:
		m.skip = 'n'
		return append(segs, segment{1, plain})
	}
	if n < len(text) && (isWord(text[n]) || text[n] == '@') {
		cut, open := tail(text, n, end)
		if open {
			return segs
		}
		n = cut
	}
	street := false // a capitalised word follows, as in 3747 3911 Main Street
	if n < len(text) && text[n-1] == ' ' && isUpper(text[n]) {
		if n+1 == len(text) && !end {
			return segs
		}
		street = n+1 < len(text) && isLetter(text[n+1]) && !isUpper(text[n+1])
	}
	for n > 1 && !isDigit(text[n-1]) {
		n--
	}
	return judge(segs, text[:n], street)
}

// tail handles a run of n bytes that goes over into a word: if the word is an
// e-mail address's, the run ends before it; a last group of digits that touches
// a letter is not part of the number either.
func tail(text []byte, n int, end bool) (cut int, open bool) {
	start := n
	for start > 0 && isWord(text[start-1]) {
		start--
	}
	w, open := run(text[start:], maxWord, isWord, end)
	switch at := start + w; {
	case open:
		return 0, true
	case start > 0 && at < len(text) && text[at] == '@':
		return start, false
	}
	for n > 1 && isDigit(text[n-1]) && isWord(text[n]) {
		for n > 1 && isDigit(text[n-1]) {
			n--
		}
	}
	if n == 1 && isDigit(text[0]) { // a word like 4th
		n, _ = run(text, maxWord, isWord, true)
	}
	return n, false
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|32 >= 'a' && c|32 <= 'z' }
func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }

// isWord says whether c can stand in the local part of an e-mail address.
func isWord(c byte) bool {
	return isAlnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'
}

func isDomain(c byte) bool { return isAlnum(c) || c == '.' || c == '-' }

func isNumber(c byte) bool {
	return isDigit(c) || c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'
}
