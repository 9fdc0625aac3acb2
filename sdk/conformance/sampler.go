package conformance

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
)

// decision is what a sampler made of a row.
type decision struct {
	pick   int32
	logits []float32
}

func (d decision) equal(e decision) bool {
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	return d.pick == e.pick && (d.pick >= 0 || slices.EqualFunc(d.logits, e.logits, same))
}

// token is what is chosen after a decision: the pick or the most likely token, -1 if
// none is left. No other may be accepted: a sampler that bounds what may be said counts
// on that.
func (d decision) token() int32 {
	best := d.pick
	if best >= 0 {
		return best
	}
	for i, v := range d.logits {
		if v > negInf && (best < 0 || v > d.logits[best]) {
			best = int32(i)
		}
	}
	return best
}

func differ(want, got []decision, err error) error {
	for i := range got {
		if err == nil && !want[i].equal(got[i]) {
			return fmt.Errorf("token %d: picks %d, before it was %d, or other logits", i, got[i].pick, want[i].pick)
		}
	}
	return err
}

// story is a sequence of a sampler in the making.
type story struct {
	s       *subject
	seq     uint64
	history []int32
	made    []decision
}

func (s *subject) story(seed uint64) (*story, error) {
	seq, err := s.open(seed)
	return &story{s: s, seq: seq, history: []int32{1, 2, 3}}, err
}

// decide asks for the next token of the row, without accepting it.
func (st *story) decide(row []float32) (decision, error) {
	d := decision{logits: slices.Clone(row)}
	var err error
	st.s.measure(0, 1, func() { d.pick, err = st.s.p.Process(st.seq, st.history, d.logits) })
	return d, err
}

// accept tells the plugin of tokens; of one below 0, which nobody could choose, not.
func (st *story) accept(tokens ...int32) error {
	if len(tokens) == 1 && tokens[0] < 0 {
		return nil
	}
	st.history = append(st.history, tokens...)
	return st.s.p.Accept(st.seq, tokens)
}

// ahead decides on the rows and accepts the tokens, which are to be taken back: the
// history stays.
func (st *story) ahead(rows [][]float32) (tokens []int32, err error) {
	before := slices.Clone(st.history)
	defer func() { st.history = before }()
	for _, row := range rows {
		d, err := st.decide(row)
		if err != nil {
			return nil, err
		}
		t := d.token()
		if t < 0 {
			break
		}
		if err := st.accept(t); err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// back takes back n tokens.
func (st *story) back(n int) error {
	if n == 0 {
		return nil
	}
	return st.s.p.Rollback(st.seq, n)
}

// next decides and accepts.
func (st *story) next(row []float32) error {
	d, err := st.decide(row)
	if err != nil {
		return err
	}
	st.made = append(st.made, d)
	return st.accept(d.token())
}

// told runs one sequence over the rows; between is called before each.
func (s *subject) told(rows [][]float32, seed uint64, between func(*story) error) ([]decision, error) {
	st, err := s.story(seed)
	if err != nil {
		return nil, err
	}
	defer s.p.CloseSeq(st.seq)
	for _, row := range rows {
		if between != nil {
			if err := between(st); err != nil {
				return st.made, err
			}
		}
		if err := st.next(row); err != nil {
			return st.made, err
		}
	}
	return st.made, nil
}

const seed = 5

func (c *checker) samplerOdd() (string, error) {
	c.rowsOf = logits(8)
	var err error
	if c.decisions, err = c.told(c.rowsOf, seed, nil); err != nil {
		return "", err
	}
	_, err = c.told(oddLogits(), seed, nil)
	return fmt.Sprintf("%d tokens of a vocabulary of %d", len(c.rowsOf)+len(oddLogits()), vocab), err
}

// again tells the story with something else going on, and wants the same decisions.
func (c *checker) again(between func(*story) error) (string, error) {
	got, err := c.told(c.rowsOf, seed, between)
	return "", differ(c.decisions, got, err)
}

func (c *checker) samplerTwice() (string, error) { return c.again(nil) }

func (c *checker) samplerEngines() (string, error) {
	return c.engines(func(o *checker) (string, error) {
		list, err := o.told(c.rowsOf[:3], seed, nil)
		var all strings.Builder
		for _, d := range list {
			fmt.Fprint(&all, d.pick)
			for _, v := range d.logits {
				fmt.Fprintf(&all, " %x", math.Float32bits(v))
			}
		}
		return all.String(), err
	})
}

func (c *checker) samplerApart() (string, error) {
	return c.again(func(*story) error {
		_, err := c.told(c.rowsOf[:2], 77, nil)
		return err
	})
}

// samplerFrame puts the logits into the plugin's own memory.
func (c *checker) samplerFrame() (string, error) {
	if c.p.Manifest().Mode != abi.ModeDense {
		return "", errNotHere
	}
	st, err := c.story(seed)
	if err != nil {
		return "", err
	}
	defer c.p.CloseSeq(st.seq)
	for _, row := range c.rowsOf {
		frame, err := c.p.Frame(st.seq, len(row))
		if err != nil {
			return "", err
		}
		copy(frame, row)
		pick, err := c.p.Process(st.seq, st.history, frame)
		if err != nil {
			return "", err
		}
		d := decision{pick, slices.Clone(frame)}
		st.made = append(st.made, d)
		if err := st.accept(d.token()); err != nil {
			return "", err
		}
	}
	return "", differ(c.decisions, st.made, nil)
}

// samplerRows decides several sequences at once, in changing order, and each alone.
func (c *checker) samplerRows() (string, error) { return c.several(nil) }

// several is samplerRows; before is called before each call.
func (c *checker) several(before func(seqs []uint64, histories [][]int32)) (string, error) {
	const n = 5
	var want [n][]decision
	var all [n]*story
	for i := range n {
		var err error
		if want[i], err = c.told(c.turned(i), uint64(100+i), nil); err != nil {
			return "", err
		}
		if all[i], err = c.story(uint64(100 + i)); err != nil {
			return "", err
		}
		defer c.p.CloseSeq(all[i].seq)
	}
	for step := range c.rowsOf {
		if err := c.together(all[:], step, before); err != nil {
			return "", err
		}
	}
	for i, st := range all {
		if err := differ(want[i], st.made, nil); err != nil {
			return "", fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return fmt.Sprintf("%d rows at once", n), nil
}

// turned are the rows from the i-th on.
func (c *checker) turned(i int) [][]float32 {
	return append(slices.Clone(c.rowsOf[i:]), c.rowsOf[:i]...)
}

// together is one step of all stories in one call.
func (c *checker) together(all []*story, step int, before func([]uint64, [][]int32)) error {
	n := len(all)
	seqs, histories, rows := make([]uint64, n), make([][]int32, n), make([][]float32, n)
	picks, errs := make([]int32, n), make([]error, n)
	at := func(k int) int { return (k*(1+step%2*2) + step) % n } // the order changes
	for k := range n {
		i := at(k)
		seqs[k], histories[k], rows[k] = all[i].seq, all[i].history, slices.Clone(c.turned(i)[step])
	}
	if before != nil {
		before(seqs, histories)
	}
	c.measure(0, n, func() { c.p.ProcessRows(seqs, histories, rows, picks, errs) })
	for k := range n {
		i := at(k)
		if errs[k] != nil {
			return errs[k]
		}
		d := decision{picks[k], rows[k]}
		all[i].made = append(all[i].made, d)
		if err := all[i].accept(d.token()); err != nil {
			return err
		}
	}
	return nil
}

// samplerPlan plans some steps, some twice and some not, some for tokens that are then
// taken back; then several rows at once.
func (c *checker) samplerPlan() (string, error) {
	if !c.has(abi.ExportPlan) {
		return "", errNotHere
	}
	before := c.p.Stats()
	_, err := c.again(func(st *story) error {
		for range len(st.made) % 3 {
			c.p.Plan([]uint64{st.seq}, [][]int32{st.history})
		}
		if len(st.made)%4 != 3 {
			return nil
		}
		tokens, err := st.ahead(c.rowsOf[:1])
		if err != nil {
			return err
		}
		c.p.Plan([]uint64{st.seq}, [][]int32{append(slices.Clone(st.history), tokens...)})
		return st.back(len(tokens))
	})
	if err == nil {
		_, err = c.several(c.p.Plan)
	}
	after := c.p.Stats()
	if err == nil && after.Faults > before.Faults {
		err = errors.New("a plan failed")
	}
	return fmt.Sprintf("%d answers were given in the plan", after.Planned-before.Planned), err
}

// samplerFaults resets the plugin before each token: it is opened anew and told all
// tokens in one call.
func (c *checker) samplerFaults() (string, error) {
	return c.again(func(*story) error { return c.p.Reset() })
}

// samplerRollback accepts tokens that are then taken back: all at once, and in steps
// other than those in which they were accepted.
func (c *checker) samplerRollback() (string, error) {
	return c.again(func(st *story) error {
		n := len(st.made) % 4
		if n == 0 {
			return c.inParts(st)
		}
		tokens, err := st.ahead(c.rowsOf[:n])
		if err != nil {
			return err
		}
		return st.back(len(tokens))
	})
}

// inParts takes back tokens of one call by several.
func (c *checker) inParts(st *story) error {
	tokens, err := st.ahead(c.rowsOf[:4])
	if err != nil || len(tokens) == 0 {
		return err
	}
	if err := st.back(len(tokens)); err != nil {
		return err
	}
	if err := c.p.Accept(st.seq, tokens); err != nil {
		return err
	}
	left := len(tokens)
	for _, n := range []int{1, 2, 1} {
		n = min(n, left)
		if err := st.back(n); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// samplerBack forks at each step, after tokens that are not to stay: the fork takes them
// back and goes on.
func (c *checker) samplerBack() (string, error) {
	if !c.held["rollback"] {
		return "", errNotHere
	}
	st, err := c.story(seed)
	if err != nil {
		return "", err
	}
	for i, row := range c.rowsOf {
		var tokens []int32
		if tokens, err = st.ahead(c.rowsOf[:1+i%3]); err != nil {
			break
		}
		if st, err = c.fork(st, i, false); err != nil {
			break
		}
		if err = st.back(len(tokens)); err != nil {
			break
		}
		if err = st.next(row); err != nil {
			break
		}
	}
	c.p.CloseSeq(st.seq)
	return "", differ(c.decisions, st.made, err)
}

// samplerFork forks at each step: first the fork goes on as the original would, while
// that goes astray; then the other way round.
func (c *checker) samplerFork() (string, error) {
	for _, swapped := range []bool{false, true} {
		st, err := c.story(seed)
		if err != nil {
			return "", err
		}
		for i, row := range c.rowsOf {
			if st, err = c.fork(st, i, swapped); err != nil {
				break
			}
			if err = st.next(row); err != nil {
				break
			}
		}
		c.p.CloseSeq(st.seq)
		if err := differ(c.decisions, st.made, err); err != nil {
			return "", err
		}
	}
	return "", nil
}

// fork forks a story. One of the two goes astray and ends; the other is returned.
func (c *checker) fork(st *story, step int, swapped bool) (*story, error) {
	c.seq++
	twin := &story{s: &c.subject, seq: c.seq, history: slices.Clone(st.history), made: st.made}
	if err := c.p.ForkSeq(st.seq, twin.seq); err != nil {
		return st, err
	}
	if swapped {
		st, twin = twin, st
	}
	st.made = nil
	defer c.p.CloseSeq(st.seq)
	tokens, err := st.ahead(c.turned((step + 3) % len(c.rowsOf))[:2])
	if err != nil {
		return twin, err
	}
	st.history = append(st.history, tokens...)
	return twin, st.next(c.rowsOf[0])
}
