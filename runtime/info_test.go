package sandwarp

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/cpubackend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// What an operator is told when a model is opened, and what Info says of it.
func TestOpenedLog(t *testing.T) {
	data := modeltest.Tiny("qwen2", tensor.Q8_0, 1)
	type memory struct{ cache, weights int64 }
	open := func(o Options) (m memory, log map[string]any) {
		var out bytes.Buffer
		o.Backend, o.Threads, o.Logger = "cpu", 2, slog.New(slog.NewJSONHandler(&out, nil))
		model, err := OpenBytes(context.Background(), "tiny", data, o)
		if err != nil {
			t.Fatal(err)
		}
		defer model.Close()
		i := model.Info()
		if i.Threads != 2 {
			t.Errorf("Info says %d threads", i.Threads)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &log); err != nil {
			t.Fatal(err)
		}
		return memory{i.CacheBytes, i.WeightMemory}, log
	}
	small, log := open(Options{Context: 64, CacheTokens: 64})
	large, _ := open(Options{Context: 64, CacheTokens: 640})
	wide, _ := open(Options{Context: 64, CacheTokens: 64, CacheType: CacheF32})
	if small.cache == 0 || large.cache != 10*small.cache || wide.cache != 2*small.cache {
		t.Errorf("KV cache of 64 tokens %d bytes, of 640 %d, in 32 bits %d", small.cache, large.cache, wide.cache)
	}
	mapped, _ := open(Options{Context: 64, CacheTokens: 64, LowMemory: true})
	if mapped.weights > small.weights {
		t.Errorf("weights take %d bytes beyond the file with LowMemory, %d without", mapped.weights, small.weights)
	}
	for key, want := range map[string]any{
		"msg": "model opened", "backend": "cpu", "threads": 2.0, "kernels": cpubackend.Features(),
		"kv_cache_bytes": float64(small.cache), "weight_bytes_beyond_file": float64(small.weights),
	} {
		if log[key] != want {
			t.Errorf("the log says %s=%v, want %v", key, log[key], want)
		}
	}
}
