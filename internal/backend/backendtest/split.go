package backendtest

import (
	"context"
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
			near(t, b.all(), s.want(t, text), u.tolerance(tensor.Q8_0, tensor.F16))
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
	var all []interface{ Close() error }
	var execs []backend.Executable
	for _, part := range []plan.Part{first, second} {
		p := plan.Fuse(part.Plan, be.Supports)
		data := make([][]byte, len(part.From))
		for i, n := range part.From {
			data[i] = s.data[n]
		}
		w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
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
	t.Cleanup(func() {
		for _, c := range append([]interface{ Close() error }{chain}, append(all, be)...) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	b := &bench{t: t, exec: chain, lim: lim, vocab: s.plan.Vocab}
	for i := range lim.Pages {
		b.free = append(b.free, int32(i))
	}
	return b
}
