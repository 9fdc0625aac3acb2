package main

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// shape holds the sizes of a model, as its makers published them.
type shape struct {
	arch                                   string
	blocks, width, ff, heads, kvHeads, dim int
	vocab, context                         int
	ropeBase                               float32
	qkvBias, tied                          bool
	latent                                 *latent // of DeepSeek-2, instead of kvHeads and dim
}

var shapes = map[string]shape{
	"qwen2.5-0.5b": {"qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6, true, true, nil},
	"qwen2.5-1.5b": {"qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768, 1e6, true, true, nil},
	"qwen2.5-7b":   {"qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 32768, 1e6, true, false, nil},
	"llama-3.2-1b": {"llama", 16, 2048, 8192, 32, 8, 64, 128256, 8192, 5e5, false, true, nil},
	"llama-3.1-8b": {"llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 5e5, false, false, nil},
	// The proportions of DeepSeek-V2-Lite, with fewer layers and experts. Written and
	// quantised for other engines: no runtime of ours runs the family yet.
	"ds2-small": {arch: "deepseek2", blocks: 6, width: 2048, ff: 10944, heads: 16, vocab: 102400, context: 8192, ropeBase: 1e4,
		latent: &latent{query: 768, kv: 512, rope: 64, plain: 128, value: 128, dense: 1, experts: 16, used: 6, ff: 1408, shared: 2}},
}

// meta is the metadata of a shape, without the architecture's prefix.
func (s *shape) meta() map[string]any {
	m := map[string]any{"attention.layer_norm_rms_epsilon": float32(1e-6), "rope.freq_base": s.ropeBase}
	for key, v := range map[string]int{
		"block_count": s.blocks, "embedding_length": s.width, "feed_forward_length": s.ff, "context_length": s.context,
		"attention.head_count": s.heads,
	} {
		m[key] = uint32(v)
	}
	if s.latent != nil {
		s.latent.meta(m)
		return m
	}
	m["attention.head_count_kv"] = uint32(s.kvHeads)
	for _, key := range []string{"rope.dimension_count", "attention.key_length", "attention.value_length"} {
		m[key] = uint32(s.dim)
	}
	return m
}

// list collects tensors.
type list []tensor.Desc

// add adds a vector in F32 or a matrix, or several, in F16.
func (l *list) add(name string, shape ...int) {
	t := tensor.F16
	if len(shape) == 1 || strings.HasSuffix(name, "ffn_gate_inp.weight") { // a router stays exact
		t = tensor.F32
	}
	*l = append(*l, tensor.Desc{Name: name, DType: t, Shape: shape})
}

// tensors are the weights of a shape, as they are before quantising.
func (s *shape) tensors() []tensor.Desc {
	var l list
	q, kv := s.heads*s.dim, s.kvHeads*s.dim
	add := l.add
	add("token_embd.weight", s.vocab, s.width)
	add("output_norm.weight", s.width)
	if !s.tied {
		add("output.weight", s.vocab, s.width)
	}
	for b := range s.blocks {
		p := fmt.Sprintf("blk.%d.", b)
		add(p+"attn_norm.weight", s.width)
		if s.latent != nil {
			s.latent.block(&l, s, p, b)
			continue
		}
		add(p+"attn_q.weight", q, s.width)
		add(p+"attn_k.weight", kv, s.width)
		add(p+"attn_v.weight", kv, s.width)
		if s.qkvBias {
			add(p+"attn_q.bias", q)
			add(p+"attn_k.bias", kv)
			add(p+"attn_v.bias", kv)
		}
		add(p+"attn_output.weight", s.width, q)
		add(p+"ffn_norm.weight", s.width)
		add(p+"ffn_gate.weight", s.ff, s.width)
		add(p+"ffn_up.weight", s.ff, s.width)
		add(p+"ffn_down.weight", s.width, s.ff)
	}
	return l
}
