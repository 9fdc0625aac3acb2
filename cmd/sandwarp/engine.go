package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/wasm"
)

// engines make the engines that plugins can run on, by the names of --engine.
// engine_wasmtime.go adds one.
var engines = map[string]func() (wasm.Engine, error){
	"wazero":             func() (wasm.Engine, error) { return wasm.Wazero(), nil },
	"wazero-interpreter": func() (wasm.Engine, error) { return wasm.WazeroInterpreter(), nil },
}

func engineNames() string {
	var names []string
	for name := range engines {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func pickEngine(name string) (wasm.Engine, error) {
	newEngine, ok := engines[name]
	switch {
	case ok:
		return newEngine()
	case name == "wasmtime":
		return nil, usageError{fmt.Errorf("--engine wasmtime is not in this build: build with CGO_ENABLED=1 go build -tags wasmtime ./cmd/sandwarp")}
	}
	return nil, usageError{fmt.Errorf("--engine %s: there are %s", name, engineNames())}
}
