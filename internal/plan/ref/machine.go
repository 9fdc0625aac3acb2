// Package ref executes plans in float64, one obvious loop per kind of step. It is
// the meaning of a plan: slow, exact, and what every backend is compared with. A
// large step is executed as the fine steps in its Parts.
package ref

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Machine holds a plan, its weights in float64 (read when first used) and one
// sequence of tokens for Forward. It is for one goroutine.
type Machine struct {
	p       *plan.Plan
	data    [][]byte
	weights [][]float64
	cache   *Cache
	length  int // tokens Forward was given
}

// New prepares a plan; data[i] are the bytes of p.Weights[i]. It fails if the plan
// is not valid or the data has the wrong size.
func New(p *plan.Plan, data [][]byte) (*Machine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(data) != len(p.Weights) {
		return nil, fmt.Errorf("ref: data of %d weights, the plan has %d", len(data), len(p.Weights))
	}
	for i, d := range p.Weights {
		if len(data[i]) != d.Bytes() {
			return nil, fmt.Errorf("ref: weight %v has %d bytes, want %d", d, len(data[i]), d.Bytes())
		}
	}
	return &Machine{p: p, data: data, weights: make([][]float64, len(data)), cache: NewCache(p)}, nil
}

// Forward appends tokens to the machine's sequence and returns the logits after
// each of them: (len(tokens), vocab).
func (m *Machine) Forward(tokens []int32) ([][]float64, error) {
	env := Env{Cache: m.cache}
	for i, t := range tokens {
		env.Tokens = append(env.Tokens, t)
		env.Pos = append(env.Pos, int32(m.length+i))
		env.Seq = append(env.Seq, 0)
		env.LogitRows = append(env.LogitRows, int32(i))
	}
	if err := m.Run(&env); err != nil {
		return nil, err
	}
	m.length += len(tokens)
	return env.Logits, nil
}

// Reset forgets the sequence.
func (m *Machine) Reset() { m.cache, m.length = NewCache(m.p), 0 }

// Run executes the whole plan over a batch and leaves the logits in env.
func (m *Machine) Run(env *Env) error {
	values := Values{}
	for i := range m.p.Steps {
		out, err := m.Step(&m.p.Steps[i], values, env)
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		for v, x := range out {
			values[v] = x
		}
	}
	return nil
}

// weight returns a weight's elements in row-major order.
func (m *Machine) weight(w plan.Weight) []float64 {
	i := w - 1
	if m.weights[i] == nil {
		d := m.p.Weights[i]
		x := make([]float32, d.Elems())
		tensor.Dequantize(x, d.DType, m.data[i])
		m.weights[i] = make([]float64, len(x))
		for j, v := range x {
			m.weights[i][j] = float64(v)
		}
	}
	return m.weights[i]
}
