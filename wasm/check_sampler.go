package wasm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
)

const checkVocabulary = 32_000

// decision is what a sampler made of a row.
type decision struct {
	pick   int32
	logits []float32
}

func (d decision) equal(e decision) bool {
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	return d.pick == e.pick && (d.pick >= 0 || slices.EqualFunc(d.logits, e.logits, same))
}

// rows are logits as a model gives them, the same each time.
func rows(n int) [][]float32 {
	r := rand.New(rand.NewPCG(21, 22))
	list := make([][]float32, n)
	for i := range list {
		list[i] = make([]float32, checkVocabulary)
		for j := range list[i] {
			list[i][j] = float32(r.NormFloat64() * 3)
		}
	}
	return list
}

// oddRows are logits at the edge of what a sampler can meet.
func oddRows() [][]float32 {
	row := func(f func(i int) float32) []float32 {
		v := make([]float32, checkVocabulary)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	return [][]float32{
		row(func(int) float32 { return 0 }),
		row(func(i int) float32 {
			if i == 300 {
				return 1
			}
			return negInf
		}),
		row(func(i int) float32 { return float32(i%2*2-1) * 3e38 }),
		row(func(i int) float32 { return math.SmallestNonzeroFloat32 * float32(i%3) }),
	}
}

func (c *checker) sampler() {
	list := rows(8)
	first, err := c.decide(list, 5, nil)
	if !c.add("it decides", err, "%d tokens of a vocabulary of %d", len(list), checkVocabulary) {
		return
	}
	again, err := c.decide(list, 5, nil)
	c.add("it decides the same twice", differ(first, again, err), "")
	again, err = c.decide(list, 5, func() {
		if _, e := c.decide(list[:1], 77, nil); e != nil {
			err = errors.Join(err, e)
		}
	})
	c.add("other sequences in between change nothing", differ(first, again, err), "")
	again, err = c.decide(list, 5, func() { _ = c.resetAll() })
	c.add("a fault of another sequence changes nothing", differ(first, again, err), "")
	_, err = c.decide(oddRows(), 5, nil)
	c.add("it bears odd logits", err, "")
	if c.p.manifest.Mode == abi.ModeDense {
		framed, err := c.framed(list, 5)
		c.add("logits in its own memory change nothing", differ(first, framed, err), "")
	}
}

func differ(a, b []decision, err error) error {
	for i := range a {
		if err == nil && i < len(b) && !a[i].equal(b[i]) {
			err = fmt.Errorf("token %d: picks %d, before it was %d, or other logits", i, b[i].pick, a[i].pick)
		}
	}
	return err
}

// decide runs one sequence over the rows; between is called before each.
func (c *checker) decide(list [][]float32, seed uint64, between func()) ([]decision, error) {
	return c.each(list, seed, between, func(_ uint64, row []float32) ([]float32, error) {
		return slices.Clone(row), nil
	})
}

// framed is decide with the logits in the guest's frame.
func (c *checker) framed(list [][]float32, seed uint64) ([]decision, error) {
	return c.each(list, seed, nil, func(seq uint64, row []float32) ([]float32, error) {
		frame, err := c.p.Frame(seq, len(row))
		copy(frame, row)
		return frame, err
	})
}

func (c *checker) each(list [][]float32, seed uint64, between func(), place func(uint64, []float32) ([]float32, error)) ([]decision, error) {
	seq, err := c.open(seed)
	if err != nil {
		return nil, err
	}
	defer c.p.CloseSeq(seq)
	history := []int32{1, 2, 3}
	var out []decision
	for _, row := range list {
		if between != nil {
			between()
		}
		logits, err := place(seq, row)
		if err != nil {
			return out, err
		}
		pick, err := c.p.Process(seq, history, logits)
		if err != nil {
			return out, err
		}
		out = append(out, decision{pick, slices.Clone(logits)})
		next := max(pick, 0)
		history = append(history, next)
		if err := c.p.Accept(seq, []int32{next}); err != nil {
			return out, err
		}
	}
	return out, nil
}
