package examples_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

var modules = map[string][]byte{
	"redact": examples.Redact, "banlist": examples.Banlist, "norepeat": examples.Norepeat, "bytes": examples.Bytes,
	"constrain": examples.Constrain, "dry": examples.Dry, "watermark": examples.Watermark,
	"guard": examples.Guard, "pii": examples.PII, "bpe": examples.BPE,
}

// load loads a plugin, closed at the test's end without a fault on its books.
func load(t testing.TB, module []byte, o wasm.Options) *wasm.Plugin {
	t.Helper()
	p, err := wasm.Load(context.Background(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s := p.Stats(); s.Faults != 0 {
			t.Errorf("%d faults", s.Faults)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// What the CLI embeds may add 50 ms to a first run; the aim is 20.
func TestFirstLoadIsFast(t *testing.T) {
	for name, module := range modules {
		best := time.Hour
		for range 5 {
			start := time.Now()
			p, err := wasm.Load(context.Background(), module, wasm.Options{Vocab: byteVocab})
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
			p.Close()
		}
		t.Logf("%s: %d bytes, loaded in %v", name, len(module), best)
		if best > 250*time.Millisecond { // room for a busy machine
			t.Errorf("%s: loading takes %v", name, best)
		}
	}
}

// TestCommittedModules builds the plugins from the sources by the Makefile, and
// compares the bytes with the committed ones.
func TestCommittedModules(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	for _, pattern := range []string{"sandwarp.h", "Makefile", "examples/*.c", "examples/*.h", "examples/*.json", "examples/*/*.h", "testdata/*.c", "testdata/*.json"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			copyFile(t, f, filepath.Join(dir, "c", strings.TrimPrefix(f, "../")))
		}
	}
	copyFile(t, "../../pack/main.go", filepath.Join(dir, "pack", "main.go"))
	pack := filepath.Join(dir, "packer")
	run(t, testdata.Root(), "go", "build", "-o", pack, "./sdk/pack")
	// The packer stands in for "go run ../pack", which needs the module around it.
	stub := filepath.Join(dir, "go")
	if err := os.WriteFile(stub, []byte("#!/bin/sh\nshift 2\nexec "+pack+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, filepath.Join(dir, "c"), "make", "GO="+stub)
	same := func(path string, want []byte) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(dir, "c", path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source gives: run make -C sdk/c", path)
		}
	}
	for name, want := range modules {
		same(filepath.Join("examples", name+".wasm"), want)
	}
	golden, err := os.ReadFile("../testdata/golden.wasm")
	if err != nil {
		t.Fatal(err)
	}
	same("testdata/golden.wasm", golden)
}

func needTools(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a compiler")
	}
	for _, tool := range []string{"clang-14", "wasm-ld-14", "make", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func benchmarkLoad(b *testing.B, module []byte, cache string) {
	for range b.N {
		p, err := wasm.Load(context.Background(), module, wasm.Options{CacheDir: cache})
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}

func BenchmarkLoadRedact(b *testing.B)       { benchmarkLoad(b, examples.Redact, "") }
func BenchmarkLoadRedactCached(b *testing.B) { benchmarkLoad(b, examples.Redact, b.TempDir()) }
func BenchmarkLoadBanlist(b *testing.B)      { benchmarkLoad(b, examples.Banlist, "") }
