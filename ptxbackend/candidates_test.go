package ptxbackend

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Candidates are what sorting all logits gives, in small batches, in large ones and
// where there are more rows of logits than one pass of the head computes; and Full
// brings all logits of any row.
func TestCandidates(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "qwen2", DType: tensor.Q8_0, Seed: 31})
	for _, target := range targets {
		t.Run(target.Arch, func(t *testing.T) {
			be := on(t, target)()
			defer be.Close()
			p := plan.Fuse(p, be.Supports)
			w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			exec, err := be.Compile(p, w, backend.Limits{MaxRows: 90, MaxSeqs: 1, MaxLogit: 80, Pages: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer exec.Close()
			e := exec.(backend.Candidates)
			if n := e.MaxCandidates(); n != min(p.Vocab, 1024) {
				t.Errorf("up to %d candidates of %d", n, p.Vocab)
			}
			for _, c := range []struct{ rows, logits, k int }{{1, 1, 1}, {5, 3, 40}, {90, 80, 70}, {66, 1, p.Vocab}} {
				checkCandidates(t, e, c.rows, c.logits, c.k, p.Vocab)
			}
			out := make([]backend.TopLogits, 1)
			for _, k := range []int{0, -1, e.MaxCandidates() + 1} {
				if e.RunTop(context.Background(), promptOf(1), k, out) == nil {
					t.Errorf("no error for %d candidates", k)
				}
			}
			if e.RunTop(context.Background(), promptOf(1), 1, nil) == nil || e.Full(0, make([]float32, p.Vocab-1)) == nil ||
				e.Full(-1, make([]float32, p.Vocab)) == nil || e.Full(1, make([]float32, p.Vocab)) == nil {
				t.Error("no error for room or rows that are not there")
			}
		})
	}
}

func checkCandidates(t *testing.T, e backend.Candidates, rows, logits, k, vocab int) {
	t.Helper()
	b := promptOf(rows)
	b.Tables = [][]int32{{0, 1}}
	b.LogitRows = nil
	for i := range logits {
		b.LogitRows = append(b.LogitRows, int32(rows-logits+i))
	}
	top := make([]backend.TopLogits, logits)
	if err := e.RunTop(context.Background(), b, k, top); err != nil {
		t.Fatal(err)
	}
	for i, got := range top {
		all := make([]float32, vocab)
		if err := e.Full(i, all); err != nil {
			t.Fatal(err)
		}
		ids := make([]int32, vocab)
		sum := 0.0
		for j := range ids {
			ids[j] = int32(j)
			sum += math.Exp(float64(all[j]))
		}
		slices.SortStableFunc(ids, func(x, y int32) int {
			switch {
			case all[x] > all[y]:
				return -1
			case all[x] < all[y]:
				return 1
			}
			return 0
		})
		if !slices.Equal(got.IDs, ids[:k]) {
			t.Fatalf("%d rows, row %d: candidates %v, want %v", rows, i, got.IDs, ids[:k])
		}
		for j, id := range got.IDs {
			if got.Logits[j] != all[id] {
				t.Errorf("%d rows, row %d: logit of %d is %v, want %v", rows, i, id, got.Logits[j], all[id])
			}
		}
		if want := math.Log(sum); math.Abs(float64(got.LogSumExp)-want) > 1e-4 {
			t.Errorf("%d rows, row %d: log-sum-exp %v, want %v", rows, i, got.LogSumExp, want)
		}
	}
}
