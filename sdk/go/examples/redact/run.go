package main

// sep is what is between two groups.
type sep byte

const (
	touch sep = iota
	space
	hyphen
	dot
	slash
)

const (
	maxGroups = 8
	maxDigits = 19
)

// group is a group of digits.
type group struct {
	from, to int
	sep      sep  // before the group
	paren    bool // it stands in parentheses
	close    int  // its end, the closing parenthesis included
}

func (g *group) len() int { return g.to - g.from }

// run is groups of digits with separators between, from start on. One group more than
// any match can have is there, if the text has it.
type run struct {
	start int
	plus  bool
	n     int
	g     [maxGroups]group
}

// separator is what is between groups at i, and its length: 0 for none, or more.
func (v *view) separator(i int) (sep, int) {
	switch v.text[i] {
	case ' ':
		return space, 1
	case '-':
		return hyphen, 1
	case '.':
		return dot, 1
	case '/':
		return slash, 1
	case 0xc2, 0xe2:
	default:
		return touch, 0
	}
	n := v.charAt(i)
	if n <= 0 {
		return touch, n
	}
	switch string(v.text[i : i+n]) {
	case "\u00a0", "\u2009", "\u202f":
		return space, n
	case "\u2010", "\u2011", "\u2012", "\u2013":
		return hyphen, n
	}
	return touch, 0
}

// read reads the run: 1, none if there is none, more.
func (r *run) read(v *view) int {
	i, total, before := r.start, 0, touch
	some := func() int { return min(r.n, 1) }
	for {
		var paren bool
		if i, paren = r.opening(v, i); i >= len(v.text) {
			return v.over(some())
		}
		apart := before != touch || r.n == 0 || paren || r.g[r.n-1].paren
		if !isDigit(v.text[i]) || !apart {
			return some()
		}
		switch r.readGroup(v, i, before, paren) {
		case more:
			return more
		case none:
			return some()
		}
		last := &r.g[r.n-1]
		if total += last.len(); r.enough(total) {
			return 1
		}
		if i = last.close; i >= len(v.text) {
			return v.over(1)
		}
		s, n := v.separator(i)
		if n == more {
			return more
		}
		before, i = s, i+n
	}
}

// opening is where the digits of the next group must be, past + and parenthesis.
func (r *run) opening(v *view, i int) (at int, paren bool) {
	is := func(c byte) bool { return i < len(v.text) && v.text[i] == c }
	if paren = is('(') && r.n <= 2; paren {
		i++
	}
	if r.n > 0 || !is('+') {
		return i, paren
	}
	r.plus = true
	i++
	if !paren && is('(') {
		paren = true
		i++
	}
	return i, paren
}

// readGroup reads the group of digits at i: 1, none if its parenthesis is not closed,
// more.
func (r *run) readGroup(v *view, i int, before sep, paren bool) int {
	end := i
	for v.digitAt(end) && end-i <= maxDigits {
		end++
	}
	if end >= len(v.text) && !v.last && end-i <= maxDigits {
		return more
	}
	closing := end
	if paren {
		if end >= len(v.text) || v.text[end] != ')' {
			return none
		}
		closing++
	}
	r.g[r.n] = group{i, end, before, paren, closing}
	r.n++
	return 1
}

// enough says whether the run is long enough to judge its first group: nothing has
// more groups, or two of one digit each.
func (r *run) enough(total int) bool {
	if total > maxDigits || r.n == maxGroups {
		return true
	}
	one := func(g *group) bool { return g.len() == 1 && !g.paren }
	return r.n > 1 && !r.plus && one(&r.g[r.n-1]) && one(&r.g[r.n-2])
}

func (r *run) digits() (n int) {
	for k := range r.n {
		n += r.g[k].len()
	}
	return n
}

// value is that of a group's first six digits.
func (r *run) value(v *view, k int) (x int) {
	g := &r.g[k]
	for _, c := range v.text[g.from:min(g.to, g.from+6)] {
		x = x*10 + int(c-'0')
	}
	return x
}

// digit is the i-th of a group.
func (r *run) digit(v *view, k, i int) byte { return v.text[r.g[k].from+i] }

func (r *run) sameSeparators(h int) bool {
	for k := 2; k <= h; k++ {
		if r.g[k].sep != r.g[1].sep {
			return false
		}
	}
	return true
}

// shape is the lengths of groups 0 to h, each in four bits, the first on the left.
func (r *run) shape(h int) (s uint64) {
	for k := range h + 1 {
		s = s<<4 | uint64(min(r.g[k].len(), 15))
	}
	return s
}
