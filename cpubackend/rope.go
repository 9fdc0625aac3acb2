package cpubackend

import (
	"math"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// ropeTable holds the cosines and sines of one set of rotary parameters, computed
// in float64 and filled in a chunk of positions at a time. Worker 0 grows it
// before a run; all workers read it during one.
type ropeTable struct {
	p      *plan.RopeParams
	chunks []*ropeChunk // by position / ropeChunkLen; nil where not needed yet
}

const ropeChunkLen = 256

// ropeChunk holds cos and sin, each (ropeChunkLen, Dims/2).
type ropeChunk struct{ cos, sin []float32 }

// newRopeTable makes a table for the positions that so many pages can hold.
func newRopeTable(p *plan.RopeParams, pages int) *ropeTable {
	n := (pages*backend.PageTokens + ropeChunkLen - 1) / ropeChunkLen
	return &ropeTable{p: p, chunks: make([]*ropeChunk, n)}
}

// cover makes sure that position pos is in the table.
func (t *ropeTable) cover(pos int32) {
	if c := int(pos) / ropeChunkLen; t.chunks[c] == nil {
		t.chunks[c] = t.compute(c * ropeChunkLen)
	}
}

func (t *ropeTable) compute(first int) *ropeChunk {
	n := len(t.p.Freqs)
	c := &ropeChunk{cos: make([]float32, ropeChunkLen*n), sin: make([]float32, ropeChunkLen*n)}
	for i := range ropeChunkLen {
		for j, f := range t.p.Freqs {
			sin, cos := math.Sincos(float64(first+i) * f)
			c.cos[i*n+j] = float32(cos * t.p.MScale)
			c.sin[i*n+j] = float32(sin * t.p.MScale)
		}
	}
	return c
}

// rotate turns the heads of width dim in x by position pos, in place.
func (t *ropeTable) rotate(x []float32, dim int, pos int32) {
	n := len(t.p.Freqs)
	c := t.chunks[pos/ropeChunkLen]
	i := int(pos%ropeChunkLen) * n
	cos, sin := c.cos[i:i+n], c.sin[i:i+n]
	for ; len(x) >= dim; x = x[dim:] {
		if t.p.NEOX {
			kernels.RopeNEOX(x[:t.p.Dims], cos, sin)
		} else {
			kernels.RopeNormal(x[:t.p.Dims], cos, sin)
		}
	}
}
