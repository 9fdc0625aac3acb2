package ptxbackend

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/fake"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// emulatedGPU is what the backend "emulated" of these tests opens.
var emulatedGPU atomic.Pointer[func() (backend.Backend, error)]

func init() {
	backend.Register("emulated", func() (backend.Backend, error) { return (*emulatedGPU.Load())() })
}

// gpuOf has the backend "emulated" open devices of drv.
func gpuOf(drv driver.Driver) {
	open := func() (backend.Backend, error) {
		dev, err := drv.Open(0)
		if err != nil {
			return nil, err
		}
		return newGPU(dev, ptx.SM90a), nil
	}
	emulatedGPU.Store(&open)
}

func answer(t *testing.T, m *sandwarp.Model, prompt string, o sandwarp.GenerateOptions) (string, error) {
	t.Helper()
	var s strings.Builder
	for tok, err := range m.Generate(t.Context(), prompt, o) {
		if err != nil {
			return s.String(), err
		}
		s.WriteString(tok.Text)
	}
	return s.String(), nil
}

// TestRuntime has the demo model answer on an emulated GPU. Greedily, and through a
// Wasm filter, it says what it says on the CPU; by chance it says the same whether
// the best tokens or all logits come back from the device (a bias of nothing asks for
// all).
func TestRuntime(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a model of 2.5 million weights takes the emulator seconds")
	}
	gpuOf(emu.New(emu.Options{Info: driver.Info{SMs: 4}, Memory: 1 << 30}))
	filter, err := wasm.Load(t.Context(), examples.Redact, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Close()
	dice := sandwarp.SamplingParams{Temperature: 0.7, TopK: 20, TopP: 0.9, RepetitionPenalty: 1.2, Seed: 3}
	wide := dice
	wide.Bias = map[int32]float32{0: 0}
	settings := map[string]sandwarp.GenerateOptions{
		"greedy":     {MaxTokens: 12},
		"filter":     {MaxTokens: 6, Filters: []sandwarp.Filter{filter}},
		"best":       {MaxTokens: 12, SamplingParams: dice},
		"all logits": {MaxTokens: 12, SamplingParams: wide},
	}
	texts := map[string]map[string]string{}
	for _, name := range []string{"cpu", "emulated"} {
		m, err := sandwarp.OpenBytes(t.Context(), "demo.gguf", demo.GGUF, sandwarp.Options{Backend: name, Context: 192, MaxSequences: 2})
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = map[string]string{}
		for what, o := range settings {
			if texts[name][what], err = answer(t, m, "Once upon a time there was a", o); err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	gpu := texts["emulated"]
	for _, what := range []string{"greedy", "filter"} {
		if want := texts["cpu"][what]; gpu[what] != want || want == "" {
			t.Errorf("%s: %q on the GPU, %q on the CPU", what, gpu[what], want)
		}
	}
	if gpu["best"] != gpu["all logits"] || gpu["best"] == gpu["greedy"] {
		t.Errorf("by chance %q from the best tokens, %q from all; greedily %q", gpu["best"], gpu["all logits"], gpu["greedy"])
	}
}

// TestRuntimeGoesOn loses the device under an answer; the next one comes from the
// CPU, and what the device held is given back.
func TestRuntimeGoesOn(t *testing.T) {
	drv := fake.Wrap(emu.New(emu.Options{Info: driver.Info{SMs: 2}, Memory: 256 << 20}))
	gpuOf(drv)
	var log bytes.Buffer
	m, err := sandwarp.OpenBytes(t.Context(), "tiny", modeltest.Tiny("qwen2", tensor.Q8_0, 1),
		sandwarp.Options{Backend: "emulated", Context: 128, MaxSequences: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	o := sandwarp.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}
	want, err := answer(t, m, "the fox", o)
	if err != nil || m.Info().Backend != "ptx" {
		t.Fatalf("%v on %s", err, m.Info().Backend)
	}
	drv.Lose(driver.CodeIllegalAddress)
	if _, err := answer(t, m, "the fox", o); !errors.Is(err, sandwarp.ErrDeviceLost) {
		t.Errorf("the answer in progress: %v", err)
	}
	if got, err := answer(t, m, "the fox", o); err != nil || len(got) == 0 || m.Info().Backend != "cpu" {
		t.Errorf("%q, %v on %s; it was %q on the GPU", got, err, m.Info().Backend, want)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "device lost") {
		t.Errorf("the log does not say that the device was lost:\n%s", &log)
	}
	if leaks := drv.Leaks(); leaks != nil {
		t.Error(leaks)
	}
}

// TestRuntimeSplits gives the device too little memory for all layers.
func TestRuntimeSplits(t *testing.T) {
	gguf := modeltest.Make(modeltest.Options{Arch: "llama", DType: tensor.F16, Seed: 4, Blocks: 8})
	open := func(memory int64) *sandwarp.Model {
		gpuOf(emu.New(emu.Options{Info: driver.Info{SMs: 2}, Memory: memory}))
		m, err := sandwarp.OpenBytes(context.Background(), "tiny", gguf, sandwarp.Options{Backend: "emulated", Context: 128, MaxSequences: 2, CacheTokens: 128})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	o := sandwarp.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}
	whole := open(1 << 30)
	want, err := answer(t, whole, "the quick brown fox", o)
	if err != nil || whole.Info().Backend != "ptx" {
		t.Fatalf("%v on %s", err, whole.Info().Backend)
	}
	for memory := int64(64 << 20); memory > 1<<20; memory = memory * 9 / 10 {
		m := open(memory)
		if m.Info().Backend == "ptx" {
			m.Close()
			continue
		}
		got, err := answer(t, m, "the quick brown fox", o)
		if got != want || err != nil || m.Info().Backend != "cpu+ptx" {
			t.Errorf("%q, %v on %s, want %q", got, err, m.Info().Backend, want)
		}
		return
	}
	t.Error("the model fits into 1 MiB")
}
