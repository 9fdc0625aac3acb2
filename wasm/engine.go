package wasm

import "context"

// Engine translates modules to something that runs. Engines are safe for
// concurrent use. They see only modules that were scanned and metered: counting
// fuel and stack is not their business.
type Engine interface {
	// Name identifies engine and version; it is part of the key of cached code.
	Name() string
	// Compile translates a module that imports exactly the given functions.
	// cacheDir is a folder for compiled code, which holds nothing else; empty
	// for none. What is found there was written by the same engine for the same
	// module and is unchanged since.
	Compile(ctx context.Context, module []byte, imports []HostFunc, cacheDir string) (Module, error)
}

// HostFunc is a function of the host's. Call gets the host value of the instance
// that calls, and a stack with the parameters, in whose place it leaves the
// results, each in a 64-bit slot. A panic in Call becomes a trap.
type HostFunc struct {
	Module, Name    string
	Params, Results []byte // value types as in the binary format
	Call            func(host any, stack []uint64)
}

// Module is a compiled module. It is safe for concurrent use.
type Module interface {
	// NewInstance instantiates the module, start function included; host is
	// handed to host functions.
	NewInstance(ctx context.Context, host any) (Instance, error)
	// Close frees the code. Instances must be closed before.
	Close() error
}

// Instance is an instantiated module, for one goroutine at a time.
type Instance interface {
	// Func is an exported function, nil if there is none of the name.
	Func(name string) Func
	// Global is an exported mutable global, nil if there is none of the name.
	Global(name string) Global
	// Mem is a view of n bytes of memory from off. The memory never moves: the
	// view stays valid until Close, or until the last Hold is released.
	Mem(off, n uint32) ([]byte, bool)
	// MemSize is the memory's size in bytes, at most 2 GiB.
	MemSize() uint32
	// Grow adds 64 KiB pages.
	Grow(pages uint32) bool
	// Hold keeps the memory mapped after Close until release is called.
	Hold() (release func())
	Close() error
}

// Func is a guest's function. The stack holds parameters before the call and
// results after it. There is no context: guests stop by fuel.
type Func interface{ Call(stack []uint64) error }

// Global is a numeric global.
type Global interface {
	Get() uint64
	Set(uint64)
}
