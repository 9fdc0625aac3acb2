//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/sandwarp/sandwarp/wasm"
)

// New returns the engine. All calls return the same one: Wasmtime's handlers of
// signals and its threads for compiling are the process's.
func New() (wasm.Engine, error) { return shared(), nil }

var shared = sync.OnceValue(func() *engine {
	c := wasmtime.NewConfig()
	c.SetMaxWasmStack(maxStack())
	// What the scan refuses, the engine need not know.
	c.SetWasmThreads(false)
	c.SetWasmTailCall(false)
	c.SetWasmGC(false)
	c.SetWasmFunctionReferences(false)
	c.SetWasmMultiMemory(false)
	c.SetWasmMemory64(false)
	c.SetWasmRelaxedSIMD(false)
	c.SetWasmWideArithmetic(false)
	return &engine{wasmtime.NewEngineWithConfig(c)}
})

type engine struct{ e *wasmtime.Engine }

const bindings = "github.com/bytecodealliance/wasmtime-go/v39"

func (*engine) Name() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == bindings {
				return "wasmtime " + d.Version
			}
		}
	}
	return "wasmtime v39" // a test binary does not always say
}

// codeName is the file of compiled code in a cache folder.
const codeName = "code.cwasm"

func (e *engine) Compile(_ context.Context, code []byte, imports []wasm.HostFunc, cacheDir string) (wasm.Module, error) {
	m := &module{engine: e.e}
	if err := m.describe(imports); err != nil {
		return nil, err
	}
	if cacheDir != "" {
		// Read, not mapped: what was verified a moment ago must not change under us.
		cached, err := os.ReadFile(filepath.Join(cacheDir, codeName))
		if err == nil {
			if m.code, err = wasmtime.NewModuleDeserialize(e.e, cached); err != nil {
				return nil, fmt.Errorf("compiled code of the cache: %w", plain(err))
			}
			return m, m.resolve()
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("compiled-code cache: %w", err)
		}
	}
	var err error
	if m.code, err = wasmtime.NewModule(e.e, code); err != nil {
		return nil, plain(err)
	}
	if cacheDir != "" {
		m.store(cacheDir) // without the file the next load compiles again
	}
	return m, m.resolve()
}

func (m *module) store(dir string) {
	if b, err := m.code.Serialize(); err == nil {
		path := filepath.Join(dir, codeName)
		if os.WriteFile(path, b, 0o600) != nil {
			_ = os.Remove(path)
		}
	}
}

// plain is an error without the C object behind it, whose life ends here.
func plain(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n\nStack backtrace") // with RUST_BACKTRACE set
	if e, ok := err.(*wasmtime.Error); ok {
		e.Close()
	}
	return errors.New(text)
}
