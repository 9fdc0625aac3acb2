//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

import "github.com/bytecodealliance/wasmtime-go/v39"

// Validate asks the engine whether a module is valid.
func Validate(module []byte) error {
	err := wasmtime.ModuleValidate(shared().e, module)
	if err == nil {
		return nil
	}
	return plain(err)
}
