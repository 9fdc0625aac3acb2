package chat

import (
	"fmt"
	"strings"
)

// The engine that runs templates knows no limits. check refuses what would
// exhaust its parser's stack; meter adds a call of sw_step to every macro and
// loop body, so that a rendering can be stopped by a budget. What they cannot
// bound is how large a single value becomes (a string that is repeated or doubled)
// and the printing of a value that contains itself: both end the process.

// stepName is the callable that counts the steps of a rendering.
const stepName = "sw_step"

// check refuses templates that are too large or nested too deep, or that go round
// the meter: by another meaning of its name, or by calls in a macro's defaults,
// which are evaluated before its body.
func check(source string) error {
	if len(source) > maxSource {
		return fmt.Errorf("%d bytes long, at most %d", len(source), maxSource)
	}
	if i := strings.Index(source, stepName); i >= 0 {
		return fmt.Errorf("offset %d: the name %s is reserved", i, stepName)
	}
	open := 0
	for _, t := range tags(source) {
		switch w := t.word; {
		case w == "macro" && strings.Count(source[t.start:t.end], "(") > 1:
			return fmt.Errorf("offset %d: a call in the parameters of a macro", t.start)
		case t.deep:
			return fmt.Errorf("offset %d: brackets nested deeper than %d", t.start, maxNesting)
		case strings.HasPrefix(w, "end"):
			open--
		case w == "if" || w == "for" || w == "macro" || w == "call" || w == "filter":
			open++
		}
		if open > maxNesting {
			return fmt.Errorf("offset %d: blocks nested deeper than %d", t.start, maxNesting)
		}
	}
	return nil
}

// meter returns source with {% set sw_steps = sw_step() %} at the head of every
// macro and loop body. The added tag ends as the one before it ("-%}" or "%}"), so that
// white space is trimmed as it was.
func meter(source string) string {
	var b strings.Builder
	from := 0
	for _, t := range tags(source) {
		if t.word != "for" && t.word != "macro" {
			continue
		}
		end := "%}"
		if c := source[t.end-3]; c == '-' || c == '+' {
			end = string(c) + end
		}
		b.WriteString(source[from:t.end])
		b.WriteString("{% set sw_steps = " + stepName + "() " + end)
		from = t.end
	}
	b.WriteString(source[from:])
	return b.String()
}

// tag is a closed {% %} or {{ }}.
type tag struct {
	word       string // the first word of a {% %}, "" for {{ }}
	start, end int    // source[start:end] is the tag
	deep       bool   // it nests brackets too deep
}

// tags finds the code of a template, leaving out text, comments and raw blocks.
func tags(source string) (list []tag) {
	for i := 0; i+1 < len(source); {
		switch source[i : i+2] {
		case "{#":
			end := strings.Index(source[i+2:], "#}")
			if end < 0 {
				return list
			}
			i += end + 4
		case "{%", "{{":
			t, ok := scanTag(source, i)
			if !ok {
				return append(list, tag{start: i, end: len(source), deep: t.deep})
			}
			list = append(list, t)
			if i = t.end; t.word == "raw" {
				i = rawEnd(source, i)
			}
		default:
			i++
		}
	}
	return list
}

// scanTag reads the tag that begins at source[start]; ok is false if it does not
// end.
func scanTag(source string, start int) (t tag, ok bool) {
	statement := source[start+1] == '%'
	t.start = start
	depth := 0
	for i := start + 2; i < len(source); i++ {
		switch ch := source[i]; {
		case ch == '\'' || ch == '"':
			i = stringEnd(source, i)
		case strings.HasPrefix(source[i:], "%}") && statement, strings.HasPrefix(source[i:], "}}") && !statement && depth == 0:
			t.end = i + 2
			return t, true
		case ch == '(' || ch == '[' || ch == '{':
			depth++
			t.deep = t.deep || depth > maxNesting
		case ch == ')' || ch == ']' || ch == '}':
			depth--
		case statement && t.word == "" && wordByte(ch):
			end := i
			for end < len(source) && wordByte(source[end]) {
				end++
			}
			t.word = source[i:end]
			i = end - 1
		}
	}
	return t, false
}

func rawEnd(source string, i int) int {
	for j := i; ; {
		k := strings.Index(source[j:], "{%")
		if k < 0 {
			return len(source)
		}
		t, ok := scanTag(source, j+k)
		if !ok {
			return len(source)
		}
		if t.word == "endraw" {
			return t.end
		}
		j = t.start + 2
	}
}

func wordByte(ch byte) bool {
	return ch == '_' || ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= 0x80
}

// stringEnd is the index of the quote that ends the string begun at i.
func stringEnd(source string, i int) int {
	quote := source[i]
	for i++; i < len(source) && source[i] != quote; i++ {
		if source[i] == '\\' {
			i++
		}
	}
	return i
}
