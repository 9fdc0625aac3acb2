//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

import (
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// value is a slot's content as a value of the engine.
func value(k wasmtime.ValKind, slot uint64) wasmtime.Val {
	switch k {
	case wasmtime.KindI32:
		return wasmtime.ValI32(int32(slot))
	case wasmtime.KindI64:
		return wasmtime.ValI64(int64(slot))
	case wasmtime.KindF32:
		return wasmtime.ValF32(math.Float32frombits(uint32(slot)))
	}
	return wasmtime.ValF64(math.Float64frombits(slot))
}

// bits is a value of the engine as a slot.
func bits(v wasmtime.Val) uint64 { return number(v.Get()) }

// number is a Go number as a slot.
func number(v any) uint64 {
	switch v := v.(type) {
	case int32:
		return uint64(uint32(v))
	case int64:
		return uint64(v)
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	}
	return 0
}
