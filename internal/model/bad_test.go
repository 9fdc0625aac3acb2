package model_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// tryModel does what opening a model does.
func tryModel(name string, data []byte) (*plan.Plan, error) {
	f, err := gguf.Parse(name, data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := model.ReadConfig(f)
	if err != nil {
		return nil, err
	}
	p, _, err := model.Build(c, f)
	return p, err
}

// What the error must name, for each malformed file this package has to refuse.
var badNames = map[string]string{
	"m_arch_unknown":       `"general.architecture" is "nope"`,
	"m_zero_head_count":    `"llama.attention.head_count" is 0`,
	"m_zero_head_count_kv": `"llama.attention.head_count_kv" is 0`,
	"m_zero_embedding":     `"llama.embedding_length" is 0`,
	"m_kv_gt_heads":        `"llama.attention.head_count_kv" is 7`,
	"m_eps_nan":            `"llama.attention.layer_norm_rms_epsilon" is NaN`,
	"m_ctx_2_31":           `"llama.context_length" is 2147483648`,
	"m_shape_swap":         `"blk.0.attn_q.weight": found shape`,
	"m_tensor_missing":     `"blk.0.ffn_up.weight": it is missing`,
	"v_tokens_i32":         `"tokenizer.ggml.tokens"`,
}

func TestBadModels(t *testing.T) {
	var classes []struct{ Name, File, Cls, Want string }
	testdata.JSON(t, &classes, "badgguf", "classes.json")
	seen := 0
	for _, c := range classes {
		_, err := tryModel(c.File, testdata.Open(t, "badgguf", c.File))
		want, ours := badNames[c.Name]
		switch {
		case ours:
			seen++
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s (%s): got %v, want an error that names %s", c.Name, c.Cls, err, want)
			}
		case c.Want == "accept" && err != nil, c.Want == "reject" && err == nil, c.Cls == "model":
			t.Errorf("%s (%s): want %s, got %v", c.Name, c.Cls, c.Want, err)
		}
	}
	if seen != len(badNames) {
		t.Errorf("%d of %d files are there", seen, len(badNames))
	}
}

// Models of other kinds are refused by name, not run wrongly.
func TestOtherArchitecturesAreRefused(t *testing.T) {
	var manifest struct{ Entries []goldenEntry }
	testdata.JSON(t, &manifest, "golden", "manifest.json")
	refused := 0
	for _, e := range manifest.Entries {
		if strings.HasPrefix(e.Arch, "llama") || e.Arch == "qwen2" || e.Arch == "qwen3" {
			continue
		}
		refused++
		if _, err := tryModel(e.File, testdata.Open(t, "golden", e.File)); err == nil || !strings.Contains(err.Error(), "supported: llama, qwen2, qwen3") {
			t.Errorf("%s: %v", e.File, err)
		}
	}
	const moe = "stories260K-moe4x2-F16.gguf"
	if _, err := tryModel(moe, testdata.Open(t, "models", moe)); err == nil || !strings.Contains(err.Error(), `"llama.expert_count" is 4`) {
		t.Errorf("%s: %v", moe, err)
	}
	if refused == 0 {
		t.Error("no other architecture was tried")
	}
}

// FuzzConfig damages the headers of good files: a number after a key is replaced,
// and bytes are written over anything. Opening must answer, and a plan that comes
// out must be valid, fit together and be no larger than the file can account for.
func FuzzConfig(f *testing.F) {
	yarn := map[string]any{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.expert_count": uint32(0)}
	bases := [][]byte{
		modeltest.Tiny("llama", tensor.Q8_0, 1),
		modeltest.Tiny("qwen2", tensor.F16, 1),
		modeltest.Tiny("qwen3", tensor.Q4_K, 1),
		modeltest.Make(modeltest.Options{Arch: "llama", DType: tensor.MXFP4, Factors: true, Untied: true, Set: yarn}),
	}
	headers := make([]int, len(bases))
	keys := make([][]string, len(bases))
	for i, b := range bases {
		file, err := gguf.Parse("base", b)
		if err != nil {
			f.Fatal(err)
		}
		headers[i], keys[i] = int(file.Tensors()[0].Offset), file.Keys()
		for k := range keys[i] {
			for _, n := range []uint64{0, 1, 3, 1 << 31, 1 << 63} {
				f.Add(uint8(i), uint8(k), n, uint32(0), []byte{})
			}
		}
		f.Add(uint8(i), uint8(255), uint64(0), uint32(headers[i]-60), []byte("blk.9"))
	}
	f.Fuzz(func(t *testing.T, base, key uint8, number uint64, at uint32, over []byte) {
		i := int(base) % len(bases)
		data := bytes.Clone(bases[i])
		header := data[:headers[i]]
		if int(key) < len(keys[i]) { // skip the key and the type of its value
			value := bytes.Index(header, []byte(keys[i][key])) + len(keys[i][key]) + 4
			binary.LittleEndian.PutUint64(data[value:], number)
		}
		copy(header[int(at)%len(header):], over)
		p, err := tryModel("fuzz", data)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		if err := plan.Fuse(p, nil).Validate(); err != nil {
			t.Error(err)
		}
		if _, width := plan.Arena(p); width > len(data) || len(p.Steps) > len(data) {
			t.Errorf("%d bytes make %d steps and rows of %d", len(data), len(p.Steps), width)
		}
		_ = p.String()
	})
}
