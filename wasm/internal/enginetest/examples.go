package enginetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
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
		configs:  []any{nil, object{"ban": []int{3, 5, 8}, "bias": object{"7": 1.25}}},
		requests: []any{nil, object{"allow": []int{1, 2, 3, 4, 5, 6, 7, 8, 9}}, object{"ban": []int{0, 1}}},
	},
	"norepeat": {configs: []any{nil, object{"n": 2}}, requests: []any{nil, object{"n": 4}}},
	"constrain": {
		configs:  []any{nil, object{"regex": "( w[0-9]+)+", "ends": []int{999}}},
		requests: []any{nil, object{"json": true, "ends": []int{999}}, object{"schema": object{"type": "array", "items": object{"enum": []any{1, "a", nil}}}, "max_tokens": 30, "ends": []int{998}}},
	},
	"dry":       {configs: []any{nil, object{"multiplier": 2, "allowed_length": 1}}, requests: []any{nil, object{"base": 2.5}}},
	"watermark": {configs: []any{nil, object{"key": "secret", "delta": 4}}, requests: []any{nil, object{"key": "another", "gamma": 0.5, "window": 3}}},
	"guard":     {configs: []any{nil, object{"action": "log", "injection": 3}}, requests: []any{nil}},
	"pii":       {configs: []any{nil, object{"text": "[gone]", "url": "[url]", "prompts": true}}, requests: []any{nil}},
}

type object = map[string]any

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
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		if !slices.ContainsFunc(list, func(x Example) bool { return strings.HasPrefix(x.Name, "sdk/"+language+"/") }) {
			t.Fatalf("no plugin in %s is committed", language)
		}
	}
	return list
}

// FrameSize is a sampler that picks by the size and the place of its frame, and by where
// its logits lie: what a guest sees of memory is the same everywhere, too.
func FrameSize() Example {
	g := NewGuest(abi.KindSampler, abi.ModeDense)
	g.NoMemory = true
	g.Memory(1, -1)
	g.With(abi.ExportFrame, I32Const(2048), LocalGet(0), I32Store(0), frameAtEnd)
	g.With(abi.ExportSample, RowPtr, I32Const(int32(abi.ChoicePick)), I32Store(56),
		RowPtr, I32Const(2048), I32Load(0), FramePtr, I32Load(32), I32Add, I32Const(12), Op(0x76), I32Const(511), Op(0x71), I32Store(60), zero)
	return NewExample("frame size", g.Module())
}

// frameAtEnd reserves a frame behind all other memory.
var frameAtEnd = Cat(MemorySize, I32Const(16), Op(0x74), LocalGet(0), I32Const(65535), I32Add, I32Const(16), Op(0x76), MemoryGrow, Drop)

// NewExample is a plugin with the settings that go with its name.
func NewExample(name string, module []byte) Example {
	g := Example{Name: name, Module: module, Configs: []any{nil}, Requests: []any{nil}}
	if s, ok := settings[strings.TrimSuffix(filepath.Base(name), ".wasm")]; ok {
		g.Configs, g.Requests = s.configs, s.requests
	}
	return g
}
