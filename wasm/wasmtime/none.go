//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64)))

package wasmtime

import (
	"errors"

	"github.com/sandwarp/sandwarp/wasm"
)

// New returns an error: this build has no Wasmtime.
func New() (wasm.Engine, error) {
	return nil, errors.New("wasmtime: not in this build: it needs CGO_ENABLED=1, a C compiler, and linux or darwin (amd64, arm64) or windows (amd64)")
}
