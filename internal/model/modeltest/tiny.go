// Package modeltest makes small random models for tests: whole GGUF files, in
// memory, of every architecture and weight format, the same for the same seed.
package modeltest

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Options say which model to make. Arch is needed, the rest may be zero.
type Options struct {
	Arch  string       // llama, qwen2 or qwen3
	DType tensor.DType // of the matrices; norms and biases are F32
	Seed  uint64

	Untied   bool    // an output.weight of its own
	Factors  bool    // rope_freqs.weight in the manner of Llama 3 (llama only)
	Blocks   int     // 0 means 2
	Context  int     // 0 means 512
	FreqBase float64 // 0 means 10000

	// Set overrides metadata; a nil value leaves the key out.
	Set map[string]any
	// Drop leaves tensors out, Reshape gives them another shape, Retype another
	// format, Extra adds tensors of zeroes.
	Drop    []string
	Reshape map[string][]int
	Retype  map[string]tensor.DType
	Extra   []tensor.Desc
}

// Tiny is the model most tests want: two blocks of four heads and two KV heads,
// 64 columns wide, 256 where the format's blocks are, with a vocabulary of Vocab
// tokens and tied embeddings. It panics on an architecture or format it does not
// know.
func Tiny(arch string, t tensor.DType, seed uint64) []byte {
	return Make(Options{Arch: arch, DType: t, Seed: seed})
}

// Arches lists the architectures Make knows.
func Arches() []string { return []string{"llama", "qwen2", "qwen3"} }

// shape holds the sizes of a model.
type shape struct{ d, ff, heads, kv, dim, blocks int }

func (o *Options) shape() shape {
	s := shape{d: 64, ff: 160, heads: 4, kv: 2, dim: 16, blocks: 2}
	if o.DType.BlockElems() > 32 {
		s = shape{d: 256, ff: 512, heads: 4, kv: 2, dim: 64, blocks: 2}
	}
	if o.Arch == "qwen3" {
		s.dim *= 2 // its heads together are wider than the model
	}
	if o.Blocks > 0 {
		s.blocks = o.Blocks
	}
	return s
}

// Make returns the bytes of a GGUF file. It panics on options it cannot follow.
func Make(o Options) []byte {
	if !slices.Contains(Arches(), o.Arch) || !o.DType.Valid() {
		panic(fmt.Sprintf("modeltest: no model of architecture %q with %v", o.Arch, o.DType))
	}
	w := gguf.NewWriter()
	meta := o.meta()
	maps.Copy(meta, o.Set)
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if meta[k] != nil {
			w.Set(k, meta[k])
		}
	}
	for _, t := range o.tensors() {
		if slices.Contains(o.Drop, t.Name) {
			continue
		}
		if s, ok := o.Reshape[t.Name]; ok {
			t.Shape = s
		}
		if d, ok := o.Retype[t.Name]; ok {
			t.DType = d
		}
		w.AddBytes(t.Desc, t.draw(o.Seed))
	}
	for _, d := range o.Extra {
		w.AddBytes(d, make([]byte, d.Bytes()))
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (o *Options) meta() map[string]any {
	s, context, base := o.shape(), 512, 10000.0
	if o.Context > 0 {
		context = o.Context
	}
	if o.FreqBase > 0 {
		base = o.FreqBase
	}
	m := map[string]any{"general.architecture": o.Arch, "general.name": "tiny random " + o.Arch}
	for k, v := range map[string]any{
		"context_length": uint32(context), "embedding_length": uint32(s.d), "block_count": uint32(s.blocks),
		"feed_forward_length": uint32(s.ff), "attention.head_count": uint32(s.heads), "attention.head_count_kv": uint32(s.kv),
		"attention.key_length": uint32(s.dim), "attention.value_length": uint32(s.dim), "rope.dimension_count": uint32(s.dim),
		"rope.freq_base": float32(base), "attention.layer_norm_rms_epsilon": float32(1e-6), "vocab_size": uint32(Vocab),
	} {
		m[o.Arch+"."+k] = v
	}
	maps.Copy(m, vocabulary(o.Arch))
	return m
}

// weight is a tensor and how its elements are distributed.
type weight struct {
	tensor.Desc
	mean, std float64
	factors   bool // Llama-3 rope factors instead
}

func (o *Options) tensors() []weight {
	s := o.shape()
	var all []weight
	matrix := func(name string, rows, cols int, gain float64) {
		all = append(all, weight{Desc: tensor.Desc{Name: name, DType: o.DType, Shape: []int{rows, cols}}, std: gain / math.Sqrt(float64(cols))})
	}
	vector := func(name string, n int, mean, std float64) {
		all = append(all, weight{Desc: tensor.Desc{Name: name, DType: tensor.F32, Shape: []int{n}}, mean: mean, std: std})
	}
	matrix("token_embd.weight", Vocab, s.d, 2)
	vector("output_norm.weight", s.d, 1, 0.1)
	if o.Untied {
		matrix("output.weight", Vocab, s.d, 2)
	}
	if o.Factors {
		all = append(all, weight{Desc: tensor.Desc{Name: "rope_freqs.weight", DType: tensor.F32, Shape: []int{s.dim / 2}}, factors: true})
	}
	for i := range s.blocks {
		p := fmt.Sprintf("blk.%d.", i)
		vector(p+"attn_norm.weight", s.d, 1, 0.1)
		matrix(p+"attn_q.weight", s.heads*s.dim, s.d, 1.5)
		matrix(p+"attn_k.weight", s.kv*s.dim, s.d, 1.5)
		matrix(p+"attn_v.weight", s.kv*s.dim, s.d, 1)
		matrix(p+"attn_output.weight", s.d, s.heads*s.dim, 1)
		switch o.Arch {
		case "qwen2":
			vector(p+"attn_q.bias", s.heads*s.dim, 0, 0.3)
			vector(p+"attn_k.bias", s.kv*s.dim, 0, 0.3)
			vector(p+"attn_v.bias", s.kv*s.dim, 0, 0.3)
		case "qwen3":
			vector(p+"attn_q_norm.weight", s.dim, 1, 0.1)
			vector(p+"attn_k_norm.weight", s.dim, 1, 0.1)
		}
		vector(p+"ffn_norm.weight", s.d, 1, 0.1)
		matrix(p+"ffn_gate.weight", s.ff, s.d, 1.5)
		matrix(p+"ffn_up.weight", s.ff, s.d, 1)
		matrix(p+"ffn_down.weight", s.d, s.ff, 1.5)
	}
	return all
}

// draw makes the data. It depends on the seed and the tensor's name only.
func (t *weight) draw(seed uint64) []byte {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	if t.factors {
		return encode(t.DType, rampFactors(t.Elems()))
	}
	if t.DType.BlockElems() > 1 {
		return RandomBlocks(r, t.DType, t.Elems(), t.std)
	}
	x := make([]float32, t.Elems())
	for i := range x {
		x[i] = float32(t.mean + t.std*r.NormFloat64())
	}
	return encode(t.DType, x)
}

// rampFactors are frequency divisors that leave the fast quarter alone and rise to
// 8 at the slow end, as those of Llama 3 do.
func rampFactors(n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		f[i] = 1 + 7*max(0, float32(i)/float32(n)-0.25)/0.75
	}
	return f
}
