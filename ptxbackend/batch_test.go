package ptxbackend

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// The last logits of a text are the same however it is cut at the borders between
// small and large batches, with limits that leave nothing over: one row of logits,
// an odd number of rows.
func TestTightLimits(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "qwen2", DType: tensor.F16, Seed: 3})
	for _, target := range targets {
		var want []float32
		for _, cut := range [][]int{{66}, {65, 1}, {64, 2}, {1, 65}} {
			lim := backend.Limits{MaxRows: 0, MaxSeqs: 1, MaxLogit: 1, Pages: 2}
			for _, n := range cut {
				lim.MaxRows = max(lim.MaxRows, n)
			}
			t.Run(fmt.Sprint(target.Arch, cut), func(t *testing.T) {
				got := lastLogits(t, on(t, target)(), p, data, lim, cut)
				if want == nil {
					want = got
				}
				for i := range got {
					if d := math.Abs(float64(got[i] - want[i])); !(d < 2e-2) {
						t.Fatalf("logit %d is %v, in one batch %v", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// lastLogits runs a text in batches of cut[0], cut[1], ... rows.
func lastLogits(t *testing.T, be backend.Backend, p *plan.Plan, data [][]byte, lim backend.Limits, cut []int) []float32 {
	t.Helper()
	defer be.Close()
	p = plan.Fuse(p, be.Supports)
	w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	e, err := be.Compile(p, w, lim)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	logits, done := matrixOf(1, p.Vocab), 0
	for _, n := range cut {
		b := &backend.Batch{Tables: [][]int32{{1, 0}}, LogitRows: []int32{int32(n - 1)}}
		for i := range n {
			b.Tokens, b.Pos, b.Seq = append(b.Tokens, int32((done+i)*7%p.Vocab)), append(b.Pos, int32(done+i)), append(b.Seq, 0)
		}
		if err := e.Run(context.Background(), b, logits); err != nil {
			t.Fatal(err)
		}
		done += n
	}
	return logits[0]
}
