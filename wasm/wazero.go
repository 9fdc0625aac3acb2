package wasm

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Wazero is the default engine: pure Go, compiled code on amd64 and arm64,
// an interpreter elsewhere. https://wazero.io
func Wazero() Engine { return wazeroEngine{} }

// WazeroInterpreter is wazero without compiled code: slower by tens of times,
// but nothing a guest does becomes machine code.
func WazeroInterpreter() Engine { return wazeroEngine{interpret: true} }

type wazeroEngine struct{ interpret bool }

func (e wazeroEngine) Name() string {
	if e.interpret {
		return "wazero-interpreter " + wazeroVersion()
	}
	return "wazero " + wazeroVersion()
}

func wazeroVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return "unknown"
}

func (e wazeroEngine) config() wazero.RuntimeConfig {
	if e.interpret {
		return wazero.NewRuntimeConfigInterpreter()
	}
	return wazero.NewRuntimeConfig()
}

func (e wazeroEngine) Compile(ctx context.Context, module []byte, imports []HostFunc, cacheDir string) (Module, error) {
	config := e.config().WithDebugInfoEnabled(false)
	m := &wazeroModule{}
	if cacheDir != "" && !e.interpret {
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("compiled-code cache: %w", err)
		}
		m.cache = cache
		config = config.WithCompilationCache(cache)
	}
	m.rt = wazero.NewRuntimeWithConfig(ctx, config)
	if err := m.compile(ctx, module, imports); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

type wazeroModule struct {
	rt    wazero.Runtime
	cache wazero.CompilationCache
	code  wazero.CompiledModule
}

// hostKey is the context key under which host functions find their instance.
type hostKey struct{}

func (m *wazeroModule) compile(ctx context.Context, module []byte, imports []HostFunc) (err error) {
	builders := map[string]wazero.HostModuleBuilder{}
	for _, f := range imports {
		b := builders[f.Module]
		if b == nil {
			b = m.rt.NewHostModuleBuilder(f.Module)
			builders[f.Module] = b
		}
		call := f.Call
		fn := api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			call(ctx.Value(hostKey{}), stack)
		})
		b.NewFunctionBuilder().WithGoModuleFunction(fn, f.Params, f.Results).Export(f.Name)
	}
	for _, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("host functions: %w", err)
		}
	}
	defer func() {
		if p := recover(); p != nil { // a fault of the engine's, but no reason to die
			err = fmt.Errorf("the compiler failed: %v", p)
		}
	}()
	m.code, err = m.rt.CompileModule(ctx, module)
	return err
}

func (m *wazeroModule) Close() error {
	ctx := context.Background()
	err := m.rt.Close(ctx)
	if m.cache != nil {
		if e := m.cache.Close(ctx); err == nil {
			err = e
		}
	}
	return err
}

func (m *wazeroModule) NewInstance(ctx context.Context, host any) (_ Instance, err error) {
	in := &wazeroInstance{ctx: context.WithValue(context.WithoutCancel(ctx), hostKey{}, host)}
	defer func() {
		if p := recover(); p != nil { // the engine's answer to a failed allocation
			err = fmt.Errorf("instantiate: %v", p)
		}
		if err != nil && in.mem != nil {
			in.mem.Free() // the engine does not, where a start function traps
		}
	}()
	alloc := experimental.MemoryAllocatorFunc(func(_, max uint64) experimental.LinearMemory {
		in.mem = newLinear(max)
		if in.mem == nil {
			return noMemory{}
		}
		return in.mem
	})
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithRandSource(noRandom{}) // the default is 5 KB an instance, and unused: see wasi.go
	in.mod, err = m.rt.InstantiateModule(experimental.WithMemoryAllocator(in.ctx, alloc), m.code, config)
	if err != nil {
		return nil, err
	}
	if in.mem != nil { // else Memory is an interface with a nil pointer in it
		in.memory = in.mod.Memory()
	}
	return in, nil
}

// noRandom is a source of random bytes nobody reads.
type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, io.EOF }

// noMemory stands in where no address space is left: growing it fails.
type noMemory struct{}

func (noMemory) Reallocate(uint64) []byte { panic("no address space for the guest's memory") }
func (noMemory) Free()                    {}

type wazeroInstance struct {
	ctx    context.Context
	mod    api.Module
	memory api.Memory
	mem    *linear
}

func (in *wazeroInstance) Func(name string) Func {
	f := in.mod.ExportedFunction(name)
	if f == nil {
		return nil
	}
	return wazeroFunc{in.ctx, f}
}

type wazeroFunc struct {
	ctx context.Context
	f   api.Function
}

func (f wazeroFunc) Call(stack []uint64) error { return f.f.CallWithStack(f.ctx, stack) }

func (in *wazeroInstance) Global(name string) Global {
	g, _ := in.mod.ExportedGlobal(name).(api.MutableGlobal)
	if g == nil {
		return nil
	}
	return g
}

func (in *wazeroInstance) Mem(off, n uint32) ([]byte, bool) {
	if in.memory == nil {
		return nil, false
	}
	return in.memory.Read(off, n)
}

func (in *wazeroInstance) MemSize() uint32 {
	if in.memory == nil {
		return 0
	}
	return in.memory.Size()
}

func (in *wazeroInstance) Grow(pages uint32) bool {
	if in.memory == nil {
		return false
	}
	_, ok := in.memory.Grow(pages)
	return ok
}

func (in *wazeroInstance) linear() *linear { return in.mem }

func (in *wazeroInstance) Hold() func() {
	if in.mem == nil {
		return func() {}
	}
	return in.mem.hold()
}

func (in *wazeroInstance) Close() error { return in.mod.Close(in.ctx) }
