// Package rust_test builds and tests the Rust SDK where the tools are.
package rust_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/sandwarp/sandwarp/internal/plugintest"
)

// TestGolden hands the ABI's byte vectors to a plugin that reads and writes each.
func TestGolden(t *testing.T) { plugintest.GoldenFile(t, "testdata/golden.wasm") }

// TestNumbers compares the crate's constants with the host's.
func TestNumbers(t *testing.T) { plugintest.Numbers(t, "src/abi.rs") }

func TestCommittedModules(t *testing.T) {
	plugintest.Committed(t, "examples/banlist", "examples/norepeat", "examples/bytes", "examples/redact", "testdata/golden")
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
