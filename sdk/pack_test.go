package sdk_test

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/sdk"
)

// A manifest's mistakes are named in the words of its author.
func TestPackMistakes(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "manifest: the JSON object has no end",
		`{"name": "a"`:                        "manifest: the JSON object has no end",
		`[]`:                                  "manifest: a JSON array, want an object",
		`{"name": 1}`:                         "manifest: name: a JSON number, want text",
		`{"name": "a", "fuel": "3"}`:          "manifest: fuel: a JSON string, want an integer of 0 or more",
		`{"name": "a", "history": -1}`:        "manifest: history: a JSON number -1, want an integer of 0 or more",
		`{"name": "a", "capabilities": "kv"}`: "manifest: capabilities: a JSON string, want a list of text",
		`{"name": "a", "fule": 3}`:            `manifest: json: unknown field "fule"`,
		`{"name": "a", "kind": "filter"} {}`:  "manifest: offset 32: more behind the JSON object",
		`{"name": "a b", "kind": "filter"}`:   `manifest: name "a b": want 1 to 128 letters`,
	} {
		_, err := sdk.Pack([]byte("\x00asm\x01\x00\x00\x00"), []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
