package sandwarp_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// TestGoldenLogits runs every golden model of the dense families through the
// library and compares all logits with llama.cpp's float32 reference.
func TestGoldenLogits(t *testing.T) {
	var manifest struct {
		Entries []struct {
			Name, Arch, File string
			Vocab, Rows      int
			Tokens           []int32
			F32Ref           string `json:"logits_f32ref"`
			Outliers         []int  `json:"rows_outlier_native"`
		}
	}
	testdata.JSON(t, &manifest, "golden", "manifest.json")
	dense := []string{"llama", "qwen2", "qwen3"}
	n := 0
	for _, e := range manifest.Entries {
		if !slices.Contains(dense, e.Arch) {
			continue
		}
		n++
		m, err := sandwarp.Open(t.Context(), testdata.Path(t, "golden", e.File), sandwarp.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := testdata.Open(t, "golden", e.F32Ref)
		var diff, norm float64
		err = m.Logits(t.Context(), e.Tokens, func(pos int, logits []float32) error {
			if len(logits) != e.Vocab {
				return fmt.Errorf("%d logits, want %d", len(logits), e.Vocab)
			}
			if slices.Contains(e.Outliers, pos) {
				return nil
			}
			for i, l := range logits {
				want := float64(math.Float32frombits(binary.LittleEndian.Uint32(ref[4*(pos*e.Vocab+i):])))
				diff += (float64(l) - want) * (float64(l) - want)
				norm += want * want
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		// int8 activations: llama.cpp itself is 2.4e-2 to 3.4e-2 away here.
		if rms := math.Sqrt(diff / norm); !(rms <= 6e-2) {
			t.Errorf("%s: %.2e from the reference", e.Name, rms)
		}
	}
	if n == 0 {
		t.Fatal("no golden model of a dense family")
	}
}

// TestStories tells the 40 reference stories of a real trained model, token by
// token, through sessions.
func TestStories(t *testing.T) {
	var golden struct {
		Cases []struct {
			Prompt    string
			PromptIDs []int32 `json:"prompt_ids"`
			GenIDs    []int32 `json:"gen_ids"`
			GenText   string  `json:"gen_text"`
			Steps     []struct {
				Top [][3]float64
			}
		}
	}
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	m, err := sandwarp.Open(t.Context(), testdata.Path(t, "models", "stories260K-f32.gguf"), sandwarp.Options{CacheType: sandwarp.CacheF32})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i, c := range golden.Cases {
		if testing.Short() && i%8 != 0 {
			continue
		}
		s := m.NewSession()
		text := ""
		n := 0
		for tok, err := range s.Generate(t.Context(), c.Prompt, sandwarp.GenerateOptions{MaxTokens: len(c.GenIDs)}) {
			if err != nil {
				t.Fatalf("%q: %v", c.Prompt, err)
			}
			text += tok.Text
			if tok.ID < 0 {
				continue
			}
			if tok.ID != c.GenIDs[n] {
				if top := c.Steps[n].Top; len(top) > 1 && top[0][1]-top[1][1] < 1e-3 {
					break // a tie: either way of going on is right
				}
				t.Errorf("%q: token %d is %d, want %d", c.Prompt, n, tok.ID, c.GenIDs[n])
				break
			}
			n++
		}
		if n == len(c.GenIDs) && text != c.GenText {
			t.Errorf("%q: text %q, want %q", c.Prompt, text, c.GenText)
		}
		if got := s.Tokens(); !slices.Equal(got[:len(c.PromptIDs)], c.PromptIDs) {
			t.Errorf("%q: prompt %v, want %v", c.Prompt, got[:len(c.PromptIDs)], c.PromptIDs)
		}
		s.Close()
	}
}
