package plugintest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Committed builds modules (their paths, without .wasm) by the Makefile of the test's
// folder, and compares the bytes with the committed ones. The Makefile takes OUT, the
// folder to build in, and says SKIPPED where a tool is missing.
func Committed(t *testing.T, modules ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a compiler")
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("SKIPPED: make is not installed")
	}
	out := t.TempDir()
	text, err := exec.Command("make", "-j2", "OUT="+out).CombinedOutput()
	if err != nil {
		t.Fatalf("make: %v\n%s", err, text)
	}
	if bytes.Contains(text, []byte("SKIPPED")) {
		t.Skipf("%s", text)
	}
	for _, name := range modules {
		got, err := os.ReadFile(filepath.Join(out, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(name + ".wasm"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.wasm is not what its source gives: run make here (%v)", name, err)
		}
	}
}
