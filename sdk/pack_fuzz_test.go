package sdk_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk"
	"github.com/sandwarp/sandwarp/wasm"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzPack: whatever is packed has the manifest it was given, once, and is otherwise
// what it was; what is no module is refused.
func FuzzPack(f *testing.F) {
	module := read(f, "c/examples/bytes.wasm")
	f.Add(module)
	f.Add(module[:len(module)/2])
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00"))
	m := &abi.Manifest{Name: "packed/anew", Kind: abi.KindTokenizer, Vocab: 7}
	f.Fuzz(func(t *testing.T, module []byte) {
		packed, err := sdk.PackManifest(module, m)
		if err != nil {
			return
		}
		again, err := sdk.PackManifest(packed, m)
		if err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("packed once more it is %x, %v", again, err)
		}
		if _, err := wasm.Describe(module); err != nil {
			return
		}
		d, err := wasm.Describe(packed)
		if err != nil || d.Manifest.Name != m.Name || d.Manifest.Vocab != 7 {
			t.Fatalf("%+v, %v", d, err)
		}
	})
}

func TestPackNoModule(t *testing.T) {
	module := read(t, "c/examples/bytes.wasm")
	if _, err := sdk.Pack([]byte("GGUF"), []byte(`{"name": "x", "kind": "filter"}`)); err == nil || !strings.Contains(err.Error(), "not a WebAssembly module") {
		t.Error(err)
	}
	if _, err := sdk.Pack(module[:len(module)-3], []byte(`{"name": "x", "kind": "filter"}`)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Error(err)
	}
}
