package ref

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// Values holds activations: for each value its rows of ValueInfo.Width columns.
// Selected values have a row per Env.LogitRows entry, the others one per token.
type Values map[plan.Value][][]float64

// Env is what a step sees beside its inputs: the batch, of which each row names
// its sequence and its position in it, and the KV cache.
type Env struct {
	Tokens    []int32 // (rows); read by Embed alone
	Pos       []int32 // (rows)
	Seq       []int32 // (rows)
	LogitRows []int32 // rows SelectRows keeps
	Cache     *Cache
	Hidden    [][]float64 // (rows, width): what Receive reads and Send writes
	// Logits is set by Logits and LMHead: (len(LogitRows), vocab).
	Logits [][]float64
}

// Step executes one step of a plan, fine or large, on its inputs, which stay as
// they are, and returns its outputs, new or shared with an input: do not change
// them. Who runs many steps makes a Machine, which keeps weights, and calls its Step.
func Step(p *plan.Plan, data [][]byte, s *plan.Step, in Values, env *Env) (Values, error) {
	m, err := New(p, data)
	if err != nil {
		return nil, err
	}
	return m.Step(s, in, env)
}

// Step executes one step of the machine's plan. It reads and writes env.Cache, not
// the sequence Forward keeps.
func (m *Machine) Step(s *plan.Step, in Values, env *Env) (Values, error) {
	if err := m.check(s, in, env); err != nil {
		return nil, fmt.Errorf("ref: %v: %w", s.Kind, err)
	}
	if !s.Kind.Large() {
		return m.fine(s, in, env)
	}
	values := Values{}
	for _, v := range s.In {
		values[v] = in[v]
	}
	for i := range s.Parts {
		out, err := m.fine(&s.Parts[i], values, env)
		if err != nil {
			return nil, err
		}
		for v, x := range out {
			values[v] = x
		}
	}
	result := Values{}
	for _, v := range s.Out {
		result[v] = values[v]
	}
	return result, nil
}

// check makes sure that the inputs and the batch are what the plan says.
func (m *Machine) check(s *plan.Step, in Values, env *Env) error {
	rows := len(env.Pos)
	if len(env.Seq) != rows || env.Tokens != nil && len(env.Tokens) != rows {
		return fmt.Errorf("%d tokens, %d positions, %d sequence numbers", len(env.Tokens), rows, len(env.Seq))
	}
	for r, pos := range env.Pos {
		if pos < 0 || int(pos) >= m.p.Context {
			return fmt.Errorf("row %d is at position %d, the context has %d", r, pos, m.p.Context)
		}
	}
	for _, t := range env.Tokens {
		if t < 0 || int(t) >= m.p.Vocab {
			return fmt.Errorf("token %d, the vocabulary has %d", t, m.p.Vocab)
		}
	}
	for _, r := range env.LogitRows {
		if r < 0 || int(r) >= rows {
			return fmt.Errorf("logits of row %d of %d", r, rows)
		}
	}
	if env.Cache == nil && s.Layer >= 0 {
		return fmt.Errorf("no cache")
	}
	for _, v := range s.In {
		info, want := m.p.ValueInfo(v), rows
		if info.Selected {
			want = len(env.LogitRows)
		}
		if len(in[v]) != want {
			return fmt.Errorf("input %q has %d rows, want %d", info.Name, len(in[v]), want)
		}
		for _, x := range in[v] {
			if len(x) != info.Width {
				return fmt.Errorf("input %q is %d wide, want %d", info.Name, len(x), info.Width)
			}
		}
	}
	return nil
}

// fine executes a fine step.
func (m *Machine) fine(s *plan.Step, in Values, env *Env) (Values, error) {
	var x, y [][]float64
	if len(s.In) > 0 {
		x = in[s.In[0]]
	}
	if len(s.In) > 1 {
		y = in[s.In[1]]
	}
	var out [][]float64
	var err error
	switch a := &s.Attr; s.Kind {
	case plan.Embed:
		out, err = m.embed(s, env)
	case plan.RMSNorm, plan.HeadNorm:
		out = norm(x, m.weight(s.W[plan.WNorm]), float64(a.Eps))
	case plan.Linear:
		out = m.linear(x, s.W[plan.WMat], s.W[plan.WBias])
	case plan.Rope:
		out = rope(x, env.Pos, a.HeadDim, a.Rope)
	case plan.AppendKV:
		env.Cache.append(s.Layer, env, x, y)
	case plan.Attention:
		out, err = attention(m.p.KV[s.Layer], s, env, x)
	case plan.Add:
		out = each(x, y, func(a, b float64) float64 { return a + b })
	case plan.SiLUMul:
		out = each(x, y, func(gate, up float64) float64 { return silu(gate) * up })
	case plan.SelectRows:
		out = make([][]float64, 0, len(env.LogitRows))
		for _, r := range env.LogitRows {
			out = append(out, x[r])
		}
	case plan.Receive:
		out = env.Hidden
	case plan.Send:
		env.Hidden = x
	case plan.Logits:
		env.Logits = m.linear(x, s.W[plan.WMat], 0)
	default:
		err = fmt.Errorf("not a fine step")
	}
	if err != nil {
		return nil, fmt.Errorf("ref: %v: %w", s.Kind, err)
	}
	if len(s.Out) == 0 {
		return nil, nil
	}
	return Values{s.Out[0]: out}, nil
}
