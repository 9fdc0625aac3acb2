package tokenizer

import (
	"slices"

	"golang.org/x/text/unicode/norm"
)

// nfc brings s to normalization form C (Unicode Standard Annex 15); s itself if it
// is already. Bytes that are not UTF-8 stay.
//
// The library puts a joiner into runs of more than 30 combining marks, which the
// form does not know, so such texts are composed here.
func nfc(s string) string {
	if norm.NFC.IsNormalString(s) {
		return s
	}
	if !longRun(s) {
		return norm.NFC.String(s)
	}
	return string(compose(decompose(s)))
}

// mark30 is the longest run of marks that the library leaves whole.
const mark30 = 30

// longRun tells whether s may have a run of combining marks that is too long for
// the library, counted as they are when decomposed.
func longRun(s string) bool {
	n := 0
	for i := 0; i < len(s); {
		p := norm.NFC.PropertiesString(s[i:])
		i += max(p.Size(), 1)
		if p.CCC() == 0 {
			n = 0
		}
		if n += max(1, len(p.Decomposition())/2); n >= mark30 {
			return true
		}
	}
	return false
}

// part is a rune of a decomposed text with its canonical combining class. A byte
// that is not UTF-8 is kept as it is, rune -1-byte.
type part struct {
	r   rune
	ccc uint8
}

// decompose is the canonical decomposition of s, but for Hangul syllables, which
// compose puts together again anyway.
func decompose(s string) []part {
	out := make([]part, 0, len(s))
	for i := 0; i < len(s); {
		r, size := decode(s, i)
		if r < 0 {
			out = append(out, part{-1 - rune(s[i]), 0})
			i++
			continue
		}
		p := norm.NFC.PropertiesString(s[i : i+size])
		i += size
		if d := p.Decomposition(); d != nil {
			for j := 0; j < len(d); {
				q := norm.NFC.Properties(d[j:])
				r, _ := decode(string(d[j:j+q.Size()]), 0)
				out = append(out, part{r, q.CCC()})
				j += q.Size()
			}
			continue
		}
		out = append(out, part{r, p.CCC()})
	}
	for i := 0; i < len(out); { // order each run of marks by class
		j := i
		for j < len(out) && out[j].ccc != 0 {
			j++
		}
		slices.SortStableFunc(out[i:j], func(a, b part) int { return int(a.ccc) - int(b.ccc) })
		i = j + 1
	}
	return out
}

// compose joins each starter with the marks behind it that it composes with: those
// with no mark of the same class, or none at all of class 0, between.
func compose(parts []part) []byte {
	starter, last := -1, uint8(0) // place of the starter, class of what stands before
	kept := parts[:0]
	for _, p := range parts {
		if starter >= 0 && (last < p.ccc || len(kept) == starter+1) {
			if r, ok := pair(kept[starter].r, p.r); ok {
				kept[starter].r = r
				continue
			}
		}
		if p.ccc == 0 {
			starter = len(kept)
		}
		last = p.ccc
		kept = append(kept, p)
	}
	out := make([]byte, 0, 2*len(kept))
	for _, p := range kept {
		if p.r < 0 {
			out = append(out, byte(-1-p.r))
			continue
		}
		out = append(out, string(p.r)...)
	}
	return out
}

// pair is the rune that a and b compose to.
func pair(a, b rune) (rune, bool) {
	if a < 0 || b < 0x300 { // no second rune of a composition is below
		return 0, false
	}
	s := norm.NFC.String(string([]rune{a, b}))
	r, size := decode(s, 0)
	return r, size == len(s)
}
