package examples_test

import (
	"context"
	"testing"

	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestGalleryIsSound runs the checks of "sandwarp plugin check" on the plugins of the
// gallery, as they come and at work.
func TestGalleryIsSound(t *testing.T) {
	for name, c := range map[string]struct {
		module  []byte
		configs []any
	}{
		"constrain": {examples.Constrain, []any{nil, m{"lenient": true}}}, // the checks choose tokens no grammar allows
		"dry":       {examples.Dry, []any{nil, m{"allowed_length": 1, "multiplier": 5}}},
		"watermark": {examples.Watermark, []any{nil, m{"key": "k"}, m{"key": "k", "window": 4, "gamma": 0.5}}},
		"guard":     {examples.Guard, []any{nil, m{"action": "log", "request": 6}}},
		"pii":       {examples.PII, []any{nil, m{"url": "[url]", "prompts": true}}},
		"bpe":       {examples.BPE, []any{nil, m{"pre": "qwen2"}}},
	} {
		for _, config := range c.configs {
			if r := conformance.Check(context.Background(), c.module, conformance.Options{Plugin: wasm.Options{Config: config}}); !r.OK() {
				t.Errorf("%s with %v:\n%s", name, config, r)
			}
		}
	}
}
