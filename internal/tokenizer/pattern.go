package tokenizer

import "strings"

// pattern is a member of the family of patterns that began with GPT-2's. At every
// place one of its alternatives matches, so it cuts a text without gaps. In order:
//
//	contraction
//	prefix? letters+ | with camel: prefix? upper* lower+ contraction? | prefix? upper+ lower* contraction?
//	prefix? \p{N}+   | with digits: \p{N}{1,digits}
//	 ?[^\s letters \p{N}]+ [tail]*
//	\s*[\r\n]+         with newlines
//	\s+(?!\S) | \s+
//
// Each is matched by hand, looking at every rune a bounded number of times.
type pattern struct {
	contractions contractions
	letters      set  // of a word, without camel
	camel        bool // words end where lower case goes over to upper case
	prefix       prefix
	digits       int    // longest number; 0: any, with a space before it
	tail         string // ASCII that may follow symbols
	newlines     bool
}

type contractions uint8

const (
	noContractions contractions = iota
	lowerCase                   // 's|'t|'re|'ve|'m|'ll|'d
	foldCase                    // the same in any case
	afterWord                   // in any case, only after letters
)

type prefix uint8

const (
	spacePrefix prefix = iota // a space
	anyPrefix                 // [^\r\n\p{L}\p{N}]
)

// next is the pattern as a stage; a match begins at every place.
func (p *pattern) next(s string, at int) (lo, hi int) {
	if at >= len(s) {
		return len(s), len(s)
	}
	return at, p.end(s, at)
}

// end is the end of the match that begins at s[at].
func (p *pattern) end(s string, at int) int {
	if s[at] == '\'' && p.contractions != afterWord {
		if n := p.contraction(s, at); n > 0 {
			return at + n
		}
	}
	c, size := classAt(s, at)
	if hi := p.word(s, at, c, size); hi > 0 {
		return hi
	}
	if hi := p.number(s, at, c); hi > 0 {
		return hi
	}
	if hi := p.symbols(s, at, c); hi > 0 {
		return hi
	}
	return spaces(s, at, p.newlines)
}

// contraction is the length of the contraction at s[at], 0 if there is none.
func (p *pattern) contraction(s string, at int) int {
	if p.contractions == noContractions || at+1 >= len(s) || s[at] != '\'' {
		return 0
	}
	fold := byte(0)
	if p.contractions != lowerCase {
		fold = 'a' - 'A'
		if strings.HasPrefix(s[at+1:], "ſ") { // folds to s
			return 1 + len("ſ")
		}
	}
	a, b := s[at+1]|fold, byte(0)
	if at+2 < len(s) {
		b = s[at+2] | fold
	}
	switch a {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if b == 'e' {
			return 3
		}
	case 'l':
		if b == 'l' {
			return 3
		}
	}
	return 0
}

// word matches letters with their prefix; 0: none.
func (p *pattern) word(s string, at int, c class, size int) int {
	isPrefix := s[at] == ' '
	if p.prefix == anyPrefix {
		isPrefix = !(inL | inN).has(c) && s[at] != '\r' && s[at] != '\n'
	}
	if p.camel {
		return p.camelWord(s, at, size, isPrefix)
	}
	if p.letters.has(c) {
		return run(s, at+size, p.letters)
	}
	if isPrefix {
		if hi := run(s, at+size, p.letters); hi > at+size {
			return hi
		}
	}
	return 0
}

// camelWord tries upper* lower+ behind the prefix, then without it, then upper+
// lower* in the same way.
func (p *pattern) camelWord(s string, at, size int, isPrefix bool) int {
	hi := 0
	if isPrefix {
		hi = upperLower(s, at+size)
	}
	if hi == 0 {
		hi = upperLower(s, at)
	}
	if hi == 0 && isPrefix {
		at += size
	}
	if hi == 0 {
		if hi = run(s, at, inUpper); hi == at {
			return 0
		}
	}
	if p.contractions == afterWord {
		hi += p.contraction(s, hi)
	}
	return hi
}

// upperLower matches upper* lower+ as a backtracking engine does: upper* takes
// all it can and gives back up to the last rune that lower+ accepts. 0: none.
func upperLower(s string, at int) int {
	both := 0 // end of the last rune that is of both sets
	i := at
	for {
		c, size := classAt(s, i)
		if !inUpper.has(c) {
			if inLower.has(c) {
				return run(s, i+size, inLower)
			}
			return both
		}
		i += size
		if inLower.has(c) {
			both = i
		}
	}
}

// number matches digits; 0: none.
func (p *pattern) number(s string, at int, c class) int {
	if p.digits == 0 {
		if s[at] == ' ' {
			if hi := run(s, at+1, inN); hi > at+1 {
				return hi
			}
		}
		if inN.has(c) {
			return run(s, at, inN)
		}
		return 0
	}
	n := 0
	for inN.has(c) && n < p.digits {
		_, size := classAt(s, at)
		at += size
		n++
		c, _ = classAt(s, at)
	}
	if n == 0 {
		return 0
	}
	return at
}

// symbols matches what is neither space nor letter nor number; 0: none.
func (p *pattern) symbols(s string, at int, c class) int {
	letters := p.letters
	if p.camel {
		letters = inL
	}
	in := every &^ (inW | inN | letters)
	lo := at
	if s[at] == ' ' {
		lo++
	} else if !in.has(c) {
		return 0
	}
	hi := run(s, lo, in)
	if hi == lo {
		return 0
	}
	for hi < len(s) && strings.IndexByte(p.tail, s[hi]) >= 0 {
		hi++
	}
	return hi
}

// spaces matches \s*[\r\n]+ if newlines is set, then \s+(?!\S), then \s+, of
// which one holds as s[at] is a space.
func spaces(s string, at int, newlines bool) int {
	i, last, line := at, at, at // last: start of the last rune, line: end of the last newline
	for {
		c, size := classAt(s, i)
		if c != space {
			break
		}
		last = i
		i += size
		if s[last] == '\n' || s[last] == '\r' {
			line = i
		}
	}
	if newlines && line > at {
		return line
	}
	if i == len(s) || last == at {
		return i
	}
	return last
}
