//go:build cgo && linux && (amd64 || arm64)

package wasmtime_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sandwarp/sandwarp/wasm/internal/enginetest"
)

// Go's own handling of signals works as before: a nil dereference and a fault in a
// file that was truncated under its mapping are panics to recover from.
func TestSignalsOfGo(t *testing.T) {
	enginetest.Rules(t, engine(t)) // the engine's handlers have been at work
	path := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	faults := func(f func() byte) (caught bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { caught = recover() != nil }()
		f()
		return false
	}
	var none *[8]byte
	done := make(chan bool)
	for range 8 { // on threads of all kinds
		go func() {
			done <- faults(func() byte { return b[5000] }) && faults(func() byte { return none[3] })
		}()
		if !<-done {
			t.Fatal("a fault went unnoticed")
		}
	}
}
