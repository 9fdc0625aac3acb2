package main

func isYear(x int) bool { return x >= 1800 && x <= 2100 }

// isAddress says whether groups 0 to 3 are an IP address.
func (r *run) isAddress(v *view) bool {
	if r.g[1].sep != dot || !r.sameSeparators(3) || r.n > 4 && r.g[4].sep == dot {
		return false
	}
	for k := range 4 {
		if r.g[k].len() > 3 || r.value(v, k) > 255 {
			return false
		}
	}
	return true
}

// notPhone says whether the run begins with a date, an IP address or a span of years.
func (r *run) notPhone(v *view) bool {
	if r.plus || r.n < 2 {
		return false
	}
	a, b, c := r.value(v, 0), r.value(v, 1), 0
	if r.n > 2 {
		c = r.value(v, 2)
	}
	first, second, third, s := r.g[0].len(), r.g[1].len(), r.g[2].len(), r.g[1].sep
	switch {
	case first == 4 && second == 4 && isYear(a) && isYear(b):
		return true
	case r.n < 3 || s != r.g[2].sep || s == space || s == touch || second > 2:
	case first == 4 && third <= 2:
		return isYear(a) && b <= 12 && c <= 31
	case third == 4 && first <= 2:
		return isYear(c) && a <= 31 && b <= 31
	}
	return r.n > 3 && r.isAddress(v)
}

// sizes says whether all groups from..h have at least two digits and at most most.
func (r *run) sizes(from, h, most int) bool {
	for k := from; k <= h; k++ {
		if r.g[k].len() < 2 || r.g[k].len() > most {
			return false
		}
	}
	return true
}

// international says whether groups 0 to h with n digits are an international number
// after + or 00 (ITU-T E.164: at most 15 digits).
func (r *run) international(v *view, h, n int) bool {
	first, size := r.digit(v, 0, 0), r.g[0].len()
	if r.plus {
		if first == '0' || n < 8 || n > 15 || h > 0 && r.g[h].len() < 2 {
			return false
		}
		return first != '1' || n == 11
	}
	if first != '0' || size < 2 || r.digit(v, 0, 1) != '0' || h == 0 || n < 10 || n > 17 || r.g[h].len() < 2 {
		return false
	}
	if size > 2 {
		return r.digit(v, 0, 2) != '0' && size <= 5
	}
	return r.g[1].len() <= 3 && r.digit(v, 1, 0) != '0' && h < 6 && !r.sizes(0, h, 2)
}

// northAmerican: area code, exchange, line, with or without 1 in front. Points do not
// mix with hyphens.
func (r *run) northAmerican(v *view, h int) bool {
	area := 0
	switch s := r.shape(h); {
	case s == 0x334:
	case s == 0x1334 && r.digit(v, 0, 0) == '1':
		area = 1
	default:
		return false
	}
	return r.digit(v, area, 0) >= '2' && (r.g[h].sep == dot) == (r.g[h-1].sep == dot)
}

// national: area code in parentheses, or with the trunk prefix 0.
func (r *run) national(v *view, h, n int) bool {
	first := &r.g[0]
	trunk := r.digit(v, 0, 0) == '0' && first.len() >= 2 && r.digit(v, 0, 1) != '0'
	longest, area := 8, 3
	if h == 0 {
		longest = 11
	}
	if trunk {
		area = 5
	}
	if !r.sizes(0, h, longest) || h > 0 && r.g[h].paren {
		return false
	}
	if h == 0 {
		return trunk && (n == 10 || n == 11) && string(v.text[first.from:first.from+10]) != "0123456789"
	}
	if first.paren {
		years := h == 2 && isYear(r.value(v, 1)) && isYear(r.value(v, 2))
		return n >= 8 && n <= 12 && first.len() <= area && (trunk || h >= 2) && !years
	}
	for k := 2; k <= h; k++ {
		if r.g[k].sep == slash {
			return false
		}
	}
	return trunk && n >= 9 && n <= 11 && h <= 4 && r.shape(h) != 0x54
}

// inRow says whether groups 0 to h stand in a row of numbers, with nothing but spaces
// between.
func (r *run) inRow(v *view, h int) bool {
	for k := 1; k <= h; k++ {
		if r.g[k].sep != space {
			return false
		}
	}
	goesOn := h+1 < r.n && r.g[h+1].sep == space
	return !r.g[0].paren && (goesOn || v.at(r.start-1) == ' ' && isDigit(v.at(r.start-2)))
}

// thousands says whether groups 0 to h are a plain number with thousands apart.
func (r *run) thousands(h int) bool {
	for k := 1; k <= h; k++ {
		if r.g[k].len() != 3 || r.g[k].sep != r.g[1].sep || r.g[k].sep == hyphen {
			return false
		}
	}
	return r.g[0].len() <= 3
}

// withWord: what only a word beside it makes a phone number. 1, none, more.
func (r *run) withWord(v *view, h, n int, said *hint) int {
	least := 7
	if h == 0 {
		least = 8
	}
	if n > 15 || n < least || h > 5 || !r.sizes(1, h, 8) {
		return none
	}
	phone := said.look(v, r.start).phone
	switch {
	case phone < 0:
		return none
	case phone == 2:
		return 1
	case r.thousands(h):
		return none
	case phone == 1 && h > 0:
		return 1
	case h+1 == r.n:
		return v.placeAfter(r.g[h].close)
	}
	return none
}

// extension is the end of an extension (x and up to six digits) after a number that
// ends at i.
func (v *view) extension(i int) int {
	x, n := i, len(v.text)
	if x < n && v.text[x] == ' ' {
		x++
	}
	if x < n && v.text[x] != 'x' {
		return i
	}
	end := x + 1
	for end-x <= 6 && v.digitAt(end) {
		end++
	}
	switch {
	case end >= n && end-x <= 6 && !v.last:
		return more
	case end > x+1 && x < n:
		return end
	}
	return i
}

// phoneShape says whether groups 0 to h are a phone number: 1, none, more.
func (r *run) phoneShape(v *view, h, n int, said *hint) int {
	if r.international(v, h, n) {
		return 1
	}
	if r.plus {
		return none
	}
	series := h+1 < r.n && (r.g[h+1].sep != space || r.g[h+1].len() == r.g[h].len())
	if series {
		return none
	}
	if (r.northAmerican(v, h) || r.national(v, h, n)) && !r.inRow(v, h) {
		if said.look(v, r.start).phone >= 0 {
			return 1
		}
		return none
	}
	return r.withWord(v, h, n, said)
}

// phoneEnd is where the phone number the run begins with ends.
func (r *run) phoneEnd(v *view, said *hint) int {
	var total [maxGroups]int // digits up to each group's end
	n, last := 0, -1
	for k := 0; k < r.n && k < maxGroups-1; k++ {
		size := r.g[k].len()
		if n += size; n > 17 || k > 0 && size > 8 || k > 2 && size == 1 {
			break
		}
		last, total[k] = k, n
	}
	for h := last; h >= 0 && total[h] >= 7; h-- {
		switch r.phoneShape(v, h, total[h], said) {
		case none:
			continue
		case more:
			return more
		}
		end := v.extension(r.g[h].close)
		if end == more || h+1 < r.n && end == r.g[h].close {
			return end
		}
		switch v.allowedAfter(end, h == 0 || r.thousands(h)) {
		case more:
			return more
		case 1:
			return end
		}
	}
	return none
}

// ssnEnd is the end of a US social security number, written with hyphens.
func (r *run) ssnEnd(v *view) int {
	if r.plus || r.g[0].paren || r.n < 3 || r.shape(2) != 0x324 || r.g[1].sep != hyphen || r.g[2].sep != hyphen {
		return none
	}
	if area := r.value(v, 0); area == 0 || area == 666 || r.value(v, 1) == 0 || r.value(v, 2) == 0 {
		return none
	}
	to := r.g[2].to
	if r.n > 3 {
		if r.g[3].sep == space {
			return to
		}
		return none
	}
	if ok := v.allowedAfter(to, false); ok != 1 {
		return ok
	}
	return to
}
