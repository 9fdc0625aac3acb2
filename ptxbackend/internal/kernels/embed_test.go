package kernels

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// TestEmbed looks tokens up in every format, in matrices whose last tile and last
// unit are not full.
func TestEmbed(t *testing.T) {
	l := BatchLayout{MaxRows: 9, MaxLogit: 1}
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			for _, k := range []int{256, 1280, 96, 33} {
				dt := formats[f].dtype
				if k%dt.BlockElems() != 0 {
					continue
				}
				m := Layout{f, 75, k}
				src, w := weights(r.rand, dt, m.N, m.K, 0.02)
				data, scale := repacked(m, dt, src)
				batch := &backend.Batch{Tables: [][]int32{{0}}}
				for i, token := range []int32{0, 74, 8, 64, 7, 31, 33} { // two rows are padding: token 0
					batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, token), append(batch.Pos, int32(i)), append(batch.Seq, 0)
				}
				var want []float64
				for row := range l.MaxRows {
					token := 0
					if row < len(batch.Tokens) {
						token = int(batch.Tokens[row])
					}
					want = append(want, wide(w[token*k:(token+1)*k])...)
				}
				c := Embed{Layout: m, Batch: l}
				out := r.alloc(4 * l.MaxRows * k)
				r.launch(c, c.Launch(EmbedArgs{Out: out, Weights: r.put(data), Batch: r.put(makeBatch(l, batch)), Scale: scale, Rows: l.MaxRows}))
				// The halves are rounded once; those of the K formats have scales and
				// minima (up to 0.02 * 63) that were rounded before.
				rel, abs := 0x1p-11, 0x1p-25*float64(scale)
				if f.Parts() > 1 {
					rel, abs = 0x1p-10, 0x1p-11*0.02*63
				}
				near(t, c.Name(), r.f32(out, l.MaxRows*k), want, abs, rel)
			}
		}
	})
}
