package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// demoModel opens the model the command carries, and the texts of its tokens.
func demoModel(t testing.TB) (*sandwarp.Model, []string) {
	t.Helper()
	model, err := sandwarp.OpenBytes(context.Background(), "demo.gguf", demo.GGUF, sandwarp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	v, err := sandwarp.ParseVocabulary("demo.gguf", demo.GGUF)
	if err != nil {
		t.Fatal(err)
	}
	vocab := make([]string, v.Size())
	for id := range vocab {
		vocab[id] = string(v.Piece(int32(id)))
	}
	return model, vocab
}

// generate writes one answer.
func generate(t testing.TB, model *sandwarp.Model, prompt string, o sandwarp.GenerateOptions) (text string, ids []int32) {
	t.Helper()
	var b bytes.Buffer
	for tok, err := range model.Generate(context.Background(), prompt, o) {
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(tok.Text)
		ids = append(ids, tok.ID)
	}
	return b.String(), ids
}

// TestDemoWritesJSON: a little model that knows stories writes what parses, at any
// temperature, and always comes to an end.
func TestDemoWritesJSON(t *testing.T) {
	model, vocab := demoModel(t)
	p := closed(t, vocab)
	story := `{"type":"object","properties":{"title":{"type":"string","minLength":3},"pages":{"type":"integer","minimum":1,"maximum":99},"animals":{"type":"array","items":{"enum":["cat","dog","bird"]},"minItems":1,"maxItems":3}},"required":["title","pages","animals"],"additionalProperties":false}`
	for seed := range uint64(12) {
		for name, settings := range map[string]m{
			"json":   {"json": true, "max_tokens": 40},
			"schema": {"schema": story, "max_tokens": 80},
			"regex":  {"regex": "(Tom|Lily) (ran|slept)( and (sang|ate)){1,2}\\.", "max_tokens": 60},
		} {
			o := sandwarp.GenerateOptions{MaxTokens: 200, Processors: []sandwarp.LogitProcessor{p}, Configs: map[string][]byte{p.Name(): config(t, settings)}}
			o.Temperature, o.Seed = float64(seed%4)*0.7, seed
			text, ids := generate(t, model, "Once upon a time", o)
			if len(ids) > 82 {
				t.Errorf("%s: %d tokens", name, len(ids))
			}
			switch name {
			case "json":
				if !json.Valid([]byte(text)) {
					t.Errorf("seed %d: not JSON: %q", seed, text)
				}
			case "schema":
				var v struct {
					Title   string
					Pages   int
					Animals []string
				}
				d := json.NewDecoder(bytes.NewReader([]byte(text)))
				d.DisallowUnknownFields()
				if err := d.Decode(&v); err != nil || v.Pages < 1 || v.Pages > 99 || len(v.Title) < 3 || len(v.Animals) < 1 || len(v.Animals) > 3 {
					t.Errorf("seed %d: %q: %v", seed, text, err)
				}
			case "regex":
				if !regexp.MustCompile(`^(Tom|Lily) (ran|slept)( and (sang|ate)){1,2}\.$`).MatchString(text) {
					t.Errorf("seed %d: %q", seed, text)
				}
			}
			if seed == 1 {
				t.Logf("%s: %s", name, text)
			}
		}
	}
	if s := p.Stats(); s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}
