package sample

import (
	"cmp"
	"math"
	"slices"
)

// Top is what a sampler often needs of a row of logits: the most likely tokens, and
// what is known of the others.
type Top struct {
	IDs    []int32   // by descending logit, equal ones by ascending id
	Logits []float32 // of IDs
	// Sure is how many of them, from the front, no other token can precede.
	Sure int
	// Rest is at least the largest logit of the others; -Inf if there are none.
	Rest float32
}

// Narrow reports whether the chain may be able to choose from a Top of k tokens.
func (c *Chain) Narrow(k int) bool {
	p := &c.p
	if len(p.Bias) > 0 || p.PresencePenalty < 0 || p.FrequencyPenalty < 0 || p.RepetitionPenalty > 0 && p.RepetitionPenalty < 1 {
		return false // a token outside could rise
	}
	return p.TopLogprobs <= k && (p.Temperature == 0 || p.TopK > 0 && p.TopK <= k || p.MinP > 0)
}

// BeginTop is Begin where only the best tokens are at hand; logSumExp is that of
// the whole row.
func (c *Chain) BeginTop(t Top, logSumExp float64) {
	if !c.wantsLogprobs() {
		return
	}
	c.lse, c.top = logSumExp, nil
	c.known, c.all = append(c.known[:0], t.IDs...), false
	for i, id := range t.IDs {
		c.raw[id] = t.Logits[i]
	}
	if n := min(c.p.TopLogprobs, len(t.IDs)); n > 0 {
		c.top = make([]Logprob, 0, n) // the caller keeps it
		for i, l := range t.Logits[:n] {
			if l > float32(math.Inf(-1)) {
				c.top = append(c.top, Logprob{t.IDs[i], float64(l) - logSumExp})
			}
		}
	}
}

// Knows reports whether Logprob can tell of id, if it was asked to: after BeginTop
// only of the best. Begin makes it know all.
func (c *Chain) Knows(id int32) bool {
	return !c.wantsLogprobs() || c.all || slices.Contains(c.known, id)
}

// AdjustTop makes a Top of the best tokens of a vocabulary, with the penalties
// applied. It works in the slices it is given.
func (c *Chain) AdjustTop(ids []int32, logits []float32, vocab int, history []int32) Top {
	t := Top{IDs: ids, Logits: logits, Sure: len(ids), Rest: float32(math.Inf(-1))}
	all := len(ids) == vocab
	if !all {
		t.Rest = logits[len(logits)-1]
	}
	if !c.countWindow(history) {
		return t
	}
	for i, id := range ids {
		if n := c.count[id]; n > 0 {
			logits[i] = c.penalised(logits[i], n)
		}
	}
	t.order()
	for !all && t.Sure > 0 && !(t.Logits[t.Sure-1] > t.Rest) {
		t.Sure--
	}
	return t
}

// Only makes the first n tokens the only ones, after something has edited them.
func (t *Top) Only(n int) {
	t.IDs, t.Logits = t.IDs[:n], t.Logits[:n]
	t.order()
	t.Sure, t.Rest = n, float32(math.Inf(-1))
}

// order sorts by descending logit. Insertion: edits move few tokens, and there are
// no more than a few hundred.
func (t *Top) order() {
	for i := 1; i < len(t.IDs); i++ {
		id, l := t.IDs[i], t.Logits[i]
		j := i
		for j > 0 && (t.Logits[j-1] < l || t.Logits[j-1] == l && t.IDs[j-1] > id) {
			t.IDs[j], t.Logits[j] = t.IDs[j-1], t.Logits[j-1]
			j--
		}
		t.IDs[j], t.Logits[j] = id, l
	}
}

// PickTop is Pick from a Top. ok is false where the tokens outside could matter:
// then Pick must see all. Otherwise the choice is the one Pick makes.
func (c *Chain) PickTop(t Top, vocab int, step uint64) (id int32, ok bool, err error) {
	none := float32(math.Inf(-1))
	for t.Sure > 0 && t.Logits[t.Sure-1] == none {
		t.Sure--
	}
	alone := t.Rest == none
	if t.Sure == 0 {
		if alone {
			return 0, true, ErrNoCandidate
		}
		return 0, false, nil
	}
	peak := t.Logits[0]
	if c.p.Temperature == 0 || math.IsInf(float64(peak), 1) {
		return t.IDs[0], true, nil
	}
	inv := float32(min(1/c.p.Temperature, math.MaxFloat32))
	k := t.Sure
	if c.p.TopK > 0 && c.p.TopK < vocab {
		if k = c.p.TopK; k > t.Sure && !alone {
			return 0, false, nil
		}
		k = min(k, t.Sure)
		c.take(t, k)
	} else {
		floor := peak + dead/inv
		rest := float32(math.Exp(float64((t.Rest - peak) * inv))) // rounded as drawFrom does
		if !alone && t.Rest >= floor && !(c.p.MinP > 0 && float64(rest) < c.p.MinP) {
			return 0, false, nil
		}
		for k > 0 && t.Logits[k-1] < floor {
			k--
		}
		c.take(t, k)
		slices.SortFunc(c.cands, func(a, b cand) int { return cmp.Compare(a.id, b.id) }) // as Pick lists them
	}
	return c.drawFrom(peak, inv, step), true, nil
}

func (c *Chain) take(t Top, k int) {
	c.cands = c.cands[:0]
	for i, id := range t.IDs[:k] {
		c.cands = append(c.cands, cand{id, t.Logits[i]})
	}
}
