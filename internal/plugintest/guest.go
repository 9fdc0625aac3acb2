// Package plugintest is what the tests of the SDKs share: Go guests built once, the
// ABI's byte vectors put through a guest, and committed modules compared with their
// sources.
package plugintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk"
	"github.com/sandwarp/sandwarp/wasm"
)

// CacheDir keeps compiled plugins from one run of the tests to the next.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "sandwarp-tests")
}

var (
	mu    sync.Mutex // guards built
	built = map[string][]byte{}
)

// GoGuest is the example of the name, in Go, its manifest packed. It is built once for a
// test program; with -short the test is skipped.
func GoGuest(t testing.TB, name string) []byte {
	t.Helper()
	return GoProgram(t, "./sdk/go/examples/"+name)
}

// GoProgram is GoGuest for any package below the repository's root.
func GoProgram(t testing.TB, name string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a Go guest")
	}
	mu.Lock()
	defer mu.Unlock()
	if built[name] == nil {
		built[name] = buildGo(t, name)
	}
	return built[name]
}

func buildGo(t testing.TB, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, name)
	cmd.Dir = testdata.Root()
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.AskManifest(module)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := sdk.PackManifest(module, m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
