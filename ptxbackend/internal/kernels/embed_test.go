package kernels

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// TestEmbed looks tokens up in every format, in matrices whose last tile and last
// unit are not full.
func TestEmbed(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			for _, k := range []int{256, 1280, 96, 33} {
				if k%formats[f].dtype.BlockElems() == 0 {
					checkEmbed(t, r, Embed{Layout{f, 75, k}, BatchLayout{MaxRows: 9, MaxLogit: 1}}, []int32{0, 74, 8, 64, 7, 31, 33})
				}
			}
		}
	})
}

// checkEmbed looks tokens up in a random matrix; there are two rows of padding,
// which are token 0.
func checkEmbed(t *testing.T, r *rig, c Embed, tokens []int32) {
	t.Helper()
	m := c.Layout
	dt, k := formats[m.Format].dtype, m.K
	some := Layout{m.Format, min(m.N, repeatedRows), k}
	src, w := weights(r.rand, dt, some.N, k, 0.02)
	data, scale := repacked(some, dt, src)
	batch := &backend.Batch{Tables: [][]int32{{0}}}
	for i, token := range tokens {
		batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, token), append(batch.Pos, int32(i)), append(batch.Seq, 0)
	}
	rows := len(tokens) + 2
	var want []float64
	for _, token := range append(tokens[:len(tokens):len(tokens)], 0, 0) {
		want = append(want, wide(w[int(token)%some.N*k:][:k])...)
	}
	out := r.alloc(4 * rows * k)
	r.launch(c, c.Launch(EmbedArgs{Out: out, Weights: r.repeat(data, m.Bytes()), Batch: r.put(makeBatch(c.Batch, batch)), Scale: scale, Rows: rows}))
	// The halves are rounded once. Those of the K formats have a scale and a minimum m
	// (up to 0.02 * 63) that were rounded before; code * scale is up to |want| + m.
	rel, abs := 0x1p-11, 0x1p-25*float64(scale)
	if m.Format.Parts() > 1 {
		rel, abs = 0x1p-10, 0x1p-10*0.02*63
	}
	near(t, c.Name(), r.f32(out, rows*k), want, abs, rel)
}
