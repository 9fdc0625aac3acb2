//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64)))

package wasmtime_test

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/wasm/wasmtime"
)

// Without cgo the package builds, and says what it lacks.
func TestNotInThisBuild(t *testing.T) {
	if e, err := wasmtime.New(); e != nil || err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("%v %v", e, err)
	}
	t.Skip("no Wasmtime in this build: its tests want CGO_ENABLED=1 and a C compiler")
}
