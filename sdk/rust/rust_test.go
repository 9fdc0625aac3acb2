// Package rust_test builds and tests the Rust SDK where the tools are.
package rust_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestGolden hands the ABI's byte vectors to a plugin that reads and writes each.
func TestGolden(t *testing.T) { golden(t, "testdata/golden.wasm") }

func golden(t *testing.T, path string) {
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := wasm.Load(context.Background(), module, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	text, err := os.ReadFile("../../abi/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	vectors := map[string]string{}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 13 {
		t.Errorf("%d vectors", len(vectors))
	}
	for name, hex := range vectors {
		in := hex
		if name == "row_picked" {
			in = vectors["row_in"] // the plugin picks
		}
		if got := filtered(t, p, name+" "+in); got != hex {
			t.Errorf("%s\n got  %s\n want %s", name, got, hex)
		}
	}
	for _, value := range []string{
		"c0", "c3", "7f", "cc80", "cdffff", "ce00010000", "cfffffffffffffffff", "ff", "d080", "d18000", "d280000000", "d38000000000000000",
		"cb3ff8000000000000", "a0", "93c0a161c40100", "81a16b92c2cb0000000000000000", "cf8000000000000000", "d1ff7f",
	} {
		if got := filtered(t, p, "value "+value); got != value {
			t.Errorf("value %s comes back as %s", value, got)
		}
	}
	for _, bad := range []string{"c1", "d40100", "a5", "dfffffffff", "dd7fffffff", "cd00", "9191", "c7"} {
		if _, err := p.Manifest(), p.OpenSeq(1, nil); err != nil {
			t.Fatal(err)
		}
		if out, _, _, err := p.Filter(1, []byte("value "+bad), abi.FlagEnd); err == nil {
			t.Errorf("%s is read as %q", bad, out)
		}
		p.CloseSeq(1)
	}
}

func filtered(t *testing.T, p *wasm.Plugin, text string) string {
	t.Helper()
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(1)
	out, _, _, err := p.Filter(1, []byte(text), abi.FlagEnd)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return string(out)
}

// TestCommittedModules builds the plugins from the sources, and compares the bytes
// with the committed ones.
func TestCommittedModules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a compiler")
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("SKIPPED: make is not installed")
	}
	out := t.TempDir()
	text, err := exec.Command("make", "OUT="+out).CombinedOutput()
	if err != nil {
		t.Fatalf("make: %v\n%s", err, text)
	}
	if bytes.Contains(text, []byte("SKIPPED")) {
		t.Skipf("%s", text)
	}
	for _, name := range []string{"examples/banlist", "examples/bytes", "examples/redact", "testdata/golden"} {
		got, err := os.ReadFile(filepath.Join(out, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(name + ".wasm"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.wasm is not what its source gives: run make -C sdk/rust (%v)", name, err)
		}
	}
}

// TestCargo runs the crate's own tests, and builds the examples, with cargo.
func TestCargo(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a compiler")
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Skip("SKIPPED: cargo is not installed")
	}
	cmd := exec.Command("cargo", "test", "--offline", "--quiet")
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+t.TempDir())
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cargo test: %v\n%s", err, text)
	}
}
