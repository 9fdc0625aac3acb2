package ptxbackend

import (
	"bytes"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestProductsLead compares the launches of a decoding step with those of steps
// emitted one by one: every product asks for what the next one reads, and nothing
// else differs.
func TestProductsLead(t *testing.T) {
	g := idleGPU(t, h200, ptx.SM90a)
	p := plan.Fuse(shapes[0].plan(t), g.Supports)
	e, err := compile(g, p, unloaded(g, p), backend.Limits{MaxRows: 64, MaxSeqs: 4, MaxLogit: 4, Pages: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	emit := func(alone bool) []launch {
		m := emitter{e: e, rows: 1}
		for _, s := range e.bodySteps {
			if alone {
				m.before = nil
			}
			m.steps([]*plan.Step{s})
		}
		p, err := m.program()
		if err != nil {
			t.Fatal(err)
		}
		return p.launches
	}
	together, alone := emit(false), emit(true)
	leads := 0
	for i := range alone {
		if !bytes.Equal(together[i].args.Params, alone[i].args.Params) {
			leads++
		}
	}
	products := 0
	for _, s := range e.bodySteps {
		if s.Kind.Large() {
			products++
		}
	}
	if len(together) != len(alone) || leads != products-1 {
		t.Errorf("%d of %d products lead to the next", leads, products)
	}
}
