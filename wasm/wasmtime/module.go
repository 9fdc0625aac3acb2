//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

import (
	"context"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/sandwarp/sandwarp/wasm"
)

// module is compiled code and the host functions it imports.
type module struct {
	engine *wasmtime.Engine
	code   *wasmtime.Module
	given  map[string]*hostFunc // by "module.name"
	wanted []*hostFunc          // in the order of the module's imports
}

// hostFunc is a host function with its type as the engine knows it.
type hostFunc struct {
	wasm.HostFunc
	typ             *wasmtime.FuncType
	params, results []wasmtime.ValKind
}

// describe translates the signatures of host functions.
func (m *module) describe(imports []wasm.HostFunc) error {
	m.given = make(map[string]*hostFunc, len(imports))
	for _, f := range imports {
		h := &hostFunc{HostFunc: f}
		var p, r []*wasmtime.ValType
		var err error
		if h.params, p, err = kinds(f.Params); err == nil {
			h.results, r, err = kinds(f.Results)
		}
		if err != nil {
			return fmt.Errorf("import %s.%s: %w", f.Module, f.Name, err)
		}
		h.typ = wasmtime.NewFuncType(p, r)
		m.given[f.Module+"."+f.Name] = h
	}
	return nil
}

// kinds translates value types. Host functions take and return numbers.
func kinds(types []byte) ([]wasmtime.ValKind, []*wasmtime.ValType, error) {
	ks, ts := make([]wasmtime.ValKind, len(types)), make([]*wasmtime.ValType, len(types))
	for i, t := range types {
		k, ok := map[byte]wasmtime.ValKind{
			0x7f: wasmtime.KindI32, 0x7e: wasmtime.KindI64, 0x7d: wasmtime.KindF32, 0x7c: wasmtime.KindF64,
		}[t]
		if !ok {
			return nil, nil, fmt.Errorf("a host function cannot have values of type %#x", t)
		}
		ks[i], ts[i] = k, wasmtime.NewValType(k)
	}
	return ks, ts, nil
}

// resolve finds the host function of each import: a module may name one twice.
func (m *module) resolve() error {
	for _, im := range m.code.Imports() {
		name := ""
		if im.Name() != nil {
			name = *im.Name()
		}
		h := m.given[im.Module()+"."+name]
		if h == nil {
			m.code.Close()
			return fmt.Errorf("import %s.%s is not given", im.Module(), name)
		}
		m.wanted = append(m.wanted, h)
	}
	return nil
}

// Close implements wasm.Module.
func (m *module) Close() error {
	m.code.Close()
	return nil
}

// NewInstance implements wasm.Module. Each instance has a store of its own,
// which is all its memory.
func (m *module) NewInstance(_ context.Context, host any) (wasm.Instance, error) {
	in := &instance{host: host, store: wasmtime.NewStore(m.engine), funcs: map[string]*function{}}
	in.refs.Store(1)
	imports := make([]wasmtime.AsExtern, len(m.wanted))
	for i, h := range m.wanted {
		imports[i] = in.bind(h)
	}
	inst, err := wasmtime.NewInstance(in.store, m.code, imports)
	if err != nil {
		err = in.explain(err)
		in.release()
		return nil, err
	}
	in.inst = inst
	if e := inst.GetExport(in.store, "memory"); e != nil && e.Memory() != nil {
		in.memory = e.Memory()
		in.base = (*byte)(in.memory.Data(in.store))
	}
	return in, nil
}
