package kernels

import (
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// goHead normalises (w not nil) and rotates one head.
func goHead(x []float32, w []float32, eps float64, c RopeAppend, freqs []float64, mscale float64, pos int32) []float64 {
	y := wide(x)
	if w != nil {
		y = goRMSNorm(x, len(x), w, eps)
	}
	for i := range c.Dims / 2 {
		sin, cos := math.Sincos(float64(pos) * freqs[i])
		j, k := 2*i, 2*i+1
		if c.NEOX {
			j, k = i, i+c.Dims/2
		}
		y[j], y[k] = mscale*(y[j]*cos-y[k]*sin), mscale*(y[j]*sin+y[k]*cos)
	}
	return y
}

// ropeFreqs are those of a model whose base is base.
func ropeFreqs(dims int, base float64) []float64 {
	f := make([]float64, dims/2)
	for i := range f {
		f[i] = math.Pow(base, -2*float64(i)/float64(dims))
	}
	return f
}

func TestRopeAppend(t *testing.T) {
	l := BatchLayout{MaxRows: 8, MaxLogit: 1}
	// Three sequences: two steps of decode and a prefill of three rows across a page.
	batch := &backend.Batch{Tokens: make([]int32, 5), Pos: []int32{0, 130, 62, 63, 64}, Seq: []int32{0, 1, 2, 2, 2},
		Tables: [][]int32{{5}, {0, 3, 2}, {4, 1}}}
	const pages, rows = 6, 7 // two rows are padding
	for _, c := range []RopeAppend{
		{Heads: 4, KVHeads: 2, KeyDim: 128, ValueDim: 128, Dims: 128, NEOX: true},
		{Heads: 3, KVHeads: 1, KeyDim: 64, ValueDim: 64, Dims: 64, QStride: 320, KStride: 320, VStride: 320},
		{Heads: 2, KVHeads: 2, KeyDim: 80, ValueDim: 48, Dims: 32, NEOX: true, QNorm: true, KNorm: true},
		{Heads: 5, KVHeads: 1, KeyDim: 8, ValueDim: 8, Dims: 8, KNorm: true},
		{Heads: 2, KVHeads: 1, KeyDim: 256, ValueDim: 256, Dims: 96, NEOX: true, QNorm: true},
		{Heads: 2, KeyDim: 96, Dims: 96, Q32: true},
		{Heads: 2, KeyDim: 40},
		{KVHeads: 3, KeyDim: 36, ValueDim: 20},
	} {
		c.Batch = l
		t.Run(c.Name(), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) { testRopeAppend(t, r, c, batch, pages, rows) })
		})
	}
}

func testRopeAppend(t *testing.T, r *rig, c RopeAppend, batch *backend.Batch, pages, rows int) {
	const eps, mscale = 1e-6, 1.25
	qs, ks, vs := c.strides()
	q, k, v := normal(r.rand, rows*qs, 2), normal(r.rand, rows*ks, 2), normal(r.rand, rows*vs, 2)
	qnorm, knorm := normal(r.rand, c.KeyDim, 1), normal(r.rand, c.KeyDim, 1)
	freqs := ropeFreqs(c.Dims, 10000)
	keys := halves(normal(r.rand, pages*c.KVHeads*backend.PageTokens*c.KeyDim, 1))
	values := halves(normal(r.rand, pages*c.KVHeads*backend.PageTokens*c.ValueDim, 1))
	a := RopeAppendArgs{Batch: r.put(makeBatch(c.Batch, batch)), Q: r.put(q), K: r.put(k), V: r.put(v),
		Keys: r.put(keys), Values: r.put(values), QNorm: r.put(qnorm), KNorm: r.put(knorm), Freqs: r.put(RopeTable(freqs)),
		Eps: eps, MScale: mscale, Rows: rows}
	if c.Heads > 0 {
		a.QOut = r.alloc(4 * rows * c.Heads * c.KeyDim)
	}
	r.launch(c, c.Launch(a))

	wantQ, wantK, wantV := []float64{}, wide(fromHalves(keys)), wide(fromHalves(values))
	if !c.QNorm {
		qnorm = nil
	}
	if !c.KNorm {
		knorm = nil
	}
	for row := range rows {
		pos := int32(-1)
		if row < len(batch.Pos) {
			pos = batch.Pos[row]
		}
		for h := range c.Heads {
			wantQ = append(wantQ, goHead(q[row*qs+h*c.KeyDim:][:c.KeyDim], qnorm, eps, c, freqs, mscale, pos)...)
		}
		if pos < 0 {
			continue
		}
		page := int(batch.Tables[batch.Seq[row]][pos/backend.PageTokens])
		for h := range c.KVHeads {
			slot := (page*c.KVHeads+h)*backend.PageTokens + int(pos)%backend.PageTokens
			copy(wantK[slot*c.KeyDim:], goHead(k[row*ks+h*c.KeyDim:][:c.KeyDim], knorm, eps, c, freqs, mscale, pos))
			copy(wantV[slot*c.ValueDim:], wide(v[row*vs+h*c.ValueDim:][:c.ValueDim]))
		}
	}
	// Pairs of elements up to about 30 are turned by sines right to 2^-19.9.
	const abs = 30 * sinBound
	if c.Q32 {
		near(t, "q", r.f32(a.QOut, len(wantQ)), wantQ, abs, normBound)
	} else {
		near(t, "q", r.f16(a.QOut, len(wantQ)), wantQ, abs, 0x1p-11+normBound)
	}
	near(t, "keys", r.f16(a.Keys, len(wantK)), wantK, abs, 0x1p-11+normBound)
	near(t, "values", r.f16(a.Values, len(wantV)), wantV, 0x1p-25, 0x1p-11)
}

// sinBound is that of sinCosTurns and the rounding of a product with mscale.
const sinBound = 0x1.2p-20

// The rotation stays exact far out, where float32 holds no angle any more.
func TestRopeFarOut(t *testing.T) {
	l := BatchLayout{MaxRows: 64, MaxLogit: 1}
	c := RopeAppend{Heads: 1, KeyDim: 128, Dims: 128, NEOX: true, Q32: true, Batch: l}
	eachTarget(t, func(t *testing.T, r *rig) {
		freqs := ropeFreqs(c.Dims, 1e6)
		freqs[5], freqs[6] = 2.5, -7 // no model has them
		batch := &backend.Batch{Tables: [][]int32{{0}}}
		for i := range l.MaxRows {
			pos := int32(1)<<22 - 1 - int32(i)
			if i%2 == 1 {
				pos = r.rand.Int32N(1 << 20)
			}
			batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, 0), append(batch.Pos, pos), append(batch.Seq, 0)
		}
		q := make([]float32, l.MaxRows*c.KeyDim)
		var want []float64
		for row := range l.MaxRows {
			head := q[row*c.KeyDim:][:c.KeyDim]
			for i := range c.Dims / 2 {
				head[i] = 1
			}
			want = append(want, goHead(head, nil, 0, c, freqs, 1, batch.Pos[row])...)
		}
		out := r.alloc(4 * len(q))
		r.launch(c, c.Launch(RopeAppendArgs{Batch: r.put(makeBatch(l, batch)), Q: r.put(q), QOut: out,
			Freqs: r.put(RopeTable(freqs)), MScale: 1, Rows: l.MaxRows}))
		near(t, "cos, sin", r.f32(out, len(q)), want, sinBound, 0)
	})
}

func TestRopeTableHoldsTheFrequencies(t *testing.T) {
	freqs := append(ropeFreqs(128, 5e5), 2*math.Pi, 3*math.Pi, 0, -1)
	table := RopeTable(freqs)
	for i, f := range freqs {
		turns := f / (2 * math.Pi)
		turns -= math.Round(turns)
		got := float64(table[2*i]) + float64(table[2*i+1])
		if d := math.Abs(got - turns); min(d, math.Abs(d-1)) > 0x1p-50 || math.Abs(got) > 0.5 {
			t.Errorf("frequency %v: %v turns, want %v", f, got, turns)
		}
	}
}
