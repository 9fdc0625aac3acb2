package meter

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// kernels are loops as plugins run them, over n values at address 0.
func kernels() []byte {
	m := &Builder{}
	m.Memory(10, 10)
	v := func(op ...byte) []byte { return append([]byte{0xfd}, op...) }
	load, store := v(0, 4, 0), v(11, 4, 0)
	mul, add, maximum := v(0xe6, 1), v(0xe4, 1), v(0xe9, 1)
	splat := v(19)
	step := func(by int32) []byte {
		return Cat(LocalGet(1), I32Const(by), I32Add, LocalTee(1), LocalGet(0), I32LtU, BrIf(0))
	}
	// x = max(x * 0.9 + 0.1, 0), four at a time: what temperature and bias do
	m.Func("vector", []byte{I32}, nil, []byte{I32},
		Loop(None, LocalGet(1), LocalGet(1), load, F32Const(0.9), splat, mul, F32Const(0.1), splat, add, F32Const(0), splat, maximum, store, step(16)))
	// the same four times a round, as an unrolling compiler writes it
	one := Cat(LocalGet(1), LocalGet(1), load, F32Const(0.9), splat, mul, F32Const(0.1), splat, add, F32Const(0), splat, maximum, store)
	next := Cat(LocalGet(1), I32Const(16), I32Add, LocalSet(1))
	m.Func("unrolled", []byte{I32}, nil, []byte{I32},
		Loop(None, one, next, one, next, one, next, one, step(16)))
	// counts words in bytes, with branches
	m.Func("words", []byte{I32}, []byte{I32}, []byte{I32, I32, I32, I32},
		Loop(None, LocalGet(1), Op(0x2d, 0, 0), LocalTee(2), I32Const(32), I32Eq,
			If(None, I32Const(0), LocalSet(3), Else,
				LocalGet(3), I32Eqz, If(None, LocalGet(4), I32Const(1), I32Add, LocalSet(4)), I32Const(1), LocalSet(3)),
			step(1)), LocalGet(4))
	return m.Bytes()
}

func BenchmarkTax(b *testing.B) {
	original := kernels()
	s, err := scan.Scan(original, scan.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	r, err := Rewrite(s, Options{Fuel: 1 << 60, StackSlots: 1 << 20, MemoryPages: 64, Elements: 1})
	if err != nil {
		b.Fatal(err)
	}
	for _, kernel := range []string{"vector", "unrolled", "words"} {
		for name, module := range map[string][]byte{"plain": original, "metered": r.Bytes} {
			b.Run(kernel+"/"+name, func(b *testing.B) {
				ctx := context.Background()
				rt := wazero.NewRuntime(ctx)
				defer rt.Close(ctx)
				mod, err := rt.Instantiate(ctx, module)
				if err != nil {
					b.Fatal(err)
				}
				mem := mod.Memory()
				for i := range uint32(600_000) {
					mem.WriteByte(i, "the quick brown fox "[i%20])
				}
				var fuel api.MutableGlobal
				if g := mod.ExportedGlobal(FuelExport); g != nil {
					fuel = g.(api.MutableGlobal)
				}
				f := mod.ExportedFunction(kernel)
				stack := make([]uint64, 1)
				b.ResetTimer()
				for range b.N {
					if fuel != nil {
						fuel.Set(1 << 60)
					}
					stack[0] = 151_936 * 4 / 64 * 64 / 2
					if err := f.CallWithStack(ctx, stack); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
