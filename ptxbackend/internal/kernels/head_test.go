package kernels

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// goTopK is TopK of one row: ids, logits and log-sum-exp.
func goTopK(k int, row []float32) (ids []int32, logits []float32, lse float64) {
	x := slices.Clone(row)
	ids = make([]int32, len(x))
	for i, v := range x {
		ids[i] = int32(i)
		if v != v {
			x[i] = float32(math.Inf(-1))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(x[b], x[a]) })
	ids = ids[:k]
	for _, id := range ids {
		logits = append(logits, x[id])
	}
	top, sum := float64(logits[0]), 0.0
	if math.IsInf(top, 0) {
		return ids, logits, top
	}
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return ids, logits, top + math.Log(sum)
}

// logitRows are rows of logits of many kinds.
func logitRows(r *rig, vocab int) [][]float32 {
	inf := float32(math.Inf(1))
	rows := [][]float32{
		normal(r.rand, vocab, 3),
		normal(r.rand, vocab, 30),
		make([]float32, vocab), // all equal
		normal(r.rand, vocab, 1e-3),
	}
	few := make([]float32, vocab) // few different values, of both signs and zeroes
	for i := range few {
		few[i] = []float32{-0.5, float32(math.Copysign(0, -1)), 0, 2, 2.25, -1e30}[r.rand.IntN(6)]
	}
	masked := make([]float32, vocab) // nearly all masked
	for i := range masked {
		masked[i] = -inf
	}
	masked[vocab/2] = 1
	broken := normal(r.rand, vocab, 2)
	for i := range broken {
		if i%3 == 0 {
			broken[i] = float32(math.NaN())
		}
	}
	close := make([]float32, vocab) // neighbouring numbers
	for i := range close {
		close[i] = math.Float32frombits(math.Float32bits(17) + uint32(r.rand.IntN(vocab)))
	}
	all := append(rows, few, masked, broken, close)
	if vocab > 2 {
		hot := normal(r.rand, vocab, 2)
		hot[vocab/3], hot[1] = inf, -inf
		nothing := make([]float32, vocab)
		for i := range nothing {
			nothing[i] = -inf
		}
		all = append(all, hot, nothing)
	}
	return all
}

func TestTopK(t *testing.T) {
	shapes := []TopK{{Vocab: 1, K: 1}, {Vocab: 37, K: 37}, {Vocab: 512, K: 7}, {Vocab: 8193, K: 256}, {Vocab: 20001, K: 64}}
	if !testing.Short() {
		shapes = append(shapes, TopK{Vocab: 24600, K: 1024}, TopK{Vocab: 151936, K: 256}, TopK{Vocab: 262144, K: 1000})
	}
	for _, c := range shapes {
		t.Run(fmt.Sprintf("%d of %d", c.K, c.Vocab), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				rows := logitRows(r, c.Vocab)
				if c.Vocab > 10000 {
					r.rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
					rows = rows[:max(1, 80000/c.Vocab)]
				}
				testTopK(t, r, c, rows)
			})
		})
	}
}

func testTopK(t *testing.T, r *rig, c TopK, rows [][]float32) {
	a := TopKArgs{Logits: r.put(slices.Concat(rows...)), Work: r.alloc(int(c.WorkBytes(len(rows)))),
		Out: r.alloc(len(rows) * c.RowBytes()), Rows: len(rows)}
	r.launch(c.Slices(), c.Slices().Launch(a))
	r.launch(c.Merge(), c.Merge().Launch(a))
	out := r.get(a.Out, len(rows)*c.RowBytes())
	for i, row := range rows {
		ids, logits, lse := goTopK(c.K, row)
		got := out[i*c.RowBytes():]
		for j := range c.K {
			id := int32(binary.LittleEndian.Uint32(got[c.IDs()+4*j:]))
			x := math.Float32frombits(binary.LittleEndian.Uint32(got[c.Logits()+4*j:]))
			if id != ids[j] || x != logits[j] {
				t.Fatalf("row %d candidate %d: id %d logit %v, want %d %v", i, j, id, x, ids[j], logits[j])
			}
		}
		near(t, "log-sum-exp", []float32{math.Float32frombits(binary.LittleEndian.Uint32(got))}, []float64{lse}, 1e-5, 0x1p-23)
	}
}
