package examples_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/sdk/go/watermark"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestWatermarkIsTheKeys: the plugin raises exactly the tokens the detector counts.
func TestWatermarkIsTheKeys(t *testing.T) {
	const vocab = 200
	p := load(t, examples.Watermark, wasm.Options{OnFault: wasm.FailClosed})
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(1, 20, 40).Draw(t, "key")
		gamma, window := rapid.Float64Range(0.01, 0.99).Draw(t, "gamma"), rapid.IntRange(1, 8).Draw(t, "window")
		history := rapid.SliceOfN(rapid.Int32Range(0, vocab-1), 0, 12).Draw(t, "history")
		key, err := watermark.New(secret, gamma, window)
		if err != nil {
			t.Fatal(err)
		}
		lastSeq++
		if err := p.OpenSeq(lastSeq, config(t, m{"key": secret, "gamma": gamma, "window": window, "delta": 3})); err != nil {
			t.Fatal(err)
		}
		defer p.CloseSeq(lastSeq)
		logits := make([]float32, vocab)
		if _, err := p.Process(lastSeq, history, logits); err != nil {
			t.Fatal(err)
		}
		for id, v := range logits {
			green, _ := key.Green(history, int32(id))
			if green != (v == 3) || v != 0 && v != 3 {
				t.Fatalf("token %d has %v, green: %v", id, v, green)
			}
		}
	})
}

func TestWatermarkSettings(t *testing.T) {
	p := load(t, examples.Watermark, wasm.Options{OnFault: wasm.FailClosed})
	if got := process(t, p, nil, []float32{1, 2}); got[0] != 1 || got[1] != 2 {
		t.Error("marked without a key")
	}
	for want, bad := range map[string]any{
		"key: want": m{"key": ""}, "gamma: want": m{"gamma": 1}, "delta: want": m{"delta": math.NaN()}, "window: want": m{"window": 9}, "unknown key": m{"k": 1}, "not a map": 1,
	} {
		if err := p.OpenSeq(1, config(t, bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", bad, err, want)
		}
	}
}

// TestDemoIsMarked: stories of about a hundred tokens are told apart, marked and not.
func TestDemoIsMarked(t *testing.T) {
	model, _ := demoModel(t)
	p := load(t, examples.Watermark, wasm.Options{OnFault: wasm.FailClosed})
	story := func(seed uint64, temperature float64, settings any) []int32 {
		o := sandwarp.GenerateOptions{MaxTokens: 120, IgnoreEOS: true}
		o.Temperature, o.Seed = temperature, seed
		if settings != nil {
			o.Processors, o.Configs = []sandwarp.LogitProcessor{p}, map[string][]byte{p.Name(): config(t, settings)}
		}
		_, ids := generate(t, model, "Once upon a time", o)
		return ids
	}
	texts := 40
	if testing.Short() {
		texts = 8
	}
	key, err := watermark.New("a secret", 0.25, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		temperature, delta float64
		want               float64 // part of the texts found at z > 4
	}{{1, 2, 0}, {1, 4, 0.2}, {1.5, 2, 0.1}, {1.5, 4, 0.95}} {
		found, sum, tokens := 0, 0.0, 0
		for seed := range uint64(texts) {
			s := key.Score(story(seed, c.temperature, m{"key": "a secret", "delta": c.delta}))
			sum += s.Z
			tokens += s.Tokens
			if s.Z > 4 {
				found++
			}
		}
		t.Logf("temperature %.1f, delta %.0f: z %.1f on average over %d tokens; above 4: %d of %d", c.temperature, c.delta, sum/float64(texts), tokens/texts, found, texts)
		if float64(found) < c.want*float64(texts) {
			t.Errorf("%d of %d found", found, texts)
		}
	}
	over, scores, highest := 0, 0, 0.0
	r := rand.New(rand.NewPCG(9, 9))
	for seed := range uint64(texts) {
		ids := story(seed, 1, nil)
		for range 100 {
			other, err := watermark.New(fmt.Sprint(r.Uint64()), 0.25, 1)
			if err != nil {
				t.Fatal(err)
			}
			z := other.Score(ids).Z
			highest = max(highest, z)
			scores++
			if z > 4 {
				over++
			}
		}
	}
	t.Logf("without a mark: %d of %d above 4, the highest %.2f", over, scores, highest)
	if over > scores/500 {
		t.Error("too many")
	}
}

func BenchmarkWatermark(b *testing.B) {
	p := load(b, examples.Watermark, wasm.Options{Config: m{"key": "k"}, OnFault: wasm.FailClosed})
	if err := p.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	logits, ids, top := make([]float32, 151_936), make([]int32, 256), make([]float32, 256)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	for i := range ids {
		ids[i], top[i] = int32(i*500), 10-float32(i)/100
	}
	b.Run("all logits", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.Process(1, []int32{5}, logits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("candidates", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := p.ProcessTop(1, []int32{5}, len(logits), ids, top, func() ([]float32, error) { return logits, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
