package sdk_test

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/plugintest"
)

// TestGoldenC and TestGoldenGo hand the ABI's byte vectors to guests that read and write
// each; Rust's and AssemblyScript's tests do the same.
func TestGoldenC(t *testing.T) { plugintest.GoldenFile(t, "c/testdata/golden.wasm") }

func TestGoldenGo(t *testing.T) {
	plugintest.Golden(t, plugintest.GoProgram(t, "./sdk/go/testdata/golden"))
}
