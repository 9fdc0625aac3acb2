package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

// command runs the command line in this process and returns its output.
func command(t *testing.T, in string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot(streams{in: strings.NewReader(in), out: &out, err: &errs})
	root.SetArgs(args)
	if code := execute(context.Background(), root); code != exitOK {
		t.Fatalf("sandwarp %s: exit code %d: %s", strings.Join(args, " "), code, &errs)
	}
	return out.String()
}

// TestLogitsOfGoldenModels runs the logits command on every golden model of the
// dense families.
func TestLogitsOfGoldenModels(t *testing.T) {
	var manifest struct {
		Entries []struct {
			Name, Arch, File string
			Tokens           []int32
			F32Ref           string `json:"logits_f32ref"`
		}
	}
	testdata.JSON(t, &manifest, "golden", "manifest.json")
	for _, e := range manifest.Entries {
		if !slices.Contains([]string{"llama", "qwen2", "qwen3"}, e.Arch) {
			continue
		}
		out := filepath.Join(t.TempDir(), "logits.f32")
		ids := strings.Trim(fmt.Sprint(e.Tokens), "[]")
		idFile := filepath.Join(t.TempDir(), "ids")
		if err := os.WriteFile(idFile, []byte(ids), 0o644); err != nil {
			t.Fatal(err)
		}
		command(t, "", "logits", "-m", testdata.Path(t, "golden", e.File), "--tokens-file", idFile, "--out", out)
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		want := testdata.Open(t, "golden", e.F32Ref)
		if len(got) != len(want) {
			t.Fatalf("%s: %d bytes, want %d", e.Name, len(got), len(want))
		}
		var diff, norm float64
		for i := 0; i < len(want); i += 4 {
			g := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[i:])))
			w := float64(math.Float32frombits(binary.LittleEndian.Uint32(want[i:])))
			diff += (g - w) * (g - w)
			norm += w * w
		}
		if rms := math.Sqrt(diff / norm); !(rms <= 6e-2) {
			t.Errorf("%s: %.2e from the reference", e.Name, rms)
		}
	}
}

// TestRunStory tells a story of a real trained model as JSON and quantises it.
func TestRunStory(t *testing.T) {
	var golden struct {
		Cases []struct {
			Prompt  string
			GenIDs  []int32 `json:"gen_ids"`
			GenText string  `json:"gen_text"`
		}
	}
	testdata.JSON(t, &golden, "models", "golden_greedy.json")
	model := testdata.Path(t, "models", "stories260K-f32.gguf")
	c := golden.Cases[1]
	out := command(t, "", "run", "-m", model, "--no-plugins", "--cache-type", "f32", "--json", "--temperature", "0",
		"-n", fmt.Sprint(len(c.GenIDs)), c.Prompt)
	var ids []int32
	text := ""
	for line := range strings.Lines(out) {
		var tok struct {
			ID      *int32
			Text    string
			Logprob *float64
		}
		if err := json.Unmarshal([]byte(line), &tok); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if tok.ID != nil {
			if *tok.ID >= 0 {
				ids = append(ids, *tok.ID)
				if tok.Logprob == nil || *tok.Logprob > 0 {
					t.Errorf("token %d: logprob %v", *tok.ID, tok.Logprob)
				}
			}
			text += tok.Text
		}
	}
	if !slices.Equal(ids, c.GenIDs) || text != c.GenText {
		t.Errorf("%q gave %q, want %q", c.Prompt, text, c.GenText)
	}
	q8 := filepath.Join(t.TempDir(), "q8.gguf")
	command(t, "", "quantize", model, q8, "Q8_0")
	if out := command(t, "", "run", "-m", q8, "-n", "40", "--temperature", "0", c.Prompt); !strings.HasPrefix(out, c.Prompt) || len(out) < 60 {
		t.Errorf("quantised: %q", out)
	}
}

// TestTokenizeLines holds --jsonl against published ids.
func TestTokenizeLines(t *testing.T) {
	inp := strings.Split(string(testdata.Open(t, "tokenizers", "ggml-vocab-llama-bpe.gguf.inp")), "\n__ggml_vocab_test__\n")
	want := strings.Split(strings.TrimRight(string(testdata.Open(t, "tokenizers", "ggml-vocab-llama-bpe.gguf.out")), "\n"), "\n")
	var lines strings.Builder
	enc := json.NewEncoder(&lines)
	for i := range want {
		if err := enc.Encode(inp[i]); err != nil {
			t.Fatal(err)
		}
	}
	out := command(t, lines.String(), "tokenize", "-m", testdata.File(t, "tokenizers", "vocab-llama-bpe.gguf"), "--jsonl")
	got := strings.Split(strings.TrimSpace(out), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range want {
		var ids []int
		if err := json.Unmarshal([]byte(got[i]), &ids); err != nil {
			t.Fatal(err)
		}
		if g := strings.Trim(fmt.Sprint(ids), "[]"); g != strings.Join(strings.Fields(want[i]), " ") {
			t.Errorf("%q: %s, want %s", inp[i], g, want[i])
		}
	}
}
