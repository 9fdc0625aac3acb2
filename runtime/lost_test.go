package sandwarp_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func file(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFileTruncatedWhileOpen takes the weights away from under answers. Where the
// backend reads them from the mapping, every answer ends with ErrWeightsLost, in
// progress or to come, and the process lives.
func TestFileTruncatedWhileOpen(t *testing.T) {
	path := file(t, modeltest.Make(modeltest.Options{Arch: "llama", DType: tensor.Q4_K, Seed: 1, Untied: true}))
	m, err := sandwarp.Open(t.Context(), path, sandwarp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var last error
	n := 0
	for _, err := range m.Generate(t.Context(), "abc", short(400)) {
		if last = err; err != nil {
			break
		}
		if n++; n == 3 {
			if err := os.Truncate(path, 0); err != nil {
				t.Skip(err) // some systems keep mapped files
			}
		}
	}
	if last == nil {
		t.Skip("the backend has a copy of all weights")
	}
	if !errors.Is(last, sandwarp.ErrWeightsLost) {
		t.Errorf("the answer in progress: %v", last)
	}
	for _, err := range m.Generate(t.Context(), "abc", short(4)) {
		if !errors.Is(err, sandwarp.ErrWeightsLost) {
			t.Errorf("the next answer: %v", err)
		}
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestVocabularyOutlivesTheFile uses what does not need the weights after Close.
func TestVocabularyOutlivesTheFile(t *testing.T) {
	m, err := sandwarp.Open(t.Context(), file(t, modeltest.Tiny("llama", tensor.F32, 1)), sandwarp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := m.Encode("the fox", true)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := m.Decode(list, true); text != "the fox" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if m.Info().Architecture != "llama" || m.Load().Running != 0 {
		t.Errorf("%+v, %+v", m.Info(), m.Load())
	}
	if err := m.Logits(t.Context(), list, func(int, []float32) error { return nil }); !errors.Is(err, sandwarp.ErrClosed) {
		t.Errorf("Logits: %v", err)
	}
	for _, err := range s.Chat(t.Context(), "x", short(1)) {
		if !errors.Is(err, sandwarp.ErrClosed) {
			t.Errorf("Chat: %v", err)
		}
	}
	if err := errors.Join(s.Reset(), s.Close()); err != nil {
		t.Errorf("%v", err)
	}
}
