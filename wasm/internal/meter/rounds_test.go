package meter

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Real loops compute the same metered, whatever the number of rounds, and a round
// more costs what a round costs.
func TestKernelsComputeTheSame(t *testing.T) {
	original, err := os.ReadFile("../../testdata/kernels.wasm")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scan.Scan(original, scan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Rewrite(s, Options{Fuel: 1 << 40, StackSlots: 1 << 20, MemoryPages: 64, Elements: 1})
	if err != nil {
		t.Fatal(err)
	}
	plain, metered := newMachine(t, wazero.NewRuntime(context.Background()), original), newMachine(t, wazero.NewRuntime(context.Background()), r.Bytes)
	b, _ := plain.mod.Memory().Read(0, benchText+1000)
	fresh := bytes.Clone(b)
	run := func(m *machine, k kernel) (result uint64, mem []byte, fuel int64) {
		m.mod.Memory().Write(0, fresh)
		m.run(t, k)
		b, _ := m.mod.Memory().Read(0, uint32(len(fresh)))
		if m.fuel != nil {
			fuel = 1<<60 - int64(m.fuel.Get())
		}
		return m.result, bytes.Clone(b), fuel
	}
	for _, k := range kernels() {
		var used []int64
		for n := range uint64(14) {
			k := k
			k.args = slices.Clone(k.args)
			size := slices.IndexFunc(k.args, func(v uint64) bool { return v == 151_936 || v == benchBytes })
			k.args[size] = n
			if k.vector {
				k.args[size] = 32 * n
			}
			want, before, _ := run(plain, k)
			got, after, fuel := run(metered, k)
			if got != want || !bytes.Equal(before, after) {
				t.Errorf("%s of %d: %d, without metering %d; same memory: %v", k.name, k.args[size], got, want, bytes.Equal(before, after))
			}
			used = append(used, fuel)
		}
		if k.name == "sum" || k.name == "temperature" {
			per := used[3] - used[2]
			for n := 2; n < len(used); n++ {
				if used[n]-used[n-1] != per {
					t.Errorf("%s: a round costs %d and %d", k.name, per, used[n]-used[n-1])
				}
			}
		}
	}
}

// A loop that is written out stops like any other, at its function's end and in the
// middle of blocks, and says how it stopped.
func TestWrittenOutLoopStops(t *testing.T) {
	m := &Builder{}
	round := Cat(LocalGet(0), I32Const(1), I32Add, LocalTee(0))
	m.Func("endless", []byte{I32}, nil, nil, Loop(None, round, Drop, I32Const(1), BrIf(0)))
	m.Func("nested", []byte{I32}, []byte{I32}, nil, Block(None, Block(None, Loop(None, round, Drop, I32Const(0), BrIf(0)), LocalGet(0), BrIf(1)), I32Const(7), Return), LocalGet(0))
	m.Func("beneath", []byte{I32}, []byte{I32}, nil, I32Const(5), Loop(None, round, I32Const(9), I32LtU, BrIf(0)), LocalGet(0), I32Add)
	g := start(t, m)
	if _, _, err := g.call("endless", 0); err == nil || g.global(FuelExport) >= 0 {
		t.Errorf("%v, fuel left %d", err, g.global(FuelExport))
	}
	if r, _, err := g.call("nested", 41); err != nil || r[0] != 42 {
		t.Error(r, err)
	}
	for from, want := range map[uint64]uint64{0: 14, 3: 14, 7: 14, 8: 14, 9: 15, 20: 26} {
		if r, _, err := g.call("beneath", from); err != nil || r[0] != want {
			t.Errorf("from %d: %v, %v", from, r, err)
		}
	}
}
