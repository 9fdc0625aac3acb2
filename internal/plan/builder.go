package plan

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Builder writes a plan one fine step at a time. Its methods return the step's
// output value. The first mistake (a shape that does not fit, say) is remembered
// and returned by Plan; after it the methods do nothing, so that the code of a
// model stays a straight line. A Builder is for one goroutine.
type Builder struct {
	p      Plan
	prefix string
	err    error
}

// NewBuilder begins a plan for an architecture with a vocabulary and a context
// length in tokens.
func NewBuilder(arch string, vocab, context int) *Builder {
	return &Builder{p: Plan{Arch: arch, Vocab: vocab, Context: context}}
}

// Section sets what the names of the values that follow begin with, "blk.0." say.
func (b *Builder) Section(prefix string) { b.prefix = prefix }

// Weight adds a tensor to the plan's weights. One tensor that plays two roles is
// added once.
func (b *Builder) Weight(d tensor.Desc) Weight {
	b.p.Weights = append(b.p.Weights, d)
	return Weight(len(b.p.Weights))
}

// Cache adds a KV layer and returns its number.
func (b *Builder) Cache(kv KVLayer) (layer int) {
	b.p.KV = append(b.p.KV, kv)
	return len(b.p.KV) - 1
}

// Embed looks the batch's tokens up in w (vocab, d).
func (b *Builder) Embed(name string, w Weight) Value {
	s := Step{Kind: Embed, Layer: -1}
	s.W[WEmbed] = w
	return b.step(name, s)
}

// RMSNorm scales each row of x to a root mean square of 1 and multiplies by w
// (width of x) (Zhang and Sennrich 2019).
func (b *Builder) RMSNorm(name string, x Value, w Weight, eps float32) Value {
	s := Step{Kind: RMSNorm, Layer: -1, In: []Value{x}, Attr: Attr{Eps: eps}}
	s.W[WNorm] = w
	return b.step(name, s)
}

// HeadNorm is RMSNorm on each of the heads of dim columns; w is (dim).
func (b *Builder) HeadNorm(name string, x Value, w Weight, heads, dim int, eps float32) Value {
	s := Step{Kind: HeadNorm, Layer: -1, In: []Value{x}, Attr: Attr{Eps: eps, Heads: heads, HeadDim: dim}}
	s.W[WNorm] = w
	return b.step(name, s)
}

// Linear is x (rows, k) times the transpose of w (n, k), plus bias (n) unless
// that is 0.
func (b *Builder) Linear(name string, x Value, w, bias Weight) Value {
	s := Step{Kind: Linear, Layer: -1, In: []Value{x}}
	s.W[WMat], s.W[WBias] = w, bias
	return b.step(name, s)
}

// Rope rotates each of the heads of dim columns by its row's position.
func (b *Builder) Rope(name string, x Value, heads, dim int, r *RopeParams) Value {
	return b.step(name, Step{Kind: Rope, Layer: -1, In: []Value{x}, Attr: Attr{Heads: heads, HeadDim: dim, Rope: r}})
}

// AppendKV stores keys and values of the batch's rows in a layer's cache.
func (b *Builder) AppendKV(layer int, k, v Value) {
	b.step("", Step{Kind: AppendKV, Layer: layer, In: []Value{k, v}, Attr: b.cacheAttr(layer)})
}

// Attention is causal attention of q's heads over a layer's cache, which holds
// this batch's rows already. Where there are fewer KV heads than heads, groups of
// neighbouring heads share one (Ainslie et al. 2023).
func (b *Builder) Attention(name string, layer int, q Value, heads int, scale float32) Value {
	a := b.cacheAttr(layer)
	a.Heads, a.Scale = heads, scale
	return b.step(name, Step{Kind: Attention, Layer: layer, In: []Value{q}, Attr: a})
}

func (b *Builder) cacheAttr(layer int) Attr {
	if layer < 0 || layer >= len(b.p.KV) {
		return Attr{} // which step refuses
	}
	return Attr{KVHeads: b.p.KV[layer].Heads, HeadDim: b.p.KV[layer].KeyDim}
}

// Add is x + y.
func (b *Builder) Add(name string, x, y Value) Value {
	return b.step(name, Step{Kind: Add, Layer: -1, In: []Value{x, y}})
}

// SiLUMul is silu(gate) * up, with silu(z) = z / (1 + exp(-z)) (Shazeer 2020).
func (b *Builder) SiLUMul(name string, gate, up Value) Value {
	return b.step(name, Step{Kind: SiLUMul, Layer: -1, In: []Value{gate, up}})
}

// SelectRows keeps the rows whose logits the batch asks for.
func (b *Builder) SelectRows(name string, x Value) Value {
	return b.step(name, Step{Kind: SelectRows, Layer: -1, In: []Value{x}})
}

// Logits ends the plan: x times the transpose of w (vocab, d) goes to the caller.
func (b *Builder) Logits(x Value, w Weight) {
	s := Step{Kind: Logits, Layer: -1, In: []Value{x}}
	s.W[WMat] = w
	b.step("", s)
}

// step appends s and returns its output.
func (b *Builder) step(name string, s Step) Value {
	if b.err != nil {
		return 0
	}
	var out Value
	if forms[s.Kind].out == 1 {
		b.p.Values = append(b.p.Values, ValueInfo{Name: b.prefix + name})
		out = Value(len(b.p.Values))
		s.Out = []Value{out}
	}
	err := b.p.checkForm(&s)
	if err == nil {
		var v ValueInfo
		v.Width, v.Selected, err = b.p.infer(&s)
		if out != 0 {
			v.Name = b.prefix + name
			b.p.Values[out-1] = v
		}
	}
	if err != nil {
		b.err = fmt.Errorf("plan: %s%s: %v: %w", b.prefix, name, s.Kind, err)
		return 0
	}
	b.p.Steps = append(b.p.Steps, s)
	return out
}

// Plan returns what was built, or the first mistake.
func (b *Builder) Plan() (*Plan, error) {
	if b.err != nil {
		return nil, b.err
	}
	p := b.p
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &p, nil
}
