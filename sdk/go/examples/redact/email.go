package main

const (
	localMax  = 64
	domainMax = 253
)

// localStart is where the local part before end begins: the last localMax bytes of
// letters, digits and marks, whole characters, not beginning with a mark.
func (v *view) localStart(end int) int {
	i := end
	for i > v.floor && end-i < localMax {
		c := v.text[i-1]
		if isWord(c) || isMark(c) {
			i--
		} else if i-1 > v.floor && end-i+2 <= localMax && isLetter2(v.text[i-2], c) {
			i -= 2
		} else {
			break
		}
	}
	for i < end && isMark(v.text[i]) {
		i++
	}
	return i
}

// domainEnd is the end of the domain that begins at from. It has two labels or more,
// and the last is not a number: two letters at least.
func (v *view) domainEnd(from int) int {
	good, i, label, letters := none, from, from, 0
	for {
		over := i-from >= domainMax
		if i >= len(v.text) && !v.last && !over {
			return more
		}
		var c byte
		if !over && i < len(v.text) {
			c = v.text[i]
		}
		switch {
		case isDigit(c), c == '-' && i > label:
			i++
			continue
		case isLetter(c):
			letters++
			i++
			continue
		case c >= 0xc3 && c <= 0xdf:
			if i+1 >= len(v.text) && !v.last {
				return more
			}
			if i+1 < len(v.text) && isLetter2(c, v.text[i+1]) {
				letters += 2
				i += 2
				continue
			}
		}
		end := i
		for end > label && v.text[end-1] == '-' {
			end--
		}
		if label > from && letters >= 2 {
			good = end
		}
		if c != '.' || i == label {
			return good
		}
		i++
		label, letters = i, 0
	}
}

// emailAt is where the address starts and ends whose @ is at i.
func (v *view) emailAt(i int) (start, end int) {
	if start = v.localStart(i); start == i {
		return start, none
	}
	return start, v.domainEnd(i + 1)
}
