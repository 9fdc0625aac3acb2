package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
)

// The shapes have as many parameters as the models they stand for.
func TestParameters(t *testing.T) {
	millions := map[string]float64{
		"qwen2.5-0.5b": 494, "qwen2.5-1.5b": 1544, "qwen2.5-7b": 7616, "llama-3.2-1b": 1236, "llama-3.1-8b": 8030, "ds2-small": 1334,
	}
	for name, s := range shapes {
		n := 0
		for _, d := range s.tensors() {
			n += d.Elems()
		}
		if got, want := float64(n)/1e6, millions[name]; got < 0.995*want || got > 1.005*want {
			t.Errorf("%s: %.0f million parameters, want %.0f", name, got, want)
		}
	}
}

// A file of a dense shape can be run; of DeepSeek-2 it can be read, and is refused by
// name.
func TestWrite(t *testing.T) {
	small := map[string]shape{
		"dense": {"qwen2", 2, 64, 96, 4, 2, 16, 300, 128, 1e6, true, true, nil},
		"ds2": {arch: "deepseek2", blocks: 2, width: 64, ff: 96, heads: 2, vocab: 300, context: 128, ropeBase: 1e4,
			latent: &latent{query: 32, kv: 32, rope: 16, plain: 32, value: 32, dense: 1, experts: 4, used: 2, ff: 64, shared: 1}},
	}
	for name, s := range small {
		for _, format := range []string{"F16", "Q8_0"} {
			path := filepath.Join(t.TempDir(), name+".gguf")
			if err := write(name, s, path, format); err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatalf("%s in %s: %v", name, format, err)
			}
			defer f.Close()
			c, err := model.ReadConfig(f)
			if s.latent != nil {
				if err == nil || !strings.Contains(err.Error(), `"deepseek2", which is not supported`) {
					t.Errorf("%s in %s: %v", name, format, err)
				}
				continue
			}
			if err == nil {
				_, _, err = model.Build(c, f)
			}
			if err != nil {
				t.Errorf("%s in %s: %v", name, format, err)
			}
		}
	}
}
