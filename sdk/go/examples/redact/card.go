package main

// issued says whether issuers give out numbers of n digits that begin with d (six
// digits).
func issued(d, n int) bool {
	two, three, four := d/10000, d/1000, d/100
	switch {
	case two >= 40 && two <= 49:
		return n == 13 || n == 16 || n == 19 // Visa
	case n == 16 && (two >= 51 && two <= 55 || four >= 2200 && four <= 2204 || four >= 2221 && four <= 2720):
		return true // Mastercard, Mir
	case n == 15 && (two == 34 || two == 37 || four == 2131 || four == 1800):
		return true // American Express, early JCB
	case n == 14 && (three >= 300 && three <= 305 || three == 309 || two == 36 || two == 38 || two == 39):
		return true // Diners Club
	case n >= 16 && (two == 35 || four == 6011 || three >= 644 && three <= 659 || two == 62 || two == 60):
		return true // JCB, Discover, UnionPay, RuPay
	}
	return two == 50 || two >= 56 && two <= 58 || four == 6304 || four == 6759 || four >= 6761 && four <= 6763 // Maestro
}

// luhn checks the check digit (US patent 2,950,048; ISO/IEC 7812-1 annex B).
func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i])
		if i&1 != 0 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

// cardShape says whether groups 0 to h stand as on cards: all together, by fours, or
// 4-6-4/5.
func (r *run) cardShape(h int) bool {
	if h == 0 {
		return true
	}
	if r.g[0].len() != 4 || !r.sameSeparators(h) || r.g[1].sep == slash || r.g[1].sep == touch {
		return false
	}
	if h == 2 && r.g[1].len() == 6 && (r.g[2].len() == 4 || r.g[2].len() == 5) {
		return true
	}
	for k := 1; k < h; k++ {
		if r.g[k].len() != 4 {
			return false
		}
	}
	return r.g[h].len() <= 4
}

// cardEnd is where the card number the run begins with ends.
func (r *run) cardEnd(v *view, said *hint) int {
	if first := &r.g[0]; r.plus || first.paren || first.len() != 4 && first.len() < 12 {
		return none
	}
	var d [maxDigits]byte
	var end [maxGroups]int // digits up to each group's end
	n, last := 0, -1
	for k := 0; k < r.n && n+r.g[k].len() <= maxDigits && !r.g[k].paren; k++ {
		for _, c := range v.text[r.g[k].from:r.g[k].to] {
			d[n] = c - '0'
			n++
		}
		last, end[k] = k, n
	}
	for h := last; h >= 0 && end[h] >= 12; h-- {
		head := 0
		for _, x := range d[:6] {
			head = head*10 + int(x)
		}
		goesOn := h+1 < r.n && r.g[h+1].sep != space
		if goesOn || !r.cardShape(h) || !luhn(d[:end[h]]) {
			continue
		}
		if !issued(head, end[h]) && !said.look(v, r.start).card {
			continue
		}
		if h+1 < r.n {
			return r.g[h].to
		}
		switch v.allowedAfter(r.g[h].to, false) {
		case more:
			return more
		case 1:
			return r.g[h].to
		}
	}
	return none
}
