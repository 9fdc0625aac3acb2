//go:build wasmtime

package main

import "github.com/sandwarp/sandwarp/wasm/wasmtime"

func init() { engines["wasmtime"] = wasmtime.New }
