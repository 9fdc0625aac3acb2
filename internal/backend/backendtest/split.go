package backendtest

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// The parts of a split plan, chained, compute what the whole computes.
func testSplit(t *testing.T, u under) {
	for _, arch := range modeltest.Arches() {
		t.Run(arch, func(t *testing.T) {
			s := newSubject(t, modeltest.Options{Arch: arch, DType: tensor.Q8_0, Seed: 12})
			r := rand.New(rand.NewPCG(12, 12))
			lim := defaults
			b := startSplit(t, u, s, len(s.plan.KV)/2, lim)
			text := texts(r, s.plan.Vocab, 70, 21)
			b.load(r, text)
			b.feed(40, 7)
			b.feed(1, 1)
			b.feedAll(30)
			near(t, b.all(), s.want(t, text), u.tolerance(tensor.Q8_0, backend.KVF16))
		})
	}
}

// startSplit is start for a model cut before a layer, both parts on one backend.
func startSplit(t *testing.T, u under, s subject, layer int, lim backend.Limits) *bench {
	t.Helper()
	be := u.open()
	first, second, err := plan.Split(s.plan, layer)
	if err != nil {
		t.Fatal(err)
	}
	var all []io.Closer
	var execs []backend.Executable
	for _, part := range []plan.Part{first, second} {
		p := plan.Fuse(part.Plan, be.Supports)
		w, err := be.Load(context.Background(), p, part.Data(s.data), backend.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := be.Compile(p, w, lim)
		if err != nil {
			t.Fatal(err)
		}
		execs, all = append(execs, e), append(all, w)
	}
	chain := backend.Chain(execs[0], execs[1], lim.MaxRows, backend.Passes(first.Plan))
	return newBench(t, chain, s, lim, append(all, be)...)
}
