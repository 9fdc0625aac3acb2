package enginetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Addresses checks loads and stores of every width at addresses and offsets of every
// kind, above all at the edges: engines have computed them wrong
// (CVE-2026-34971, CVE-2023-26489). In a memory of two pages, an access is made if
// it ends within, and traps otherwise.
func Addresses(t *testing.T, e wasm.Engine) {
	const size = 2 << 16
	widths := []struct {
		name        string
		load, store byte
		typ         byte
		bytes       uint64
	}{
		{"i32.8", 0x2d, 0x3a, I32, 1}, {"i32.16", 0x2f, 0x3b, I32, 2}, {"i32", 0x28, 0x36, I32, 4},
		{"i64.8", 0x31, 0x3c, I64, 1}, {"i64.32", 0x35, 0x3e, I64, 4}, {"i64", 0x29, 0x37, I64, 8},
		{"f32", 0x2a, 0x38, F32, 4}, {"f64", 0x2b, 0x39, F64, 8},
	}
	offsets := []uint32{0, 1, 7, 4095, 65535, 65536, size - 8, size - 1, size, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 8, 1<<32 - 1}
	m := &Builder{}
	m.Memory(2, 2)
	for _, w := range widths {
		for _, off := range offsets {
			arg := append([]byte{0}, U(uint64(off))...)
			m.Func(fmt.Sprintf("load %s %d", w.name, off), []byte{I32}, []byte{w.typ}, nil, LocalGet(0), append([]byte{w.load}, arg...))
			// The address is computed in other ways, too: scaled, and from two.
			m.Func(fmt.Sprintf("scaled %s %d", w.name, off), []byte{I32}, []byte{w.typ}, nil, LocalGet(0), I32Const(3), Op(0x74), append([]byte{w.load}, arg...))
			m.Func(fmt.Sprintf("store %s %d", w.name, off), []byte{I32, w.typ}, nil, nil, LocalGet(0), LocalGet(1), append([]byte{w.store}, arg...))
		}
	}
	in := instance(t, compile(t, e, m), nil)
	mem, _ := in.Mem(0, size)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
	bases := []uint32{0, 1, 2, 3, 8, 100, 65532, 65535, 65536, size - 9, size - 8, size - 7, size - 4, size - 2, size - 1, size, 1 << 29, 1<<31 - 1, 1 << 31, 1<<32 - 9, 1<<32 - 8, 1<<32 - 1}
	for range 6 {
		bases = append(bases, r.Uint32(), r.Uint32N(size))
	}
	for _, w := range widths {
		for _, off := range offsets {
			load, scaled := in.Func(fmt.Sprintf("load %s %d", w.name, off)), in.Func(fmt.Sprintf("scaled %s %d", w.name, off))
			store := in.Func(fmt.Sprintf("store %s %d", w.name, off))
			for _, base := range bases {
				check := func(what string, f wasm.Func, at uint64, write bool) {
					stack := []uint64{uint64(base), 0, 0}
					want := uint64(0)
					fits := at+w.bytes <= size
					if write {
						want = r.Uint64() >> (64 - 8*w.bytes)
						stack[1] = want
					} else if fits {
						want = little(mem[at : at+w.bytes])
					}
					err := f.Call(stack)
					switch {
					case fits != (err == nil):
						t.Fatalf("%s %s at %d+%d: %v", what, w.name, base, off, err)
					case !fits:
					case write && little(mem[at:at+w.bytes]) != want:
						t.Fatalf("%s %s at %d+%d stored elsewhere", what, w.name, base, off)
					case !write && stack[0] != want:
						t.Fatalf("%s %s at %d+%d: %#x, want %#x", what, w.name, base, off, stack[0], want)
					}
				}
				check("load", load, uint64(base)+uint64(off), false)
				check("scaled load", scaled, uint64(base<<3)+uint64(off), false)
				check("store", store, uint64(base)+uint64(off), true)
			}
		}
	}
}

// little reads a little-endian number.
func little(b []byte) (v uint64) {
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v
}
