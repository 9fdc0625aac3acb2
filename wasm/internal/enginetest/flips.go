package enginetest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// cached loads a module with a cache folder and checks that it works.
func cached(t *testing.T, e wasm.Engine, module []byte, dir string) {
	t.Helper()
	p, err := wasm.Load(context.Background(), module, wasm.Options{Engine: e, CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	if out, _, _, err := p.Filter(1, []byte("x"), 0); string(out) != "x" || err != nil {
		t.Fatal(out, err)
	}
}

// CacheFlips damages the cache of compiled code, a bit at a time, n times: the code
// is made again, never run. It returns the files there were.
func CacheFlips(t *testing.T, e wasm.Engine, n int) (names []string) {
	dir := filepath.Join(t.TempDir(), "cache")
	g := NewGuest(abi.KindFilter, "")
	module := g.Module()
	cached(t, e, module, dir)
	good := files(t, dir)
	for path := range good {
		names = append(names, path)
	}
	if len(names) == 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		path := names[i%len(names)]
		bad := bytes.Clone(good[path])
		bit := r.IntN(len(bad) * 8)
		bad[bit/8] ^= 1 << (bit % 8)
		damage(t, path, bad)
		cached(t, e, module, dir)
		whole(t, good, dir)
	}
	for _, path := range names {
		for _, f := range []func() error{
			func() error { return os.Truncate(path, 10) },
			func() error { return os.WriteFile(path, nil, 0o600) },
			func() error { return os.WriteFile(path, append(bytes.Clone(good[path]), 0), 0o600) },
			func() error { return os.Remove(path) },
			func() error { return os.WriteFile(filepath.Join(filepath.Dir(path), "more"), []byte("x"), 0o600) },
			func() error { return os.RemoveAll(dir) },
		} {
			if err := f(); err != nil {
				t.Fatal(err)
			}
			cached(t, e, module, dir)
			whole(t, good, dir)
		}
	}
	return names
}

func damage(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// whole fails unless the folder has the good files, written again, and no others.
func whole(t *testing.T, good map[string][]byte, dir string) {
	t.Helper()
	now := files(t, dir)
	for path, b := range good {
		if !bytes.Equal(now[path], b) {
			t.Fatalf("%s was not written again", path)
		}
		delete(now, path)
	}
	for path := range now {
		t.Fatalf("%s is left over", path)
	}
}

// MeteredFlips does the same to the rewritten module that is kept of large ones.
func MeteredFlips(t *testing.T, e wasm.Engine, n int) {
	dir := t.TempDir()
	g := NewGuest(abi.KindFilter, "")
	g.Data(8192, bytes.Repeat([]byte("large"), 60_000))
	g.NoMemory = true
	g.Memory(8, -1)
	module := g.Module()
	cached(t, e, module, dir)
	var path string
	for p := range files(t, dir) {
		if strings.HasSuffix(p, ".metered") {
			path = p
		}
	}
	if path == "" {
		t.Fatal("a large module was not kept")
	}
	good, r := files(t, dir), rand.New(rand.NewPCG(5, 6))
	for range n {
		bad := bytes.Clone(good[path])
		bit := r.IntN(len(bad) * 8)
		bad[bit/8] ^= 1 << (bit % 8)
		damage(t, path, bad)
		cached(t, e, module, dir)
		whole(t, good, dir)
	}
}
