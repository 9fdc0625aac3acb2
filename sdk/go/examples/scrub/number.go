package main

// group is a group of digits in a number; sep is what stands before it.
type group struct {
	start, end int
	sep        string
}

// seps are what may stand between the groups of one number.
var seps = []string{" ", "-", ".", "/", ")", ") ", ")-", " (", "(", "-("}

// judge appends the segments of a run of digits and separators, which begins
// with a digit, '+' or '(' and ends with a digit, or is a single character.
// street says that a street's name may follow.
func judge(segs []segment, run []byte, street bool) []segment {
	var all [maxNumber + 1]group
	groups := all[:0]
	for i := 0; i < len(run); {
		from := i
		for i < len(run) && !isDigit(run[i]) {
			i++
		}
		if i == len(run) {
			break
		}
		g := group{start: i, sep: string(run[from:i])}
		for i < len(run) && isDigit(run[i]) {
			i++
		}
		g.end = i
		groups = append(groups, g)
	}
	at := 0
	emit := func(to int, k kind) {
		if to > at {
			segs = append(segs, segment{to - at, k})
			at = to
		}
	}
	for len(groups) > 0 {
		n := 1
		for n < len(groups) && joins(groups[n].sep) {
			n++
		}
		for _, p := range pieces(run, groups[:n]) {
			if street && p.short && p.end == len(run) {
				continue
			}
			emit(p.start, plain)
			emit(p.end, p.kind)
		}
		groups = groups[n:]
	}
	emit(len(run), plain)
	return segs
}

func joins(sep string) bool {
	for _, s := range seps {
		if s == sep {
			return true
		}
	}
	return false
}

// piece is a number found in a run.
type piece struct {
	start, end int
	kind       kind
	short      bool // two groups and a space, which could be anything
}

// pieces finds the numbers in groups that belong together: all of them are one,
// or else each stretch between spaces is looked at for itself.
func pieces(run []byte, groups []group) (found []piece) {
	if p, ok := whole(run, groups); ok {
		return []piece{p}
	}
	for len(groups) > 0 {
		n := 1
		for n < len(groups) && groups[n].sep != " " {
			n++
		}
		if p, ok := whole(run, groups[:n]); ok {
			found = append(found, p)
		}
		groups = groups[n:]
	}
	return found
}

// whole judges groups as one number.
func whole(run []byte, groups []group) (piece, bool) {
	first, last := groups[0], groups[len(groups)-1]
	p := piece{start: first.start, end: last.end}
	var digits []byte
	for _, g := range groups {
		digits = append(digits, run[g.start:g.end]...)
	}
	for p.start > 0 && (run[p.start-1] == '+' || run[p.start-1] == '(') {
		p.start-- // of the number: +44 or (0123
	}
	plus := p.start < first.start && run[first.start-1] == '+'
	switch {
	case !plus && isCard(digits, groups):
		p.kind = card
	case isSSN(groups):
		p.kind = ssn
	case isPhone(run, digits, groups, plus):
		p.kind = phone
	}
	p.short = len(groups) == 2 && groups[1].sep == " " && p.start == first.start
	return p, p.kind != plain
}

// isCard checks length, grouping and the Luhn digit (ISO/IEC 7812-1).
func isCard(digits []byte, groups []group) bool {
	if len(digits) < 12 || len(digits) > 19 || !cardGroups(groups) {
		return false
	}
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// cardGroups accepts one group, fours, 4-6-5 and 4-6-4, by spaces or dashes.
func cardGroups(groups []group) bool {
	if len(groups) == 1 {
		return true
	}
	for i, g := range groups {
		if i > 0 && (g.sep != groups[1].sep || g.sep != " " && g.sep != "-") {
			return false
		}
	}
	if len(groups) == 3 && groups[1].len() == 6 {
		return groups[0].len() == 4 && (groups[2].len() == 4 || groups[2].len() == 5)
	}
	for _, g := range groups[:len(groups)-1] {
		if g.len() != 4 {
			return false
		}
	}
	return groups[len(groups)-1].len() <= 4
}

func (g group) len() int { return g.end - g.start }

// isSSN: 123-45-6789.
func isSSN(g []group) bool {
	return len(g) == 3 && g[1].sep == "-" && g[2].sep == "-" && g[0].len() == 3 && g[1].len() == 2 && g[2].len() == 4
}

// isPhone accepts 7 to 15 digits (ITU-T E.164) in groups as people write them,
// and refuses dates, IPv4 addresses, ZIP+4 codes and decimal numbers.
func isPhone(run, digits []byte, groups []group, plus bool) bool {
	n, d := len(groups), len(digits)
	paren := groups[0].start > 0 && run[groups[0].start-1] == '(' || n > 1 && groups[1].sep[0] == ')'
	switch {
	case d < 7 || d > 15 || n > 7:
		return false
	case plus:
		return d >= 8
	case n == 1:
		return d == 10 || d == 11 || d <= 14 && d > 9 && digits[0] == '0' && digits[1] == '0'
	case paren:
		return true
	}
	ones, slashes, dots := 0, 0, 0
	for i, g := range groups {
		if g.len() == 1 {
			ones++
		}
		if g.len() > 8 {
			return false
		}
		if i > 0 && g.sep == "/" {
			slashes++
		}
		if i > 0 && g.sep == "." {
			dots++
		}
	}
	a, b := groups[0].len(), groups[1].len()
	switch {
	case ones > 1 || isDate(run, groups) || dots == 3 && n == 4 && isIP(run, groups):
		return false
	case slashes > 0:
		return slashes == 1 && n == 2 && a >= 2 && a <= 5 && b >= 5
	case dots > 0 && n < 3:
		return false
	case n == 2 && groups[1].sep == "-" && a == 5 && b == 4: // ZIP+4
		return false
	case d == 7:
		return n == 2 && a == 3 && b == 4
	}
	return true
}

// isDate: year first, a time perhaps behind it, or year last, or two years.
func isDate(run []byte, g []group) bool {
	switch {
	case len(g) >= 3 && year(run, g[0]):
		return g[1].len() <= 2 && g[2].len() <= 2
	case len(g) == 3 && year(run, g[2]):
		return g[0].len() <= 2 && g[1].len() <= 2
	case len(g) == 2:
		return year(run, g[0]) && year(run, g[1])
	}
	return false
}

func year(run []byte, g group) bool {
	return g.len() == 4 && (run[g.start] == '1' && run[g.start+1] == '9' || run[g.start] == '2' && run[g.start+1] == '0')
}

func isIP(run []byte, groups []group) bool {
	for _, g := range groups {
		v := 0
		for _, c := range run[g.start:g.end] {
			v = v*10 + int(c-'0')
		}
		if g.len() > 3 || v > 255 {
			return false
		}
	}
	return true
}
