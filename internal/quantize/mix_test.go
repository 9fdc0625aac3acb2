package quantize

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

func mustMix(t *testing.T, name string) Mix {
	t.Helper()
	m, err := ParseMix(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseMix(t *testing.T) {
	for name, want := range map[string]string{"q4_k_m": "Q4_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "bf16": "BF16", "Q8_0": "Q8_0"} {
		if m := mustMix(t, name); m.Name != want {
			t.Errorf("%s is %s, want %s", name, m.Name, want)
		}
	}
	for _, name := range Names() {
		m := mustMix(t, name)
		if !m.Base.CanQuantize() || !strings.HasPrefix(name, m.Base.String()) {
			t.Errorf("%s has base %v", name, m.Base)
		}
	}
	if _, err := ParseMix("Q3_K_M"); err == nil || !strings.Contains(err.Error(), "Q4_K_M") {
		t.Errorf("an unknown mix gives %v, want an error that lists the known ones", err)
	}
}

// The formats llama-quantize chose for a small model.
func TestMixIsThatOfLlamaQuantize(t *testing.T) {
	f, err := gguf.Open(testdata.Path(t, "golden", "t-llama-k-Q4_K_M.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, theirs := range f.Tensors() {
		d := theirs.Desc
		d.DType = tensor.F32
		got, substitute := mustMix(t, "Q4_K_M").choose(d, shape{layers: 2}, false)
		if got != theirs.DType || substitute {
			t.Errorf("%s gets %v, llama-quantize gave it %v", d.Name, got, theirs.DType)
		}
	}
}

// qwen05b are the matrices of Qwen2.5-0.5B.
func qwen05b() []tensor.Desc {
	d := []tensor.Desc{{Name: "token_embd.weight", Shape: []int{151936, 896}}}
	for l := range 24 {
		for _, m := range []tensor.Desc{
			{Name: "attn_q", Shape: []int{896, 896}}, {Name: "attn_output", Shape: []int{896, 896}},
			{Name: "attn_k", Shape: []int{128, 896}}, {Name: "attn_v", Shape: []int{128, 896}},
			{Name: "ffn_gate", Shape: []int{4864, 896}}, {Name: "ffn_up", Shape: []int{4864, 896}},
			{Name: "ffn_down", Shape: []int{896, 4864}},
		} {
			d = append(d, tensor.Desc{Name: fmt.Sprintf("blk.%d.%s.weight", l, m.Name), Shape: m.Shape})
		}
	}
	return d
}

// Qwen2.5-0.5B as Q4_K_M is known to be 173 MB of Q5_0 and 146 MB of Q8_0 among
// 392 MB, because its 896 columns are no multiple of 256.
func TestMixOfRowsThatDoNotFit(t *testing.T) {
	bytes, all := map[tensor.DType]int{}, 0
	for _, d := range qwen05b() {
		d.DType, _ = mustMix(t, "Q4_K_M").choose(d, shape{layers: 24, tied: true}, false)
		bytes[d.DType] += d.Bytes()
		all += d.Bytes()
	}
	mb := func(n int) int { return (n + 500000) / 1000000 }
	if mb(bytes[tensor.Q5_0]) != 173 || mb(bytes[tensor.Q8_0]) != 146 || mb(all) < 391 || mb(all) > 393 {
		t.Errorf("%v, %d MB in all; want 173 MB of Q5_0, 146 MB of Q8_0, 392 MB", bytes, mb(all))
	}
}

func TestChoose(t *testing.T) {
	layers := shape{layers: 32}
	for _, c := range []struct {
		mix, name string
		shape     []int
		in        shape
		want      tensor.DType
	}{
		{"Q4_K_M", "output.weight", []int{1000, 4096}, layers, tensor.Q6_K},
		{"Q4_K_M", "token_embd.weight", []int{1000, 4096}, layers, tensor.Q4_K},
		{"Q4_0", "output.weight", []int{1000, 4096}, layers, tensor.Q6_K},
		{"Q4_0", "output.weight", []int{1000, 96}, layers, tensor.Q8_0},
		{"Q8_0", "output.weight", []int{1000, 4096}, layers, tensor.Q8_0},
		{"Q4_0", "blk.3.attn_q.weight", []int{64, 72}, layers, tensor.F16},
		{"Q4_K_M", "blk.3.ffn_down.weight", []int{64, 512}, layers, tensor.Q6_K},
		{"Q4_K_M", "blk.4.ffn_down.weight", []int{64, 512}, layers, tensor.Q4_K},
		{"Q4_K_M", "blk.6.ffn_down_exps.weight", []int{4, 64, 512}, layers, tensor.Q6_K},
		{"Q4_K_M", "blk.27.attn_v.weight", []int{64, 512}, layers, tensor.Q6_K},
		{"Q4_K_M", "blk.28.attn_v.weight", []int{64, 512}, layers, tensor.Q6_K},
		{"Q4_K_S", "blk.3.attn_v.weight", []int{64, 512}, layers, tensor.Q5_K},
		{"Q4_K_S", "blk.4.ffn_down.weight", []int{64, 512}, layers, tensor.Q4_K},
		{"Q5_K_S", "blk.0.ffn_down.weight", []int{64, 512}, layers, tensor.Q5_K},
		{"Q5_K_M", "blk.0.attn_v.weight", []int{64, 896}, layers, tensor.Q8_0},
		{"Q5_K_M", "blk.0.attn_q.weight", []int{64, 896}, layers, tensor.Q5_1},
		{"Q4_K_M", "blk.9.attn_k.weight", []int{64, 512}, shape{layers: 32, experts: 8}, tensor.Q8_0},
		{"Q4_K_M", "blk.9.attn_output.weight", []int{64, 512}, shape{layers: 32, experts: 8}, tensor.Q5_K},
		{"F16", "output.weight", []int{1000, 4096}, layers, tensor.F16},
		// these stay as they are
		{"Q4_0", "blk.3.attn_norm.weight", []int{4096}, layers, tensor.F32},
		{"Q4_0", "blk.3.attn_q_norm.weight", []int{2, 128}, layers, tensor.F32},
		{"Q4_0", "blk.3.ffn_gate_inp.weight", []int{8, 4096}, layers, tensor.F32},
		{"Q4_0", "blk.3.ffn_down_exps.bias", []int{8, 4096}, layers, tensor.F32},
		{"Q4_0", "blk.3.attn_sinks.weight", []int{64}, layers, tensor.F32},
		{"F16", "rope_freqs.weight", []int{64}, layers, tensor.F32},
	} {
		got, _ := mustMix(t, c.mix).choose(tensor.Desc{Name: c.name, Shape: c.shape}, c.in, false)
		if got != c.want {
			t.Errorf("%s: %s %v gets %v, want %v", c.mix, c.name, c.shape, got, c.want)
		}
	}
	if got, _ := mustMix(t, "Q4_K_M").choose(tensor.Desc{Name: "output.weight", Shape: []int{9, 512}}, layers, true); got != tensor.Q4_K {
		t.Errorf("pure: the output gets %v, want Q4_K", got)
	}
}
