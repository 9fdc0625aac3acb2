package plan

import (
	"fmt"
	"reflect"
)

// Validate checks everything a backend relies on: that each value is computed
// once and before it is used, that widths, weight shapes and cache layers fit
// together, that a layer's cache is appended to before it is attended over, that
// a large step is what its Parts say, and that the plan ends in its only Logits,
// LMHead or Send. What the Builder and Fuse return has passed it. It does not panic on
// any plan.
func (p *Plan) Validate() error {
	if err := p.checkTables(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	c := checker{p: p, state: make([]valueState, len(p.Values)), cached: make([]bool, len(p.KV))}
	for i := range p.Steps {
		s := &p.Steps[i]
		err := c.step(s)
		if last := i == len(p.Steps)-1; err == nil && last != s.Kind.ends() {
			err = fmt.Errorf("a plan ends in its only Logits, LMHead or Send")
		}
		if err == nil && s.Kind == Receive && i > 0 {
			err = fmt.Errorf("only the first step receives")
		}
		if err != nil {
			return fmt.Errorf("plan: step %d %v: %w", i, s.Kind, err)
		}
	}
	if len(p.Steps) == 0 {
		return fmt.Errorf("plan: no steps")
	}
	return nil
}

// checkTables checks what steps refer to.
func (p *Plan) checkTables() error {
	if p.Vocab < 1 || p.Vocab > maxWidth || p.Context < 1 {
		return fmt.Errorf("vocabulary of %d, context of %d", p.Vocab, p.Context)
	}
	for i, v := range p.Values {
		if v.Width < 1 || v.Width > maxWidth {
			return fmt.Errorf("value %d %q is %d wide, want 1 to %d", i+1, v.Name, v.Width, maxWidth)
		}
	}
	for i, k := range p.KV {
		for _, n := range []int{k.Heads, k.KeyDim, k.ValueDim} {
			if n < 1 || n > maxWidth {
				return fmt.Errorf("KV layer %d: %d heads, keys of %d, values of %d", i, k.Heads, k.KeyDim, k.ValueDim)
			}
		}
	}
	for _, d := range p.Weights {
		if len(d.Shape) < 1 || len(d.Shape) > 2 || !d.DType.Valid() {
			return fmt.Errorf("weight %v: want a known format and one or two dimensions", d)
		}
		for _, n := range d.Shape {
			if n < 1 || n > maxWidth {
				return fmt.Errorf("weight %v: a side is out of range", d)
			}
		}
		if d.RowLen()%d.DType.BlockElems() != 0 {
			return fmt.Errorf("weight %v: a row is no whole number of blocks", d)
		}
	}
	return nil
}

// checker walks a plan. What it remembers is what earlier steps made.
type checker struct {
	p      *Plan
	state  []valueState // of value v: state[v-1]
	cached []bool       // layers something was appended to
}

type valueState uint8

const (
	unknown valueState = iota
	known
	hidden // computed inside a large step that does not put it out
)

func (c *checker) step(s *Step) error {
	if err := c.p.checkForm(s); err != nil {
		return err
	}
	if !s.Kind.Large() {
		if s.Parts != nil {
			return fmt.Errorf("a fine step has no parts")
		}
		return c.fine(s)
	}
	if err := c.parts(s); err != nil {
		return err
	}
	// What the parts mean decides what the step may claim.
	want, ok := asLarge(s.Kind, s.Parts)
	if want.Parts = s.Parts; !ok || !reflect.DeepEqual(&want, s) {
		return fmt.Errorf("does not stand for its parts")
	}
	for i := range s.Parts {
		for _, v := range s.Parts[i].Out {
			if len(s.Out) == 0 || v != s.Out[0] {
				c.state[v-1] = hidden
			}
		}
	}
	return nil
}

func (c *checker) parts(s *Step) error {
	for i := range s.Parts {
		part := &s.Parts[i]
		err := c.p.checkForm(part)
		if err == nil && part.Parts != nil {
			err = fmt.Errorf("a part has no parts")
		}
		if err == nil {
			err = c.fine(part)
		}
		if err != nil {
			return fmt.Errorf("part %d %v: %w", i, part.Kind, err)
		}
	}
	return nil
}

// fine checks a fine step that has passed checkForm.
func (c *checker) fine(s *Step) error {
	for _, v := range s.In {
		switch c.state[v-1] {
		case unknown:
			return fmt.Errorf("%q is used before it is computed", c.p.ValueInfo(v).Name)
		case hidden:
			return fmt.Errorf("%q is computed inside a large step and cannot be used outside", c.p.ValueInfo(v).Name)
		}
	}
	if s.Kind == Attention && !c.cached[s.Layer] {
		return fmt.Errorf("nothing was appended to layer %d yet", s.Layer)
	}
	width, selected, err := c.p.infer(s)
	if err != nil {
		return err
	}
	if s.Kind == AppendKV {
		if c.cached[s.Layer] {
			return fmt.Errorf("layer %d is appended to twice", s.Layer)
		}
		c.cached[s.Layer] = true
	}
	for _, v := range s.Out {
		info := c.p.ValueInfo(v)
		if c.state[v-1] != unknown {
			return fmt.Errorf("%q is computed twice", info.Name)
		}
		if info.Width != width || info.Selected != selected {
			return fmt.Errorf("%q is %d wide (selected %v), the step makes %d (%v)", info.Name, info.Width, info.Selected, width, selected)
		}
		c.state[v-1] = known
	}
	return nil
}
