package model_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

func parse(t testing.TB, o modeltest.Options) *gguf.File {
	t.Helper()
	f, err := gguf.Parse("file.gguf", modeltest.Make(o))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadConfig(t *testing.T) {
	none := model.RopeConfig{Dims: 16, FreqBase: 10000, Factor: 1, OriginalContext: 512, BetaFast: 32, BetaSlow: 1, AttnFactor: 1, LinearAttnFactor: 1}
	base := model.Config{Arch: "llama", Context: 512, Vocab: 288, Blocks: 2, Width: 64, FeedForward: 160, Heads: 4, KVHeads: 2,
		KeyDim: 16, ValueDim: 16, Eps: 1e-6, TiedEmbedding: true, Rope: none}
	for name, c := range map[string]struct {
		o    modeltest.Options
		want func(c *model.Config)
	}{
		"llama":  {modeltest.Options{Arch: "llama"}, func(c *model.Config) {}},
		"untied": {modeltest.Options{Arch: "llama", Untied: true}, func(c *model.Config) { c.TiedEmbedding = false }},
		"qwen2":  {modeltest.Options{Arch: "qwen2"}, func(c *model.Config) { c.Arch, c.Rope.NEOX = "qwen2", true }},
		"qwen3": {modeltest.Options{Arch: "qwen3"}, func(c *model.Config) {
			c.Arch, c.Rope.NEOX, c.KeyDim, c.ValueDim, c.Rope.Dims = "qwen3", true, 32, 32, 32
		}},
		"defaults": {modeltest.Options{Arch: "llama", Set: map[string]any{
			"llama.attention.head_count_kv": nil, "llama.attention.key_length": nil, "llama.attention.value_length": nil,
			"llama.rope.dimension_count": nil, "llama.rope.freq_base": nil,
		}}, func(c *model.Config) { c.KVHeads = 4 }},
		"part of a head": {modeltest.Options{Arch: "llama", Set: map[string]any{"llama.rope.dimension_count": uint32(8)}},
			func(c *model.Config) { c.Rope.Dims = 8 }},
		"linear": {modeltest.Options{Arch: "llama", Set: map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4)}},
			func(c *model.Config) { c.Rope.Factor = 4 }},
		"linear, unsaid": {modeltest.Options{Arch: "llama", Set: map[string]any{"llama.rope.scaling.factor": float32(4)}},
			func(c *model.Config) { c.Rope.Factor = 4 }},
		"linear, old key": {modeltest.Options{Arch: "llama", Set: map[string]any{"llama.rope.scale_linear": float32(2)}},
			func(c *model.Config) { c.Rope.Factor = 2 }},
		"none": {modeltest.Options{Arch: "llama", Set: map[string]any{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": float32(4)}},
			func(c *model.Config) {}},
		"yarn": {modeltest.Options{Arch: "llama", Set: map[string]any{
			"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.original_context_length": uint32(128),
			"llama.rope.scaling.yarn_beta_fast": float32(16), "llama.rope.scaling.yarn_beta_slow": float32(2), "llama.rope.scaling.attn_factor": float32(1.5),
			"llama.rope.scaling.yarn_attn_factor": float32(3), "llama.rope.scaling.yarn_log_multiplier": float32(0),
		}}, func(c *model.Config) {
			c.Rope.Factor, c.Rope.ExtFactor, c.Rope.OriginalContext, c.Rope.BetaFast, c.Rope.BetaSlow = 4, 1, 128, 16, 2
			c.Rope.AttnFactor, c.Rope.LinearAttnFactor = 1.5, 3
		}},
		"half yarn": {modeltest.Options{Arch: "llama", Set: map[string]any{
			"llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_ext_factor": float32(0.5)}}, func(c *model.Config) { c.Rope.ExtFactor = 0.5 }},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := model.ReadConfig(parse(t, c.o))
			if err != nil {
				t.Fatal(err)
			}
			want := base
			c.want(&want)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// Every refusal names the file, the key, the value and what is allowed.
func TestReadConfigRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		key   string
		value any // nil: the key is missing
		want  string
	}{
		{"general.architecture", nil, `is missing: this is no model; supported: llama, qwen2, qwen3`},
		{"general.architecture", "mamba", `is "mamba", which is not supported; supported: llama, qwen2, qwen3`},
		{"general.architecture", uint32(5), `wanted is a string`},
		{"llama.context_length", nil, `is missing; allowed: 1 to 2147483647`},
		{"llama.context_length", uint32(0), `is 0; allowed: 1 to 2147483647`},
		{"llama.context_length", uint64(1 << 31), `is 2147483648; allowed: 1 to 2147483647`},
		{"llama.context_length", uint64(1 << 63), `allowed: 1 to 2147483647`},
		{"llama.context_length", "512", `it is the string "512", wanted is an integer`},
		{"llama.block_count", nil, `is missing; allowed: 1 to 1024`},
		{"llama.block_count", uint32(0), `is 0; allowed: 1 to 1024`},
		{"llama.block_count", uint32(1025), `is 1025; allowed: 1 to 1024`},
		{"llama.embedding_length", int32(-64), `is -64; allowed: 1 to 131072`},
		{"llama.feed_forward_length", uint32(1<<20 + 1), `is 1048577; allowed: 1 to 1048576`},
		{"llama.attention.head_count", uint32(0), `is 0; allowed: 1 to 1024`},
		{"llama.attention.head_count_kv", uint32(0), `is 0; allowed: 1 to 4`},
		{"llama.attention.head_count_kv", uint32(5), `is 5; allowed: 1 to 4`},
		{"llama.attention.head_count_kv", uint32(3), `is 3; allowed: a divisor of attention.head_count, which is 4`},
		{"llama.attention.head_count_kv", []uint32{2, 2}, `an array of uint32, wanted is an integer: the file is damaged or was converted wrongly; allowed: 1 to 4`},
		{"llama.attention.key_length", uint32(1), `is 1; allowed: 2 to 4096`},
		{"llama.attention.value_length", uint32(4097), `is 4097; allowed: 1 to 4096`},
		{"llama.attention.layer_norm_rms_epsilon", nil, `is missing; allowed: above 0, up to 1`},
		{"llama.attention.layer_norm_rms_epsilon", nan, `is NaN; allowed: above 0, up to 1`},
		{"llama.attention.layer_norm_rms_epsilon", inf, `is +Inf; allowed: above 0, up to 1`},
		{"llama.attention.layer_norm_rms_epsilon", float32(0), `is 0; allowed: above 0, up to 1`},
		{"llama.attention.layer_norm_rms_epsilon", 1e-300, `is 0; allowed: above 0 as a 32-bit float`},
		{"llama.attention.layer_norm_rms_epsilon", uint32(1), `; allowed: above 0, up to 1`},
		{"llama.attention.causal", false, `is false; allowed: true`},
		{"llama.attention.causal", "yes", `wanted is a bool`},
		{"llama.rope.dimension_count", uint32(18), `is 18; allowed: 2 to 16`},
		{"llama.rope.dimension_count", uint32(7), `is 7; allowed: even numbers from 2 to 16`},
		{"llama.rope.freq_base", float32(1), `is 1; allowed: above 1, up to 1e+12`},
		{"llama.rope.scaling.type", "longrope", `is "longrope"; allowed: none, linear, yarn`},
		{"llama.rope.scaling.type", uint32(1), `wanted is a string`},
		{"llama.rope.scaling.factor", float32(0), `is 0; allowed: above 0, up to 1e+06`},
		{"llama.rope.scaling.original_context_length", uint32(0), `is 0; allowed: 1 to 2147483647`},
		{"llama.rope.scaling.yarn_ext_factor", float32(2), `is 2; allowed: above -2, up to 1`},
		{"llama.rope.scaling.yarn_beta_fast", float32(-1), `is -1; allowed: above 0, up to 1e+06`},
		{"llama.rope.scaling.yarn_beta_slow", nan, `is NaN; allowed: above 0, up to 1e+06`},
		{"llama.rope.scaling.attn_factor", float32(0), `is 0; allowed: above 0, up to 1000`},
		{"llama.rope.scaling.yarn_log_multiplier", float32(0.1), `allowed: 0 for this architecture`},
		{"llama.expert_count", uint32(8), `is 8; allowed: 0: mixtures of experts are not supported yet`},
		{"tokenizer.ggml.tokens", []string{"a", "b"}, `has 2 entries; allowed: 288, the rows of tensor "token_embd.weight"`},
		{"tokenizer.ggml.tokens", []int32{1}, `wanted is an array of string`},
	} {
		f := parse(t, modeltest.Options{Arch: "llama", Set: map[string]any{c.key: c.value}})
		_, err := model.ReadConfig(f)
		for _, want := range []string{"model: ", "file.gguf", `"` + c.key + `"`, c.want} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s = %v: got error %v\nwhich does not say %s", c.key, c.value, err, want)
				break
			}
		}
	}

	// Where head sizes follow from the width, it must divide.
	f := parse(t, modeltest.Options{Arch: "llama", Set: map[string]any{"llama.attention.key_length": nil, "llama.attention.head_count": uint32(6)}})
	if _, err := model.ReadConfig(f); err == nil || !strings.Contains(err.Error(), `"llama.attention.head_count" is 6; allowed: a divisor of embedding_length, which is 64`) {
		t.Errorf("64 columns in 6 heads: %v", err)
	}
}

func TestReadConfigRefusesEmbeddings(t *testing.T) {
	for want, o := range map[string]modeltest.Options{
		`tensor "token_embd.weight" is missing`:            {Drop: []string{"token_embd.weight"}},
		`tensor "token_embd.weight": found shape [18432];`: {Reshape: map[string][]int{"token_embd.weight": {288 * 64}}},
		`has 288 entries; allowed: 144`:                    {Reshape: map[string][]int{"token_embd.weight": {144, 64}}},
	} {
		o.Arch = "llama"
		if _, err := model.ReadConfig(parse(t, o)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for want, o := range map[string]modeltest.Options{
		`tensor "blk.1.ffn_up.weight": it is missing`:         {Arch: "llama", Drop: []string{"blk.1.ffn_up.weight"}},
		`tensor "output_norm.weight": it is missing`:          {Arch: "llama", Drop: []string{"output_norm.weight"}},
		`tensor "blk.0.attn_q.bias": it is missing`:           {Arch: "qwen2", Drop: []string{"blk.0.attn_q.bias"}},
		`tensor "blk.1.attn_k_norm.weight": it is missing`:    {Arch: "qwen3", Drop: []string{"blk.1.attn_k_norm.weight"}},
		`tensor "blk.2.attn_norm.weight": it is missing`:      {Arch: "llama", Set: map[string]any{"llama.block_count": uint32(1000)}},
		`tensor "blk.1.attn_norm.weight": a llama model has`:  {Arch: "llama", Set: map[string]any{"llama.block_count": uint32(1)}},
		`tensor "rope_freqs.weight": element 0 is 0; allowed`: {Arch: "llama", Extra: []tensor.Desc{{Name: "rope_freqs.weight", Shape: []int{8}}}},
		`tensor "blk.0.attn_q.weight": found shape [32 128], wanted [64 (attention.head_count * attention.key_length) 64 (embedding_length)]`: {
			Arch: "llama", Reshape: map[string][]int{"blk.0.attn_q.weight": {32, 128}}},
		`tensor "blk.0.attn_k.weight": found shape [32 64], wanted [64 (attention.head_count_kv * attention.key_length) 64 (embedding_length)]`: {
			Arch: "llama", Set: map[string]any{"llama.attention.head_count_kv": uint32(4)}},
		`tensor "output.weight": found shape [64 288], wanted [288 (vocabulary) 64 (embedding_length)]`: {
			Arch: "llama", Untied: true, Reshape: map[string][]int{"output.weight": {64, 288}}},
		`tensor "rope_freqs.weight": found shape [8], wanted [4 (rope.dimension_count / 2)]`: {
			Arch: "llama", Factors: true, Set: map[string]any{"llama.rope.dimension_count": uint32(8)}},
		`tensor "blk.0.attn_norm.weight": found F16, wanted F32`: {
			Arch: "llama", Retype: map[string]tensor.DType{"blk.0.attn_norm.weight": tensor.F16}},
		`tensor "blk.0.ffn_gate.bias": a llama model has no use for it`: {
			Arch: "llama", Extra: []tensor.Desc{{Name: "blk.0.ffn_gate.bias", Shape: []int{160}}}},
		`tensor "blk.0.attn_q_norm.weight": a llama model has no use for it`: {
			Arch: "llama", Extra: []tensor.Desc{{Name: "blk.0.attn_q_norm.weight", Shape: []int{16}}}},
	} {
		f := parse(t, o)
		c, err := model.ReadConfig(f)
		if err != nil {
			t.Errorf("ReadConfig: %v", err)
			continue
		}
		if _, _, err = model.Build(c, f); err == nil || !strings.Contains(err.Error(), "model: file.gguf: "+want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// Biases a llama model may have change its answers.
func TestBuildTakesOptionalBiases(t *testing.T) {
	extra := []tensor.Desc{{Name: "blk.0.attn_q.bias", Shape: []int{64}}, {Name: "blk.1.attn_output.bias", Shape: []int{64}}}
	f := parse(t, modeltest.Options{Arch: "llama", Extra: extra})
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	text := p.String()
	for _, d := range extra {
		if !strings.Contains(text, " bias="+d.String()) {
			t.Errorf("the plan has no %v", d)
		}
	}
	for i, d := range p.Weights {
		stored, _ := f.Tensor(d.Name)
		if len(data[i]) != d.Bytes() || &data[i][0] != &f.Data(stored)[0] {
			t.Errorf("data %d is not that of %v in the file", i, d)
		}
	}
}
