package model

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Tensor is a weight: what it is and its bytes, a view of the file. The zero
// Tensor stands for one a model does not have.
type Tensor struct {
	tensor.Desc
	Data []byte
}

// Present reports whether the model has the tensor.
func (t Tensor) Present() bool { return t.Name != "" }

// Weights are a model's tensors by role, checked against its Config. d is the
// width, H and KV the numbers of heads, k and v the columns of their keys and
// values, ff the width inside the feed-forward network.
type Weights struct {
	Embed       Tensor // (vocab, d)
	OutputNorm  Tensor // (d)
	Output      Tensor // (vocab, d), the same as Embed if tied
	RopeFactors []float32
	Blocks      []BlockWeights
}

// BlockWeights are those of one transformer block.
type BlockWeights struct {
	AttnNorm Tensor // (d)
	Q        Tensor // (H*k, d)
	K        Tensor // (KV*k, d)
	V        Tensor // (KV*v, d)
	QBias    Tensor // (H*k), may be absent
	KBias    Tensor // (KV*k), may be absent
	VBias    Tensor // (KV*v), may be absent
	QNorm    Tensor // (k), may be absent
	KNorm    Tensor // (k), may be absent
	Out      Tensor // (d, H*v)
	OutBias  Tensor // (d), may be absent
	FFNNorm  Tensor // (d)
	Gate     Tensor // (ff, d)
	Up       Tensor // (ff, d)
	Down     Tensor // (d, ff)
}

// ReadWeights finds the tensors of a model and checks that they are there, have
// the shapes the Config asks for, and are all the file has: a tensor the forward
// pass does not use would mean wrong answers. It copies no matrix.
func ReadWeights(c Config, f *gguf.File) (*Weights, error) {
	s := finder{f: f, used: map[string]bool{}}
	fam := families[c.Arch]
	var (
		vocab = side{c.Vocab, "vocabulary"}
		d     = side{c.Width, "embedding_length"}
		ff    = side{c.FeedForward, "feed_forward_length"}
		key   = side{c.KeyDim, "attention.key_length"}
		q     = side{c.Heads * c.KeyDim, "attention.head_count * attention.key_length"}
		k     = side{c.KVHeads * c.KeyDim, "attention.head_count_kv * attention.key_length"}
		v     = side{c.KVHeads * c.ValueDim, "attention.head_count_kv * attention.value_length"}
		o     = side{c.Heads * c.ValueDim, "attention.head_count * attention.value_length"}
	)
	w := &Weights{Embed: s.must("token_embd.weight", vocab, d), OutputNorm: s.must("output_norm.weight", d)}
	if w.Output = w.Embed; !c.TiedEmbedding {
		w.Output = s.must("output.weight", vocab, d)
	}
	w.RopeFactors = s.ropeFactors(side{c.Rope.Dims / 2, "rope.dimension_count / 2"})
	bias := s.may
	if fam.qkvBias {
		bias = s.must
	}
	for i := 0; i < c.Blocks && s.err == nil; i++ {
		p := fmt.Sprintf("blk.%d.", i)
		b := BlockWeights{
			AttnNorm: s.must(p+"attn_norm.weight", d),
			Q:        s.must(p+"attn_q.weight", q, d),
			K:        s.must(p+"attn_k.weight", k, d),
			V:        s.must(p+"attn_v.weight", v, d),
			QBias:    bias(p+"attn_q.bias", q),
			KBias:    bias(p+"attn_k.bias", k),
			VBias:    bias(p+"attn_v.bias", v),
			Out:      s.must(p+"attn_output.weight", d, o),
			OutBias:  s.may(p+"attn_output.bias", d),
			FFNNorm:  s.must(p+"ffn_norm.weight", d),
			Gate:     s.must(p+"ffn_gate.weight", ff, d),
			Up:       s.must(p+"ffn_up.weight", ff, d),
			Down:     s.must(p+"ffn_down.weight", d, ff),
		}
		if fam.qkNorm {
			b.QNorm, b.KNorm = s.must(p+"attn_q_norm.weight", key), s.must(p+"attn_k_norm.weight", key)
		}
		w.Blocks = append(w.Blocks, b)
	}
	s.refuseRest(c.Arch)
	return w, s.err
}

// side is a side of a tensor's shape and the metadata it follows from.
type side struct {
	n    int
	from string
}

// finder looks tensors up. After the first mistake it finds no more.
type finder struct {
	f    *gguf.File
	used map[string]bool
	err  error
}

func (s *finder) fail(name, format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("model: %s: tensor %.120q: "+format, append([]any{s.f.Name, name}, args...)...)
	}
}

func (s *finder) may(name string, sides ...side) Tensor {
	if _, ok := s.f.Tensor(name); !ok {
		return Tensor{}
	}
	return s.must(name, sides...)
}

func (s *finder) must(name string, sides ...side) Tensor {
	if s.err != nil {
		return Tensor{}
	}
	t, ok := s.f.Tensor(name)
	if !ok {
		s.fail(name, "it is missing: the file is incomplete or was converted wrongly")
		return Tensor{}
	}
	s.used[name] = true
	fits := len(t.Shape) == len(sides)
	for i := 0; fits && i < len(sides); i++ {
		fits = t.Shape[i] == sides[i].n
	}
	switch {
	case !fits:
		s.fail(name, "found shape %d, wanted %v", t.Shape, sides)
	case len(sides) == 1 && t.DType != tensor.F32:
		s.fail(name, "found %v, wanted F32: vectors are not quantised; convert the model again", t.DType)
	}
	return Tensor{Desc: t.Desc, Data: s.f.Data(t)}
}

func (d side) String() string { return fmt.Sprintf("%d (%s)", d.n, d.from) }

// ropeFactors reads rope_freqs.weight, nil if the file has none.
func (s *finder) ropeFactors(n side) []float32 {
	const name = "rope_freqs.weight"
	t := s.may(name, n)
	if !t.Present() || s.err != nil {
		return nil
	}
	factors := make([]float32, n.n)
	err := gguf.Guard(s.f, func() {
		for i := range factors {
			factors[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	})
	if err != nil {
		s.err = fmt.Errorf("model: %w", err)
		return nil
	}
	for i, x := range factors {
		if !(x >= 1e-3 && x <= 1e6) {
			s.fail(name, "element %d is %v; allowed: 0.001 to 1000000", i, x)
		}
	}
	return factors
}

// refuseRest refuses a file with tensors that no role took.
func (s *finder) refuseRest(arch string) {
	for _, t := range s.f.Tensors() {
		if !s.used[t.Name] {
			s.fail(t.Name, "a %s model has no use for it, so its answers would be wrong without it: this variant is not supported", arch)
			return
		}
	}
}
