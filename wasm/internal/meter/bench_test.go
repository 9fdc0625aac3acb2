package meter

import (
	"context"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// kernel is a function of wasm/testdata/kernels.c and its arguments.
type kernel struct {
	name   string
	vector bool
	args   []uint64
}

// What kernels work on: a row of logits at 64 KiB, a mask behind it, and text.
const (
	benchRow   = 65536
	benchMask  = benchRow + 151_936*4
	benchFound = benchMask + 32768
	benchText  = benchFound + 4096
	benchBytes = 200_000
)

func kernels() []kernel {
	f := func(v float32) uint64 { return uint64(math.Float32bits(v)) }
	const n = 151_936
	return []kernel{
		{"temperature", true, []uint64{benchRow, n, f(0.999)}},
		{"mask", true, []uint64{benchRow, benchMask, n}},
		{"greatest", true, []uint64{benchRow, n}},
		{"above", true, []uint64{benchRow, n, f(96), benchFound}},
		{"words", false, []uint64{benchText, benchBytes}},
		{"hash", false, []uint64{benchText, benchBytes}},
		{"sum", false, []uint64{benchText, benchBytes}},
		{"automaton", false, []uint64{benchText, benchBytes}},
		{"calls", false, []uint64{benchText, benchBytes}},
	}
}

// machine is the kernels, plain or metered.
type machine struct {
	mod  api.Module
	fuel api.MutableGlobal

	result uint64 // of the last run
}

func newMachine(b testing.TB, rt wazero.Runtime, module []byte) *machine {
	b.Helper()
	ctx := context.Background()
	b.Cleanup(func() { rt.Close(ctx) })
	mod, err := rt.Instantiate(ctx, module)
	if err != nil {
		b.Fatal(err)
	}
	m := &machine{mod: mod}
	if g, ok := mod.ExportedGlobal(FuelExport).(api.MutableGlobal); ok {
		m.fuel = g
	}
	mem := mod.Memory()
	for i := range uint32(151_936) {
		mem.WriteFloat32Le(benchRow+4*i, float32(i*7919%10_007)/100)
	}
	for i := range uint32(151_936 / 32) {
		mem.WriteUint32Le(benchMask+4*i, i*2654435761)
	}
	for i := range uint32(benchBytes) {
		mem.WriteByte(benchText+i, "the quick brown fox jumps over a lazy dog "[i%42])
	}
	return m
}

// run times a kernel.
func (m *machine) run(b testing.TB, k kernel) time.Duration {
	if m.fuel != nil {
		m.fuel.Set(1 << 60)
	}
	stack := slices.Clone(k.args)
	start := time.Now()
	if err := m.mod.ExportedFunction(k.name).CallWithStack(context.Background(), stack); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	m.result = 0
	if len(m.mod.ExportedFunction(k.name).Definition().ResultTypes()) > 0 {
		m.result = stack[0]
	}
	return took
}

// BenchmarkTax runs each kernel plain and metered in turn and reports the medians.
func BenchmarkTax(b *testing.B) {
	original, err := os.ReadFile("../../testdata/kernels.wasm")
	if err != nil {
		b.Fatal(err)
	}
	s, err := scan.Scan(original, scan.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	r, err := Rewrite(s, Options{Fuel: 1 << 60, StackSlots: 1 << 20, MemoryPages: 64, Elements: 1})
	if err != nil {
		b.Fatal(err)
	}
	plain, metered := newMachine(b, wazero.NewRuntime(b.Context()), original), newMachine(b, wazero.NewRuntime(b.Context()), r.Bytes)
	for _, k := range kernels() {
		b.Run(k.name, func(b *testing.B) {
			var t [2][]time.Duration
			for range max(b.N, 15) {
				t[0] = append(t[0], plain.run(b, k))
				t[1] = append(t[1], metered.run(b, k))
			}
			slices.Sort(t[0])
			slices.Sort(t[1])
			p, q := t[0][len(t[0])/2], t[1][len(t[1])/2]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(p)/1e3, "us-plain")
			b.ReportMetric(float64(q)/1e3, "us-metered")
			b.ReportMetric(100*(float64(q)/float64(p)-1), "%tax")
		})
	}
}
