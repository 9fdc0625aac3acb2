package enginetest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// passing is a filter that passes all, withholding one that releases nothing. Those of
// size are large enough for their metered form to be kept.
func passing(size int) []byte { return padded(NewGuest(abi.KindFilter, ""), size) }

func withholding(size int) []byte {
	g := NewGuest(abi.KindFilter, "")
	return padded(g.With(abi.ExportFilter, I64Const(abi.PackVerdict(abi.ActionHold, 0))), size)
}

func padded(g *Guest, size int) []byte {
	if size > 0 {
		g.Data(8192, bytes.Repeat([]byte("large"), size/5))
		g.NoMemory = true
		g.Memory(size>>16+2, -1)
	}
	return g.Module()
}

// released loads a filter through the cache and tells what it releases of a text.
func released(t *testing.T, e wasm.Engine, module []byte, dir string) string {
	t.Helper()
	p, err := wasm.Load(context.Background(), module, wasm.Options{Engine: e, CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	out, _, _, err := p.Filter(1, []byte("text"), 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// CacheSwapped puts what is cached of one module in the place of another's: each does
// what it did.
func CacheSwapped(t *testing.T, e wasm.Engine) {
	for _, size := range []int{0, 300_000} {
		one, two := passing(size), withholding(size)
		both := func(dir string) {
			t.Helper()
			if a, b := released(t, e, one, dir), released(t, e, two, dir); a != "text" || b != "" {
				t.Errorf("size %d: %q and %q", size, a, b)
			}
		}
		first, second, dir := t.TempDir(), t.TempDir(), t.TempDir()
		released(t, e, one, first)
		released(t, e, two, second)
		both(dir)
		both(dir)
		for _, a := range entries(t, first) {
			for _, b := range entries(t, second) {
				if filepath.Ext(a) != filepath.Ext(b) {
					continue
				}
				put(t, filepath.Join(first, a), filepath.Join(dir, b))
				put(t, filepath.Join(second, b), filepath.Join(dir, a))
				both(dir)
			}
		}
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		names = append(names, d.Name())
	}
	return names
}

// put replaces what is at a path by a copy.
func put(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else {
		var b []byte
		if b, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// CacheLinks puts links to what never ends in the place of what is cached: it is made
// again.
func CacheLinks(t *testing.T, e wasm.Engine) {
	if runtime.GOOS == "windows" {
		t.Skip("no /dev/zero")
	}
	dir := t.TempDir()
	module := passing(300_000)
	released(t, e, module, dir)
	paths := []string{}
	for _, name := range entries(t, dir) {
		paths = append(paths, filepath.Join(dir, name))
	}
	for path := range files(t, dir) {
		paths = append(paths, path)
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
		if got := released(t, e, module, dir); got != "text" {
			t.Errorf("%s: %q", path, got)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink != 0 {
			t.Errorf("%s was not made again: %v", path, err)
		}
	}
}

// CacheOfOthers: in a folder that all can write to nothing is looked for or kept.
func CacheOfOthers(t *testing.T, e wasm.Engine) {
	if runtime.GOOS == "windows" {
		t.Skip("modes do not tell")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := released(t, e, passing(300_000), dir); got != "text" || len(entries(t, dir)) > 0 {
		t.Errorf("%q, kept %q", got, entries(t, dir))
	}
}

// childDir names the cache's folder to a process of CacheShared.
const childDir = "SANDWARP_TEST_CACHE"

// CacheShared lets processes use one cache at once, while files of it vanish. The test
// that calls it is run again in each of them.
func CacheShared(t *testing.T, e wasm.Engine) {
	if dir := os.Getenv(childDir); dir != "" {
		for range 6 {
			if got := released(t, e, passing(300_000), dir); got != "text" {
				t.Errorf("%q", got)
			}
			if names := entries(t, dir); len(names) > 0 {
				_ = os.RemoveAll(filepath.Join(dir, names[0])) // another may be at it
			}
		}
		return
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			child := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.count=1")
			child.Env = append(os.Environ(), childDir+"="+dir)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	released(t, e, passing(300_000), dir)
	for _, name := range entries(t, dir) {
		if strings.HasPrefix(name, "new-") {
			t.Errorf("%s is left over", name)
		}
	}
}
