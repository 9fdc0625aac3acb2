package plan

import (
	"fmt"
	"strings"
)

// String is the plan for people and golden files: what it works on, then a line
// per step, the parts of a large step below it. The text is the same on every
// machine.
func (p *Plan) String() string {
	d := dump{p: p, ropes: map[*RopeParams]int{}}
	d.printf("plan %s: vocab %d, context %d\n", p.Arch, p.Vocab, p.Context)
	for i, k := range p.KV {
		if i == 0 || k != p.KV[i-1] {
			d.printf("cache %d: %d KV heads, key %d, value %d\n", i, k.Heads, k.KeyDim, k.ValueDim)
		}
	}
	for i := range p.Steps {
		d.nameRopes(&p.Steps[i])
	}
	for i := range p.Steps {
		d.step("", &p.Steps[i])
		for j := range p.Steps[i].Parts {
			d.step("  | ", &p.Steps[i].Parts[j])
		}
	}
	return d.String()
}

type dump struct {
	strings.Builder
	p     *Plan
	ropes map[*RopeParams]int // numbered in order of first use
}

func (d *dump) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// nameRopes prints each set of rope parameters once.
func (d *dump) nameRopes(s *Step) {
	r := s.Attr.Rope
	if r == nil || d.ropes[r] != 0 {
		return
	}
	d.ropes[r] = len(d.ropes) + 1
	pairs := "2i, 2i+1"
	if r.NEOX {
		pairs = fmt.Sprintf("i, i+%d", r.Dims/2)
	}
	d.printf("rope %d: %d columns in pairs %s, mscale %.6g, freqs", d.ropes[r], r.Dims, pairs, r.MScale)
	for i, f := range r.Freqs {
		if i == 6 && len(r.Freqs) > 8 {
			d.printf(" ...")
		}
		if i < 6 || i >= len(r.Freqs)-2 {
			d.printf(" %.6g", f)
		}
	}
	d.printf("\n")
}

func (d *dump) step(indent string, s *Step) {
	d.WriteString(indent)
	for _, v := range s.Out {
		info := d.p.ValueInfo(v)
		d.printf("%s[%d] = ", info.Name, info.Width)
	}
	d.printf("%v(", s.Kind)
	for i, v := range s.In {
		if i > 0 {
			d.WriteString(", ")
		}
		d.WriteString(d.p.ValueInfo(v).Name)
	}
	d.WriteString(")")
	for r, w := range s.W {
		if w != 0 {
			d.printf(" %v=%v", Role(r), d.p.WeightDesc(w))
		}
	}
	d.attr(&s.Attr)
	if s.Layer >= 0 {
		d.printf(" layer=%d", s.Layer)
	}
	d.WriteString("\n")
}

func (d *dump) attr(a *Attr) {
	if a.Eps != 0 {
		d.printf(" eps=%.6g", a.Eps)
	}
	if a.Heads != 0 {
		d.printf(" heads=%d", a.Heads)
	}
	if a.KVHeads != 0 {
		d.printf(" kvheads=%d", a.KVHeads)
	}
	if a.HeadDim != 0 {
		d.printf(" dim=%d", a.HeadDim)
	}
	if a.Scale != 0 {
		d.printf(" scale=%.6g", a.Scale)
	}
	if a.Rope != nil {
		d.printf(" rope=%d", d.ropes[a.Rope])
	}
}
