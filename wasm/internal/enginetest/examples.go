package enginetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

// Example is a real plugin and what it is given.
type Example struct {
	Name     string // its path in the repository
	Module   []byte
	Configs  []any // of the plugin, one run for each
	Requests []any // of sequences, in turn
}

// settings are what the example plugins understand, by the file's name; all
// others run without configuration.
var settings = map[string]struct{ configs, requests []any }{
	"banlist": {
		configs:  []any{nil, map[string]any{"ban": []int{3, 5, 8}, "bias": map[string]any{"7": 1.25}}},
		requests: []any{nil, map[string]any{"allow": []int{1, 2, 3, 4, 5, 6, 7, 8, 9}}, map[string]any{"ban": []int{0, 1}}},
	},
}

// Examples are all plugins that are committed, wherever they are.
func Examples(t testing.TB) []Example {
	t.Helper()
	var list []Example
	root := testdata.Root()
	for _, dir := range []string{"sdk", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".wasm" {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			list = append(list, NewExample(filepath.ToSlash(rel), b))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(list) == 0 {
		t.Fatal("no plugin is committed below sdk and examples")
	}
	return list
}

// NewExample is a plugin with the settings that go with its name.
func NewExample(name string, module []byte) Example {
	g := Example{Name: name, Module: module, Configs: []any{nil}, Requests: []any{nil}}
	if s, ok := settings[strings.TrimSuffix(filepath.Base(name), ".wasm")]; ok {
		g.Configs, g.Requests = s.configs, s.requests
	}
	return g
}
