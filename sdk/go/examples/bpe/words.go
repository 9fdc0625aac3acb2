package main

import (
	"unicode"
	"unicode/utf8"
)

// pattern cuts text into words. The patterns are GPT-2's and its descendants':
//
//	contraction | prefix? letters | digits | ?symbols | blanks
//
// GPT-2's: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Llama 3's and Qwen 2's differ in the fields.
type pattern struct {
	fold     bool // contractions in any case
	prefix   bool // any character but newline, letter and digit may precede letters
	digits   int  // most digits of a number; 0: any, and a space may precede it
	newlines bool // newlines close symbols, and blanks end at them
}

var patterns = map[string]pattern{
	"gpt-2":     {},
	"llama-bpe": {fold: true, prefix: true, digits: 3, newlines: true},
	"qwen2":     {fold: true, prefix: true, digits: 1, newlines: true},
}

// Character classes.
const (
	other = iota
	letter
	digit
	blank
	end
)

// class is the class of the character at s[i], and its length.
func class(s []byte, i int) (int, int) {
	if i >= len(s) {
		return end, 0
	}
	if c := s[i]; c < utf8.RuneSelf {
		switch {
		case c|32 >= 'a' && c|32 <= 'z':
			return letter, 1
		case c >= '0' && c <= '9':
			return digit, 1
		case c == ' ' || c >= '\t' && c <= '\r':
			return blank, 1
		}
		return other, 1
	}
	r, n := utf8.DecodeRune(s[i:])
	switch {
	case r == utf8.RuneError && n == 1:
		return other, 1
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return digit, n
	case unicode.IsSpace(r):
		return blank, n
	}
	return other, n
}

// run is the end of the run of characters of a class at i, at most max of them.
func run(s []byte, i, want, max int) int {
	for ; max != 0; max-- {
		c, n := class(s, i)
		if c != want {
			break
		}
		i += n
	}
	return i
}

// next is the length of the word s begins with; s is not empty.
func (p pattern) next(s []byte) int {
	if n := p.contraction(s); n > 0 {
		return n
	}
	c, n := class(s, 0)
	if c == letter {
		return run(s, n, letter, -1)
	}
	if s[0] == ' ' || p.prefix && c != digit && s[0] != '\r' && s[0] != '\n' {
		if e := run(s, n, letter, -1); e > n {
			return e
		}
	}
	switch {
	case c == digit && p.digits > 0:
		return run(s, n, digit, p.digits-1)
	case c == digit:
		return run(s, n, digit, -1)
	case s[0] == ' ' && p.digits == 0:
		if e := run(s, 1, digit, -1); e > 1 {
			return e
		}
	}
	if e := p.symbols(s, c); e > 0 {
		return e
	}
	return p.blanks(s)
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd; 0 if none.
func (p pattern) contraction(s []byte) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	lower := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		if c := s[i]; p.fold && c >= 'A' && c <= 'Z' {
			return c | 32
		}
		return s[i]
	}
	switch a, b := lower(1), lower(2); {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 2
	case (a == 'r' || a == 'v') && b == 'e', a == 'l' && b == 'l':
		return 3
	case p.fold && len(s) > 2 && s[1] == 0xc5 && s[2] == 0xbf: // U+017F folds to s
		return 3
	}
	return 0
}

// symbols matches symbols with a space before and newlines behind; 0 if none.
func (p pattern) symbols(s []byte, c int) int {
	i := 0
	if s[0] == ' ' {
		i = 1
	} else if c != other {
		return 0
	}
	e := run(s, i, other, -1)
	if e == i {
		return 0
	}
	for p.newlines && e < len(s) && (s[e] == '\r' || s[e] == '\n') {
		e++
	}
	return e
}

// blanks matches white space: up to its last newline, or all but the last blank
// if something follows, or all of it.
func (p pattern) blanks(s []byte) int {
	e, newline, last := 0, 0, 0
	for {
		c, n := class(s, e)
		if c != blank {
			break
		}
		last = n
		if e += n; s[e-1] == '\r' || s[e-1] == '\n' {
			newline = e
		}
	}
	switch {
	case p.newlines && newline > 0:
		return newline
	case e < len(s) && e > last:
		return e - last
	}
	return e
}
