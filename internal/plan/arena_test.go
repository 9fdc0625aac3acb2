package plan

import (
	"testing"

	"pgregory.net/rapid"
)

// checkArena runs through the plan and writes down who owns each float32 of a row.
// Every value must still own its place at its last use.
func checkArena(t rapid.TB, p *Plan) {
	t.Helper()
	offsets, width := Arena(p)
	owner := make([]Value, width)
	last := p.lastUse()
	holds := func(v Value) bool {
		for _, o := range owner[offsets[v-1]:][:p.ValueInfo(v).Width] {
			if o != v {
				return false
			}
		}
		return true
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		for _, v := range s.In {
			if !holds(v) {
				t.Fatalf("step %d %v: %q is overwritten before its last use", i, s.Kind, p.ValueInfo(v).Name)
			}
		}
		for _, v := range s.Out {
			if offsets[v-1]%arenaAlign != 0 {
				t.Errorf("%q begins at %d", p.ValueInfo(v).Name, offsets[v-1])
			}
			for c := range p.ValueInfo(v).Width {
				old := owner[offsets[v-1]+c]
				if old != 0 && last[old-1] == i && !aliasAllowed(s, old) {
					t.Fatalf("step %d %v: output overlaps input %q", i, s.Kind, p.ValueInfo(old).Name)
				}
				owner[offsets[v-1]+c] = v
			}
		}
	}
	for i, l := range last {
		if (l < 0) != (offsets[i] < 0) {
			t.Errorf("value %q: last used in step %d, offset %d", p.Values[i].Name, l, offsets[i])
		}
	}
}

func aliasAllowed(s *Step, v Value) bool {
	switch s.Kind {
	case Add, SiLUMul:
		return true
	case OutResidual, DownResidual:
		return v == s.In[1] && v != s.In[0]
	}
	return false
}

func TestArenaOfModels(t *testing.T) {
	p := tiny.plan(t)
	checkArena(t, p)
	checkArena(t, Fuse(p, nil))

	// With everything fused the widest moment is x, queries and what attention
	// makes of them: the residual steps write in place.
	_, width := Arena(Fuse(p, nil))
	if want := tiny.d + 2*tiny.heads*tiny.dim; width != want {
		t.Errorf("the fused plan takes %d floats a row, want %d", width, want)
	}
	_, fine := Arena(p)
	if want := tiny.d + tiny.d + 2*tiny.ff; fine != want { // x, its norm, gate and up
		t.Errorf("the fine plan takes %d floats a row, want %d", fine, want)
	}
}

// Random straight lines with random sharing.
func TestArenaOfRandomPlans(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := &Plan{}
		value := func() []Value {
			p.Values = append(p.Values, ValueInfo{Name: "v", Width: rapid.SampledFrom([]int{1, 16, 17, 40}).Draw(r, "width")})
			return []Value{Value(len(p.Values))}
		}
		p.Steps = []Step{{Kind: Embed, Out: value()}}
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			k := rapid.SampledFrom([]Kind{RMSNorm, Linear, Add, SiLUMul, OutResidual, DownResidual}).Draw(r, "kind")
			s := Step{Kind: k, Layer: -1}
			for range forms[k].in {
				s.In = append(s.In, Value(rapid.IntRange(max(1, len(p.Values)-4), len(p.Values)).Draw(r, "in")))
			}
			s.Out = value()
			p.Steps = append(p.Steps, s)
		}
		checkArena(r, p)
	})
}
