package tokenizer

// each matches up to most runes of the set at a time.
func each(in set, most int) stage {
	return func(s string, at int) (lo, hi int) {
		lo = skip(s, at, in)
		hi = lo
		for range most {
			c, size := classAt(s, hi)
			if !in.has(c) {
				break
			}
			hi += size
		}
		return lo, hi
	}
}

// eachByte matches single bytes of ASCII.
func eachByte(a, b byte) stage {
	return func(s string, at int) (lo, hi int) {
		for i := at; i < len(s); i++ {
			if s[i] == a || s[i] == b {
				return i, i + 1
			}
		}
		return len(s), len(s)
	}
}

// skip is the start of the first rune of the set at or after s[i], len(s) if none.
func skip(s string, i int, in set) int { return run(s, i, every&^in) }

// runs matches runs of the runes that in accepts; -1 is a byte that is not UTF-8.
func runs(in func(rune) bool) stage {
	return func(s string, at int) (lo, hi int) {
		for lo = at; lo < len(s); {
			r, size := decode(s, lo)
			if in(r) {
				return lo, runOf(s, lo+size, in)
			}
			lo += size
		}
		return len(s), len(s)
	}
}

func runOf(s string, i int, in func(rune) bool) int {
	for i < len(s) {
		r, size := decode(s, i)
		if !in(r) {
			break
		}
		i += size
	}
	return i
}

// spacedRuns matches \s?x+ for the runes x that in accepts.
func spacedRuns(in func(rune) bool) stage {
	return func(s string, at int) (lo, hi int) {
		for lo = at; lo < len(s); {
			r, size := decode(s, lo)
			if in(r) {
				return lo, runOf(s, lo+size, in)
			}
			if isSpace(r) {
				if hi = runOf(s, lo+size, in); hi > lo+size {
					return lo, hi
				}
			}
			lo += size
		}
		return len(s), len(s)
	}
}

// lastSpaces matches \s+$.
func lastSpaces(s string, at int) (lo, hi int) {
	for lo = at; lo < len(s); {
		lo = skip(s, lo, inW)
		hi = run(s, lo, inW)
		if hi == len(s) {
			return lo, hi
		}
		lo = hi
	}
	return len(s), len(s)
}

// asciiTriple matches [0-9][0-9][0-9].
func asciiTriple(s string, at int) (lo, hi int) {
	n := 0
	for i := at; i < len(s); i++ {
		if n++; s[i] < '0' || s[i] > '9' {
			n = 0
		}
		if n == 3 {
			return i - 2, i + 1
		}
	}
	return len(s), len(s)
}

func classOf(r rune) class {
	if r < 0 {
		return other
	}
	return classify(r)
}

func isSpace(r rune) bool  { return classOf(r) == space }
func isLetter(r rune) bool { return inL.has(classOf(r)) }
func isPunct(r rune) bool  { return classOf(r) == punct }
func isNumber(r rune) bool { return classOf(r) == number }

// isDefaultPunct is [\p{P}\$\+<=>\^~\|].
func isDefaultPunct(r rune) bool {
	switch r {
	case '$', '+', '<', '=', '>', '^', '~', '|':
		return true
	}
	return isPunct(r)
}

// isFalconPunct is [\p{P}\$\+<=>\^~\|`].
func isFalconPunct(r rune) bool { return r == '`' || isDefaultPunct(r) }
