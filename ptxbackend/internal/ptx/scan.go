package ptx

import (
	"fmt"
	"strings"
)

// token is a word of PTX text. Its kind is 'w' for a word (a name with its dots,
// colons and leading % or ., "ld.global.L1::no_allocate.f32"), 'n' for what begins
// with a digit, 0 for the end of the text, otherwise the character it is.
type token struct {
	kind byte
	text string
	pos  int
}

// scanner cuts PTX text into tokens. The first mistake stays in err and ends the
// text, so that whoever reads it needs to look at err only when done.
type scanner struct {
	name string
	text string
	pos  int
	tok  token // the one to be looked at
	err  error

	lineAt, line int // line is the number of the line that position lineAt is in
}

func newScanner(name, text string) *scanner {
	s := &scanner{name: name, text: text, line: 1}
	s.next()
	return s
}

// failf notes a mistake at position pos, unless there was one before.
func (s *scanner) failf(pos int, format string, args ...any) {
	if s.err == nil {
		line := s.lineOf(pos)
		col := pos - strings.LastIndexByte(s.text[:pos], '\n')
		s.err = fmt.Errorf("ptx: %s:%d:%d: %s", s.name, line, col, fmt.Sprintf(format, args...))
	}
	s.pos, s.tok = len(s.text), token{pos: len(s.text)}
}

// lineOf is the line of a position not before the one asked for last.
func (s *scanner) lineOf(pos int) int {
	if pos < s.lineAt {
		s.lineAt, s.line = 0, 1
	}
	s.line += strings.Count(s.text[s.lineAt:pos], "\n")
	s.lineAt = pos
	return s.line
}

func (t token) String() string {
	switch {
	case t.kind == 0:
		return "the end of the text"
	case len(t.text) > 40:
		return fmt.Sprintf("%q...", t.text[:40])
	}
	return fmt.Sprintf("%q", t.text)
}

// next steps to the next token.
func (s *scanner) next() {
	s.skipSpace()
	if s.pos >= len(s.text) {
		s.tok = token{pos: len(s.text)}
		return
	}
	start := s.pos
	c := s.text[s.pos]
	kind := c
	switch {
	case isDigit(c):
		kind = 'n'
		s.scanNumber()
	case isLetter(c) || c == '%' || c == '.':
		kind = 'w'
		s.scanWord()
	case strings.IndexByte("{}[]()<>,;:+-!=@|", c) >= 0:
		s.pos++
	default:
		s.failf(start, "unexpected character %q", rune(c))
		return
	}
	s.tok = token{kind: kind, text: s.text[start:s.pos], pos: start}
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			s.pos++
		case strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				s.pos += n
			} else {
				s.pos = len(s.text)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				s.failf(s.pos, "a comment begins here and does not end")
				return
			}
			s.pos += n + 4
		default:
			return
		}
	}
}

// scanNumber takes what can belong to a number; its form is checked by its reader.
func (s *scanner) scanNumber() {
	start := s.pos
	decimal := len(s.text) < start+2 || s.text[start] != '0' || !isLetter(s.text[start+1])
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		sign := (c == '+' || c == '-') && decimal && s.pos > start && (s.text[s.pos-1]|0x20) == 'e'
		if !isLetter(c) && !isDigit(c) && c != '.' && !sign {
			return
		}
		s.pos++
	}
}

// scanWord takes letters, digits, dots and double colons between them.
func (s *scanner) scanWord() {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		if isLetter(c) || isDigit(c) || c == '.' {
			continue
		}
		if c == ':' && s.pos+2 < len(s.text) && s.text[s.pos+1] == ':' && (isLetter(s.text[s.pos+2]) || isDigit(s.text[s.pos+2])) {
			s.pos++
			continue
		}
		return
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$'
}

// accept steps over a character if it is next.
func (s *scanner) accept(kind byte) bool {
	if s.tok.kind != kind {
		return false
	}
	s.next()
	return true
}

// acceptWord steps over a word if it is next.
func (s *scanner) acceptWord(w string) bool {
	if s.tok.kind != 'w' || s.tok.text != w {
		return false
	}
	s.next()
	return true
}

// expect steps over a character that has to come now, in what the message names.
func (s *scanner) expect(kind byte, in string) {
	if !s.accept(kind) {
		s.failf(s.tok.pos, "expected %q in %s, not %v", rune(kind), in, s.tok)
	}
}

// ident returns the name that has to come now.
func (s *scanner) ident(what string) string {
	t := s.tok
	if t.kind != 'w' || strings.ContainsAny(t.text, ".:") {
		s.failf(t.pos, "expected %s, not %v", what, t)
		return ""
	}
	s.next()
	return t.text
}
