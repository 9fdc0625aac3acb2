package model

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// Build checks the weights of a file against its Config and writes the forward
// pass as a plan of fine steps. data[i] are the bytes of Plan.Weights[i], views
// of the file, valid until it is closed.
func Build(c Config, f *gguf.File) (p *plan.Plan, data [][]byte, err error) {
	w, err := ReadWeights(c, f)
	if err != nil {
		return nil, nil, err
	}
	g := forward{Builder: plan.NewBuilder(c.Arch, c.Vocab, c.Context), c: c, rope: c.Rope.params(w.RopeFactors)}
	embed := g.weight(w.Embed)

	x := g.Embed("x", embed)
	for i := range w.Blocks {
		g.Section(fmt.Sprintf("blk.%d.", i))
		x = g.attention(x, &w.Blocks[i])
		x = g.feedForward(x, &w.Blocks[i])
	}
	g.Section("")
	x = g.SelectRows("rows", x)
	x = g.RMSNorm("out_norm", x, g.weight(w.OutputNorm), c.Eps)
	output := embed
	if !c.TiedEmbedding {
		output = g.weight(w.Output)
	}
	g.Logits(x, output)

	if p, err = g.Plan(); err != nil {
		return nil, nil, fmt.Errorf("model: %s: %w", f.Name, err)
	}
	return p, g.data, nil
}

// forward writes a model's steps and collects its weights.
type forward struct {
	*plan.Builder
	c    Config
	rope *plan.RopeParams
	data [][]byte // of the plan's weights so far
}

// weight adds a tensor to the plan, 0 if it is absent.
func (g *forward) weight(t Tensor) plan.Weight {
	if !t.Present() {
		return 0
	}
	g.data = append(g.data, t.Data)
	return g.Builder.Weight(t.Desc)
}

// attention is x + Out(attention over the cache), with grouped queries, rotary
// positions and, where the model has them, biases and norms of queries and keys.
func (g *forward) attention(x plan.Value, w *BlockWeights) plan.Value {
	layer := g.Cache(plan.KVLayer{Heads: g.c.KVHeads, KeyDim: g.c.KeyDim, ValueDim: g.c.ValueDim})

	h := g.RMSNorm("attn_norm", x, g.weight(w.AttnNorm), g.c.Eps)
	q := g.Linear("q", h, g.weight(w.Q), g.weight(w.QBias))
	k := g.Linear("k", h, g.weight(w.K), g.weight(w.KBias))
	v := g.Linear("v", h, g.weight(w.V), g.weight(w.VBias))
	if w.QNorm.Present() {
		q = g.HeadNorm("q_norm", q, g.weight(w.QNorm), g.c.Heads, g.c.KeyDim, g.c.Eps)
		k = g.HeadNorm("k_norm", k, g.weight(w.KNorm), g.c.KVHeads, g.c.KeyDim, g.c.Eps)
	}
	q = g.Rope("q_rope", q, g.c.Heads, g.c.KeyDim, g.rope)
	k = g.Rope("k_rope", k, g.c.KVHeads, g.c.KeyDim, g.rope)
	g.AppendKV(layer, k, v)

	a := g.Attention("attn", layer, q, g.c.Heads, float32(1/math.Sqrt(float64(g.c.KeyDim))))
	out := g.Linear("attn_out", a, g.weight(w.Out), g.weight(w.OutBias))
	return g.Add("attn_x", x, out)
}

// feedForward is x + Down(silu(Gate) * Up).
func (g *forward) feedForward(x plan.Value, w *BlockWeights) plan.Value {
	h := g.RMSNorm("ffn_norm", x, g.weight(w.FFNNorm), g.c.Eps)
	gate := g.Linear("gate", h, g.weight(w.Gate), 0)
	up := g.Linear("up", h, g.weight(w.Up), 0)
	act := g.SiLUMul("act", gate, up)
	down := g.Linear("down", act, g.weight(w.Down), 0)
	return g.Add("ffn_x", x, down)
}
