package ptxbackend

import (
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// form is how a value lies in memory.
type form uint8

const (
	floats form = iota // (rows, width) float32
	halves             // (rows, width) float16: queries on their way to attention
	packed             // kernels.Pack: what is multiplied next
)

// value is where a value lies: in the arena, in memory of its own if its rows are
// the selected ones, or nowhere, inside a large step.
type value struct {
	at    driver.Ptr
	width int
	form  form
}

// forms chooses how each value lies in memory, by value number - 1: as all its
// readers would like it, where its maker can write that, and else as float32. Values
// the arena puts in place of others are float32, and so are those others.
func forms(p *plan.Plan) []form {
	const unread = 255
	made, wanted := make([]form, len(p.Values)), make([]form, len(p.Values))
	for i := range wanted {
		wanted[i] = unread
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		for j, v := range s.In {
			f := reads(s, j)
			if w := &wanted[v-1]; *w == unread {
				*w = f
			} else if *w != f {
				*w = floats
			}
		}
		for _, v := range s.Out {
			made[v-1] = makes(s)
		}
	}
	for i := range made {
		if made[i] != wanted[i] {
			made[i] = floats
		}
	}
	return made
}

// reads is the form in which a step would like to have its j-th input.
func reads(s *plan.Step, j int) form {
	switch s.Kind {
	case plan.Linear, plan.Logits:
		return packed
	case plan.OutResidual, plan.DownResidual:
		if j == 0 {
			return packed
		}
	case plan.Attention:
		return halves
	}
	return floats
}

// makes is the form other than floats in which a step can write its output.
func makes(s *plan.Step) form {
	switch s.Kind {
	case plan.RMSNorm, plan.SelectRows, plan.Attention, plan.NormGateUpAct:
		return packed
	case plan.Rope, plan.NormQKVRopeAppend:
		return halves
	}
	return floats
}

// split divides the steps of p into those with a row per token, the body, and those
// with a row per selected one, the head, which can be run in parts. Nothing in the
// body depends on the head.
func split(p *plan.Plan) (body, head []*plan.Step) {
	for i := range p.Steps {
		s := &p.Steps[i]
		selected := s.Kind == plan.SelectRows || s.Kind == plan.LMHead
		for _, v := range s.In {
			selected = selected || p.ValueInfo(v).Selected
		}
		if selected {
			head = append(head, s)
		} else {
			body = append(body, s)
		}
	}
	return body, head
}

// inOrder is p with the body before the head.
func inOrder(p *plan.Plan) *plan.Plan {
	body, head := split(p)
	q := *p
	q.Steps = nil
	for _, s := range append(body, head...) {
		q.Steps = append(q.Steps, *s)
	}
	return &q
}

// users lists the steps that make or read each value, by value number - 1.
func users(p *plan.Plan) [][]*plan.Step {
	u := make([][]*plan.Step, len(p.Values))
	for i := range p.Steps {
		s := &p.Steps[i]
		for _, v := range s.In {
			u[v-1] = append(u[v-1], s)
		}
		for _, v := range s.Out {
			u[v-1] = append(u[v-1], s)
		}
	}
	return u
}

// pairable reports whether the tiles of gate and up of a NormGateUpAct take turns in
// memory.
func pairable(p *plan.Plan, s *plan.Step) bool {
	gate, up := p.WeightDesc(s.W[plan.WGate]), p.WeightDesc(s.W[plan.WUp])
	uses := 0
	for i := range p.Steps {
		for _, w := range p.Steps[i].W {
			if w != 0 && (w == s.W[plan.WGate] || w == s.W[plan.WUp]) {
				uses++
			}
		}
	}
	return uses == 2 && gate.DType == up.DType && gate.Rows()%16 == 0 && forms(p)[s.Out[0]-1] == packed
}

// packBytes is what rows rows of width columns take packed, in tiles of however many
// rows.
func packBytes(rows, width int) int64 {
	return kernels.Pack{T: largeTile, K: width}.Bytes(rows)
}
