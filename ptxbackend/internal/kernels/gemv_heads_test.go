package kernels

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// A GEMV with Heads leaves the same bits as one without and RopeAppend after it,
// each of which is tested against float64.
func TestGEMVHeadsIsRopeAppend(t *testing.T) {
	batch := &backend.Batch{Tokens: make([]int32, 3), Pos: []int32{130, 62, 63}, Seq: []int32{0, 1, 1},
		Tables: [][]int32{{0, 3, 2}, {4, 1}}, LogitRows: []int32{0}}
	types := []tensor.DType{tensor.Q4_K, tensor.Q4_K, tensor.Q6_K}
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, h := range []RopeAppend{
			{Heads: 4, KVHeads: 2, KeyDim: 128, ValueDim: 128, Dims: 128, NEOX: true},
			{Heads: 3, KVHeads: 1, KeyDim: 64, ValueDim: 48, Dims: 32, QNorm: true, KNorm: true, Q32: true},
			{Heads: 7, KVHeads: 1, KeyDim: 16, ValueDim: 16, Dims: 16, KNorm: true},
		} {
			for _, c := range []GEMV{{T: 1, Norm: true}, {T: 4, Bias: true}, {T: 8}} {
				n := []int{h.Heads * h.KeyDim, h.KVHeads * h.KeyDim, h.KVHeads * h.ValueDim}
				h.Batch = BatchLayout{MaxRows: 8, MaxLogit: 8}
				testGEMVHeads(r, newGEMVCase(r, c, types, n, 512), h, batch)
			}
		}
	})
}

func testGEMVHeads(r *rig, g *gemvCase, h RopeAppend, batch *backend.Batch) {
	r.t.Helper()
	const pages = 5
	keyBytes, valueBytes := 2*pages*h.KVHeads*backend.PageTokens*h.KeyDim, 2*pages*h.KVHeads*backend.PageTokens*h.ValueDim
	qBytes := 2 * g.T * h.Heads * h.KeyDim
	if h.Q32 {
		qBytes *= 2
	}
	rope := RopeAppendArgs{Batch: r.put(makeBatch(h.Batch, batch)), Q: g.args.Mats[0].Out, K: g.args.Mats[1].Out, V: g.args.Mats[2].Out,
		QNorm: r.put(normal(r.rand, h.KeyDim, 1)), KNorm: r.put(normal(r.rand, h.KeyDim, 1)),
		Freqs: r.put(RopeTable(ropeFreqs(h.Dims, 10000))), Eps: 1e-6, MScale: 1.25, Rows: g.T}
	place := func() []driver.Ptr {
		rope.QOut, rope.Keys, rope.Values = r.alloc(qBytes), r.put(make([]byte, keyBytes)), r.put(make([]byte, valueBytes))
		return []driver.Ptr{rope.QOut, rope.Keys, rope.Values}
	}
	want := place()
	r.launch(g.GEMV, g.Launch(emulatedSMs, g.args))
	r.launch(h, h.Launch(rope))

	got := place()
	g.Heads, g.args.Rope = &h, rope
	g.args.Counters = r.put(make([]byte, g.CounterBytes()))
	for range 2 { // the counters are as they were
		r.launch(g.GEMV, g.Launch(emulatedSMs, g.args))
	}
	for i, bytes := range []int{qBytes, keyBytes, valueBytes} {
		x, y := r.get(got[i], bytes), r.get(want[i], bytes)
		for j := range x {
			if x[j] != y[j] {
				r.t.Fatalf("%s: byte %d of output %d is %#x, want %#x", g.Name(), j, i, x[j], y[j])
			}
		}
	}
	g.countersAreZero(r)
}
