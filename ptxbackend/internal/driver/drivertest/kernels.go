package drivertest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

const threads = 128

// step is dst[i] = 2*src[i] + add for i < n, after the grids before it.
func step(t ptx.Target) *ptx.Builder {
	b := ptx.New("step", t)
	b.Threads(threads, 0)
	dst, src := b.Param(ptx.U64, "dst"), b.Param(ptx.U64, "src")
	n, add := b.Param(ptx.U32, "n"), b.Param(ptx.U32, "add")
	i := b.Mad(b.Ctaid(0), threads, b.Tid(0))
	b.GridLaunch()
	b.GridWait()
	b.If(b.Setp(ptx.Lt, i, n), func() {
		v := b.Ld(ptx.Global, ptx.U32, b.MadWide(i, 4, src), 0)
		b.St(ptx.Global, b.MadWide(i, 4, dst), 0, b.Mad(v, 2, add))
	})
	return b
}

// flip reverses n words within a block by way of dynamic shared memory: each thread
// takes every threads-th.
func flip(t ptx.Target) *ptx.Builder {
	b := ptx.New("flip", t)
	b.Threads(threads, 0)
	data, n := b.Param(ptx.U64, "data"), b.Param(ptx.U32, "n")
	mem := b.DynamicShared("mem", 16)
	b.GridWait()
	b.For(b.Tid(0), n, threads, func(i ptx.Reg) {
		b.St(ptx.Shared, b.Mad(i, 4, mem), 0, b.Ld(ptx.Global, ptx.U32, b.MadWide(i, 4, data), 0))
	})
	b.Bar()
	b.For(b.Tid(0), n, threads, func(i ptx.Reg) {
		j := b.Sub(b.Sub(n, 1), i)
		b.St(ptx.Global, b.MadWide(i, 4, data), 0, b.Ld(ptx.Shared, ptx.U32, b.Mad(j, 4, mem), 0))
	})
	return b
}

// fault is a kernel that traps.
func fault(t ptx.Target) *ptx.Builder {
	b := ptx.New("fault", t)
	b.Trap()
	return b
}

// load builds, loads and finds a kernel.
func load(t *testing.T, d driver.Device, b *ptx.Builder) driver.Function {
	t.Helper()
	k, err := b.Kernel()
	must(t, err)
	m, err := d.Load(&ptx.Module{Target: b.Target, Kernels: []*ptx.Kernel{k}})
	must(t, err)
	f, err := m.Function(k)
	must(t, err)
	return f
}

// pack lays out uint64 and uint32 parameters, those of 8 bytes first.
func pack(args ...any) []byte {
	var b []byte
	for _, a := range args {
		switch a := a.(type) {
		case driver.Ptr:
			b = binary.LittleEndian.AppendUint64(b, uint64(a))
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(a))
		default:
			panic(fmt.Sprintf("drivertest: %T", a))
		}
	}
	return b
}

// launchOf covers n words with the blocks of step, which may overlap where they can.
func (s *suite) launchOf(params []byte, n int) *driver.Launch {
	blocks := uint32((n + threads - 1) / threads)
	return &driver.Launch{Grid: [3]uint32{blocks}, Block: [3]uint32{threads}, Params: params, Dependent: s.target.Hopper()}
}

func words(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
