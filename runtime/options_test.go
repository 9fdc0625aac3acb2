package sandwarp_test

import (
	"math"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

func TestOptionsRefused(t *testing.T) {
	data := modeltest.Tiny("llama", tensor.F32, 1)
	for name, o := range map[string]sandwarp.Options{
		"Threads":      {Threads: -1},
		"Context":      {Context: -1},
		"MaxSequences": {MaxSequences: 513}, // more than a batch has rows
		"MaxQueue":     {MaxQueue: -1},
		"CacheTokens":  {Context: 257, CacheTokens: 256},
		"CacheType":    {CacheType: "q4_0"},
	} {
		m, err := sandwarp.OpenBytes(t.Context(), "tiny", data, o)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "Options."+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	for name, edit := range map[string]func(*sandwarp.GenerateOptions){
		"Temperature": func(o *sandwarp.GenerateOptions) { o.Temperature = math.NaN() },
		"TopK":        func(o *sandwarp.GenerateOptions) { o.TopK = -1 },
		"Bias":        func(o *sandwarp.GenerateOptions) { o.Bias = map[int32]float32{1 << 20: 1} },
		"MaxTokens":   func(o *sandwarp.GenerateOptions) { o.MaxTokens = -1 },
		"index 0":     func(o *sandwarp.GenerateOptions) { o.Stop = []string{""} },
		"index 1":     func(o *sandwarp.GenerateOptions) { o.Stop = []string{"x", "\xc3"} },
		"Processors":  func(o *sandwarp.GenerateOptions) { o.Processors = []sandwarp.LogitProcessor{nil} },
		"Filters":     func(o *sandwarp.GenerateOptions) { o.Filters = []sandwarp.Filter{nil} },
		"Configs":     func(o *sandwarp.GenerateOptions) { o.Configs = map[string][]byte{"nobody": nil} },
	} {
		var o sandwarp.GenerateOptions
		edit(&o)
		for _, err := range m.Generate(t.Context(), "x", o) {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, err := range m.NewSession().GenerateTokens(t.Context(), []int32{1, 1 << 20}, sandwarp.GenerateOptions{}) {
		if err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("token id: %v", err)
		}
	}
}

// TestSmallCache wants an answer without bounds from a cache that is smaller than
// the context the model was trained for, and the same from one sequence of many.
func TestSmallCache(t *testing.T) {
	m := tiny(t, sandwarp.Options{CacheTokens: 100})
	if n := m.Info().Context; n != 128 {
		t.Fatalf("a context of %d tokens in two pages", n)
	}
	s := m.NewSession()
	defer s.Close()
	got, _ := collect(t, s, "abc", sandwarp.GenerateOptions{IgnoreEOS: true})
	if st := s.Stats(); st.Prompt+len(got) != 128 || st.Finish != sandwarp.FinishContext {
		t.Errorf("%d tokens, %+v", len(got), st)
	}
}

// TestMostSequences runs as many sequences at once as a batch has rows.
func TestMostSequences(t *testing.T) {
	m := tiny(t, sandwarp.Options{MaxSequences: 512, Context: 64})
	done := make(chan int)
	for range 512 {
		go func() {
			s := m.NewSession()
			defer s.Close()
			got := 0
			for tok, err := range s.Generate(t.Context(), "a", sandwarp.GenerateOptions{MaxTokens: 3, IgnoreEOS: true}) {
				if err != nil {
					t.Error(err)
				}
				if tok.ID >= 0 {
					got++
				}
			}
			done <- got
		}()
	}
	for range 512 {
		if n := <-done; n != 3 {
			t.Errorf("%d tokens", n)
		}
	}
}
