//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/sandwarp/sandwarp/wasm"
)

// instance is an instantiated module and its store, which is freed when the
// instance is closed and all holders of its memory have let go.
type instance struct {
	host   any
	store  *wasmtime.Store
	inst   *wasmtime.Instance
	memory *wasmtime.Memory // nil for none
	funcs  map[string]*function

	// base never changes: Wasmtime reserves 4 GiB of addresses for a memory, and
	// ours end at 2. size is what the memory had at least; it only grows.
	base *byte
	size uint32

	panicked string // by a host function, in the current call
	refs     atomic.Int32
}

// Mem implements wasm.Instance.
func (in *instance) Mem(off, n uint32) ([]byte, bool) {
	end := uint64(off) + uint64(n)
	if end > uint64(in.size) && end > uint64(in.MemSize()) || in.memory == nil {
		return nil, false
	}
	if in.size == 0 {
		return nil, true
	}
	return unsafe.Slice(in.base, in.size)[off:end:end], true
}

// MemSize implements wasm.Instance.
func (in *instance) MemSize() uint32 {
	if in.memory != nil {
		in.size = uint32(in.memory.DataSize(in.store))
	}
	return in.size
}

// Grow implements wasm.Instance.
func (in *instance) Grow(pages uint32) bool {
	if in.memory == nil {
		return false
	}
	if _, err := in.memory.Grow(in.store, uint64(pages)); err != nil {
		_ = plain(err)
		return false
	}
	return true
}

// Hold implements wasm.Instance.
func (in *instance) Hold() func() {
	in.refs.Add(1)
	return in.release
}

// Close implements wasm.Instance.
func (in *instance) Close() error {
	in.release()
	return nil
}

func (in *instance) release() {
	if in.refs.Add(-1) == 0 {
		in.store.Close()
	}
}

// bind makes a host function of this instance.
func (in *instance) bind(h *hostFunc) *wasmtime.Func {
	stack := make([]uint64, max(len(h.params), len(h.results)))
	results := make([]wasmtime.Val, len(h.results))
	return wasmtime.NewFunc(in.store, h.typ, func(_ *wasmtime.Caller, args []wasmtime.Val) (_ []wasmtime.Val, trap *wasmtime.Trap) {
		defer func() {
			if p := recover(); p != nil {
				in.panicked = fmt.Sprint(p)
				trap = wasmtime.NewTrap(in.panicked)
			}
		}()
		for i := range h.params {
			stack[i] = bits(args[i])
		}
		h.Call(in.host, stack)
		for i, k := range h.results {
			results[i] = value(k, stack[i])
		}
		return results, nil
	})
}

// traps are Wasmtime's traps in the words of the specification's tests, which
// wazero uses, too.
var traps = map[wasmtime.TrapCode]string{
	wasmtime.StackOverflow:          "stack overflow",
	wasmtime.MemoryOutOfBounds:      "out of bounds memory access",
	wasmtime.TableOutOfBounds:       "invalid table access",
	wasmtime.IndirectCallToNull:     "invalid table access",
	wasmtime.BadSignature:           "indirect call type mismatch",
	wasmtime.IntegerOverflow:        "integer overflow",
	wasmtime.IntegerDivisionByZero:  "integer divide by zero",
	wasmtime.BadConversionToInteger: "invalid conversion to integer",
	wasmtime.UnreachableCodeReached: "unreachable",
}

// explain turns what a call failed with into an error of ours.
func (in *instance) explain(err error) error {
	if in.panicked != "" {
		err, in.panicked = errors.New(in.panicked), ""
		return err
	}
	t, ok := err.(*wasmtime.Trap)
	if !ok {
		return plain(err)
	}
	defer t.Close()
	if code := t.Code(); code != nil {
		if text := traps[*code]; text != "" {
			return errors.New("wasm error: " + text)
		}
	}
	return errors.New(t.Message())
}

// Func implements wasm.Instance.
func (in *instance) Func(name string) wasm.Func {
	if f := in.funcs[name]; f != nil {
		return f
	}
	raw := in.inst.GetFunc(in.store, name)
	if raw == nil {
		return nil
	}
	t := raw.Type(in.store)
	f := &function{in: in, raw: raw}
	for _, p := range t.Params() {
		f.params = append(f.params, p.Kind())
	}
	f.results = len(t.Results())
	f.args = make([]any, len(f.params))
	in.funcs[name] = f
	return f
}

// function is an exported function.
type function struct {
	in      *instance
	raw     *wasmtime.Func
	params  []wasmtime.ValKind
	results int
	args    []any // of the call in progress
}

// Call implements wasm.Func.
func (f *function) Call(stack []uint64) error {
	if len(stack) < max(len(f.params), f.results) {
		return fmt.Errorf("wasmtime: a stack of %d slots for %d parameters and %d results", len(stack), len(f.params), f.results)
	}
	for i, k := range f.params {
		f.args[i] = value(k, stack[i])
	}
	f.in.panicked = ""
	out, err := f.raw.Call(f.in.store, f.args...)
	if err != nil {
		return f.in.explain(err)
	}
	if many, ok := out.([]wasmtime.Val); ok {
		for i, v := range many {
			stack[i] = bits(v)
		}
	} else if f.results == 1 {
		stack[0] = number(out)
	}
	return nil
}

// Global implements wasm.Instance.
func (in *instance) Global(name string) wasm.Global {
	e := in.inst.GetExport(in.store, name)
	if e == nil || e.Global() == nil {
		return nil
	}
	t := e.Global().Type(in.store)
	if !t.Mutable() {
		return nil
	}
	switch k := t.Content().Kind(); k {
	case wasmtime.KindI32, wasmtime.KindI64, wasmtime.KindF32, wasmtime.KindF64:
		return &global{in.store, e.Global(), k}
	}
	return nil
}

// global is an exported mutable global.
type global struct {
	store *wasmtime.Store
	raw   *wasmtime.Global
	kind  wasmtime.ValKind
}

// Get implements wasm.Global.
func (g *global) Get() uint64 { return bits(g.raw.Get(g.store)) }

// Set implements wasm.Global.
func (g *global) Set(v uint64) {
	if err := g.raw.Set(g.store, value(g.kind, v)); err != nil {
		panic(err) // of another type or immutable: excluded by Global
	}
}
