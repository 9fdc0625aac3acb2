package sample

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// ErrNoCandidate says that every token was forbidden.
var ErrNoCandidate = errors.New("every token of the vocabulary is forbidden: the bias, a processor or a plugin left none")

// Logprob is a token and the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float64
}

// Chain samples one sequence. It is not goroutine-safe. After the first few
// tokens it allocates nothing but the lists of TopLogprobs.
type Chain struct {
	p     Params
	cands []cand           // scratch: the surviving tokens
	mass  [1 << 11]float64 // scratch: total weight per bucket
	count map[int32]int    // scratch: occurrences in the penalty window
	raw   []float32        // logits before the settings, kept for log-probabilities
	all   bool             // raw holds every token's,
	known []int32          // or else only those of these
	top   []Logprob
	lse   float64
}

type cand struct {
	id int32
	l  float32 // logit, later weight relative to the best
}

// NewChain returns a chain for a vocabulary; p has been validated.
func NewChain(p Params, vocab int) *Chain {
	c := &Chain{p: p, cands: make([]cand, 0, 256), count: map[int32]int{}}
	if c.wantsLogprobs() {
		c.raw = make([]float32, vocab)
	}
	return c
}

func (c *Chain) wantsLogprobs() bool { return c.p.Logprobs || c.p.TopLogprobs > 0 }

// Begin is called with the model's own logits, before any processor edits them.
func (c *Chain) Begin(logits []float32) {
	if !c.wantsLogprobs() {
		return
	}
	copy(c.raw, logits)
	c.all = true
	c.lse = logSumExp(c.raw)
	c.top = nil
	if c.p.TopLogprobs > 0 {
		top := c.topK(c.raw, c.p.TopLogprobs)
		c.top = make([]Logprob, len(top)) // the caller keeps it
		for i, t := range top {
			c.top[i] = Logprob{t.id, float64(t.l) - c.lse}
		}
	}
}

// Logprob is the chosen token's log-probability and the most likely
// alternatives under the model's own distribution; NaN and nil if not asked for.
func (c *Chain) Logprob(id int32) (float64, []Logprob) {
	if !c.wantsLogprobs() {
		return math.NaN(), nil
	}
	return float64(c.raw[id]) - c.lse, c.top
}

// Adjust applies penalties and bias to logits in place. history holds the ids so
// far, oldest first.
func (c *Chain) Adjust(logits []float32, history []int32) {
	c.penalise(logits, history)
	for id, b := range c.p.Bias {
		logits[id] += b
	}
}

func (c *Chain) penalise(logits []float32, history []int32) {
	if !c.countWindow(history) {
		return
	}
	for id, n := range c.count {
		logits[id] = c.penalised(logits[id], n)
	}
}

// Penalties reports whether any is in force.
func (c *Chain) Penalties() bool {
	rep := c.p.RepetitionPenalty
	return rep != 0 && rep != 1 || c.p.PresencePenalty != 0 || c.p.FrequencyPenalty != 0
}

// countWindow counts the tokens in the penalty window, if there are penalties.
func (c *Chain) countWindow(history []int32) bool {
	if !c.Penalties() {
		return false
	}
	window := c.p.PenaltyWindow
	if window == 0 {
		window = 64
	}
	if window > 0 && len(history) > window {
		history = history[len(history)-window:]
	}
	clear(c.count)
	for _, id := range history {
		c.count[id]++
	}
	return true
}

// penalised is a logit whose token was seen n times.
func (c *Chain) penalised(logit float32, n int) float32 {
	l, rep := float64(logit), c.p.RepetitionPenalty
	if rep > 0 && l > 0 {
		l /= rep
	} else if rep > 0 {
		l *= rep
	}
	return float32(l - c.p.PresencePenalty - float64(n)*c.p.FrequencyPenalty)
}

// Pick chooses a token. step numbers the choice within the request: the draw depends
// on seed and step alone, however the work was batched.
func (c *Chain) Pick(logits []float32, step uint64) (int32, error) {
	best := argmax(logits)
	if best < 0 {
		return 0, ErrNoCandidate
	}
	if c.p.Temperature == 0 {
		return best, nil
	}
	peak := logits[best]
	if math.IsInf(float64(peak), 1) {
		return best, nil
	}
	inv := float32(min(1/c.p.Temperature, math.MaxFloat32)) // finite: 0 * inv must be 0
	c.cands = c.cands[:0]
	if c.p.TopK > 0 && c.p.TopK < len(logits) {
		c.topK(logits, c.p.TopK)
	} else {
		c.within(logits, peak, inv)
	}
	return c.drawFrom(peak, inv, step), nil
}

// drawFrom draws from the tokens in c.cands, whose logits are at most peak.
func (c *Chain) drawFrom(peak, inv float32, step uint64) int32 {
	for i := range c.cands {
		c.cands[i].l = float32(math.Exp(float64((c.cands[i].l - peak) * inv)))
	}
	c.minP()
	c.topP()
	return c.draw(uniform(c.p.Seed, step))
}

// dead is a logit relative to the best whose weight cannot matter any more: one
// under 2^-64 is drawn less often than a 53-bit number can tell.
const dead = -45 // ln 2^-64 = -44.4

// within collects the tokens whose weight relative to the best can matter.
func (c *Chain) within(logits []float32, peak, inv float32) {
	floor := peak + dead/inv
	for id, l := range logits {
		if l >= floor {
			c.cands = append(c.cands, cand{int32(id), l})
		}
	}
}

// minP keeps candidates whose weight (relative to the best, which is 1) is at
// least MinP.
func (c *Chain) minP() {
	if c.p.MinP <= 0 {
		return
	}
	keep := c.cands[:0]
	for _, t := range c.cands {
		if float64(t.l) >= c.p.MinP {
			keep = append(keep, t)
		}
	}
	c.cands = keep
}

// topP keeps the most likely candidates until their share reaches TopP. Weights
// are first counted in buckets of an eighth of a power of two; only the bucket in
// which the limit falls has to be put in order.
func (c *Chain) topP() {
	if c.p.TopP <= 0 || c.p.TopP >= 1 {
		return
	}
	clear(c.mass[:])
	total := 0.0
	for _, t := range c.cands {
		c.mass[bucket(t.l)] += float64(t.l)
		total += float64(t.l)
	}
	need := c.p.TopP * total
	sum, cut := 0.0, len(c.mass)-1
	for cut > 0 && sum+c.mass[cut] < need {
		sum += c.mass[cut]
		cut--
	}
	n, m := c.partition(cut)
	edge := c.cands[n:m]
	slices.SortFunc(edge, func(a, b cand) int {
		if a.l != b.l {
			return cmp.Compare(b.l, a.l)
		}
		return cmp.Compare(a.id, b.id)
	})
	for i := 0; i < len(edge) && (sum < need || n == 0); i++ {
		sum += float64(edge[i].l)
		n++
	}
	c.cands = c.cands[:n]
}

// partition puts the n candidates of buckets above cut first, and those of cut
// behind them, up to m.
func (c *Chain) partition(cut int) (n, m int) {
	for i, t := range c.cands {
		switch k := bucket(t.l); {
		case k > cut:
			c.cands[i] = c.cands[m]
			c.cands[m] = c.cands[n]
			c.cands[n] = t
			n, m = n+1, m+1
		case k == cut:
			c.cands[i] = c.cands[m]
			c.cands[m] = t
			m++
		}
	}
	return n, m
}

// bucket orders weights in (0, 1] by their float32 bits: exponent and the three
// top bits of the mantissa.
func bucket(w float32) int { return int(math.Float32bits(w) >> 20) }

// draw picks a candidate with probability proportional to its weight.
func (c *Chain) draw(u float64) int32 {
	total := 0.0
	for _, t := range c.cands {
		total += float64(t.l)
	}
	u *= total
	for _, t := range c.cands {
		if u -= float64(t.l); u < 0 {
			return t.id
		}
	}
	return c.cands[len(c.cands)-1].id
}

// topK leaves the k largest logits in c.cands, in descending order, ties by id.
func (c *Chain) topK(logits []float32, k int) []cand {
	h := minHeap(c.cands[:0])
	for id, l := range logits {
		switch {
		case l != l || math.IsInf(float64(l), -1):
		case len(h) < k:
			h = h.push(cand{int32(id), l})
		case l > h[0].l:
			h[0] = cand{int32(id), l}
			h.down(0, len(h))
		}
	}
	for n := len(h) - 1; n > 0; n-- {
		h[0], h[n] = h[n], h[0]
		h.down(0, n)
	}
	c.cands = h
	return h
}

// argmax is the first largest finite-or-+Inf logit, -1 if none is above -Inf.
func argmax(logits []float32) int32 {
	best, id := float32(math.Inf(-1)), int32(-1)
	for i, l := range logits {
		if l > best {
			best, id = l, int32(i)
		}
	}
	return id
}

func logSumExp(x []float32) float64 {
	best := argmax(x)
	if best < 0 {
		return math.Inf(-1)
	}
	peak, sum := float64(x[best]), 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - peak)
	}
	return peak + math.Log(sum)
}

// uniform is a number in [0, 1) that depends on seed and step alone
// (SplitMix64: Steele, Lea, Flood 2014).
func uniform(seed, step uint64) float64 {
	mix := func(z uint64) uint64 {
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	const golden = 0x9e3779b97f4a7c15
	return float64(mix(mix(seed+golden)+(step+1)*golden)>>11) / (1 << 53)
}
