package main

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/wasm"
)

// A tokenizer with more tokens than the model has is another model's; with fewer it may
// be its own, as models fill up their vocabularies.
func TestTokenizerFits(t *testing.T) {
	p, err := wasm.LoadFile(t.Context(), testdata.Root()+"/sdk/c/examples/bytes.wasm", wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	all := plugins{all: []*wasm.Plugin{p}}
	if err := all.fit(int(p.Manifest().Vocab)); err != nil {
		t.Error(err)
	}
	if err := all.fit(100); err == nil || !strings.Contains(err.Error(), "288 tokens and the model 100") {
		t.Errorf("%v", err)
	}
}
