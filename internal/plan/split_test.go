package plan

import (
	"strings"
	"testing"
)

// TestSplit cuts the little model before its second layer, and nowhere else.
func TestSplit(t *testing.T) {
	p := tiny.plan(t)
	first, second, err := Split(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(first.Steps) + len(second.Steps); n != len(p.Steps)+2 {
		t.Errorf("%d steps in both, %d in the whole", n, len(p.Steps))
	}
	a, b := first.String(), second.String()
	if !strings.Contains(a, "Send") || !strings.Contains(b, "Receive") || strings.Contains(b, "blk.0.attn") {
		t.Errorf("%s\n%s", a, b)
	}
	for _, part := range []Part{first, second} {
		if len(part.KV) != 1 || len(part.Weights) != len(part.From) {
			t.Errorf("%d layers, %d weights of %d", len(part.KV), len(part.Weights), len(part.From))
		}
		for i, n := range part.From {
			if part.Weights[i].Name != p.Weights[n].Name {
				t.Errorf("weight %d is %v, want %v", i, part.Weights[i], p.Weights[n])
			}
		}
		if err := Fuse(part.Plan, nil).Validate(); err != nil {
			t.Error(err)
		}
	}
	// The first layer of the second part fuses as it does in the whole.
	if f := Fuse(second.Plan, nil); len(f.Steps) != 1+5+1 || f.Steps[1].Kind != NormQKVRopeAppend || f.Steps[1].Layer != 0 {
		t.Errorf("%v", f)
	}
	for _, layer := range []int{-1, 0, 2, 99} {
		if _, _, err := Split(p, layer); err == nil {
			t.Errorf("split before layer %d", layer)
		}
	}
}
