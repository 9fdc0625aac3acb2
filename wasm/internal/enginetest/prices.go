package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// price is code that a guest may repeat to take more time than its fuel says.
type price struct {
	name  string
	guest *Guest
}

// prices are loops over one kind of work, as long as the fuel lasts.
func prices(fuel uint64) (list []price) {
	body := func(g *Guest, code ...[]byte) *Guest {
		g.Manifest.Fuel = fuel
		return g.With(abi.ExportFilter, Loop(None, bytes.Repeat(Cat(code...), 8), Br(0)), I64Const(0))
	}
	plain := func(name string, code ...[]byte) {
		list = append(list, price{name, body(NewGuest(abi.KindFilter, ""), code...)})
	}
	f64 := func(v float64) []byte { return append([]byte{0x44}, little64(math.Float64bits(v))...) }
	vec := func(b byte) []byte { return append([]byte{0xfd, 12}, bytes.Repeat([]byte{b}, 16)...) }
	simd := func(n uint32) []byte { return append([]byte{0xfd}, U(uint64(n))...) }
	misc := func(n byte, arg ...byte) []byte { return append([]byte{0xfc, n}, arg...) }
	plain("nothing", Nop)
	// Each result is the next one's operand, so that none is left out.
	chain := func(name string, typ byte, init []byte, code ...[]byte) {
		g := NewGuest(abi.KindFilter, "")
		g.Locals[abi.ExportFilter] = []byte{typ}
		body(g, LocalGet(4), Cat(code...), LocalSet(4))
		g.Code[abi.ExportFilter] = Cat(init, LocalSet(4), g.Code[abi.ExportFilter])
		list = append(list, price{name, g})
	}
	chain("i64 division", I64, I64Const(-1<<62), I64Const(-3), Op(0x7f), I64Const(-1<<61), Op(0x85))
	chain("f64 division", F64, f64(3), f64(1.7), Op(0xa3))
	chain("f64 square root", F64, f64(3), Op(0x9f))
	chain("f64 floor", F64, f64(3.3), Op(0x9c), f64(0.1), Op(0xa0))
	chain("f64 minimum", F64, f64(3.3), f64(-0.1), Op(0xa4))
	chain("saturating conversion", F64, f64(3.3), misc(7), Op(0xba))
	chain("denormals", F64, f64(5e-324), f64(0.7), Op(0xa2), f64(5e-324), Op(0xa0))
	chain("bytes shifted", V128, vec(200), LocalGet(2), simd(0x6c))
	chain("64-bit lanes multiplied", V128, vec(200), vec(77), simd(0xd5))
	chain("lanes converted", V128, vec(63), simd(0xf9))
	chain("lanes divided", V128, vec(99), vec(77), simd(0xf3))
	chain("square roots of lanes", V128, vec(99), simd(0xef))
	chain("64-bit lanes shifted", V128, vec(200), LocalGet(2), simd(0xcc))
	chain("bits counted", V128, vec(99), simd(0x62))
	chain("bytes moved", V128, vec(3), LocalGet(4), simd(14))
	plain("load", LocalGet(2), I32Load(0), Drop)
	plain("memory.size", MemorySize, Drop)
	plain("memory.grow 0", zero, MemoryGrow, Drop)
	plain("memory.grow fails", I32Const(65535), MemoryGrow, Drop)
	plain("memory.fill 0", zero, zero, zero, MemoryFill)
	plain("memory.fill 7", zero, zero, I32Const(7), MemoryFill)
	plain("memory.fill of two pages", I32Const(4095), zero, I32Const(4), MemoryFill)
	plain("memory.copy 0", zero, zero, zero, MemoryCopy)
	plain("memory.copy 4 KiB", zero, I32Const(5000), I32Const(4096), MemoryCopy)
	table := func(name string, code ...[]byte) {
		g := NewGuest(abi.KindFilter, "")
		g.Type(nil, nil)
		g.Table(100, 1000)
		g.Func("", nil, nil, nil)
		g.Elem(0, 0)
		list = append(list, price{name, body(g, code...)})
	}
	table("table.grow 0", Op(0xd0, 0x70), zero, misc(15, 0), Drop)
	table("table.grow fails", Op(0xd0, 0x70), I32Const(1<<20), misc(15, 0), Drop)
	table("table.fill 0", zero, Op(0xd0, 0x70), zero, misc(17, 0))
	table("table.copy 0", zero, zero, zero, misc(14, 0, 0))
	table("table.init 0", zero, zero, zero, misc(12, 0, 0))
	table("table.get and set", I32Const(3), I32Const(4), Op(0x25, 0), Op(0x26, 0))
	table("call", Call(0))
	table("indirect call", zero, CallIndirect(0))
	// Addresses all over 32 MiB, each from the last: what memory makes of it.
	g := NewGuest(abi.KindFilter, "")
	g.Locals[abi.ExportFilter] = []byte{I32}
	g.NoMemory = true
	g.Memory(513, 513)
	list = append(list, price{"loads all over", body(g, LocalGet(4), I32Const(0x01fffffc), Op(0x71), I32Load(0),
		LocalGet(4), I32Const(1664525), I32Mul, I32Const(1013904223), I32Add, I32Add, LocalSet(4))})
	return append(list, hostPrices(body)...)
}

// hostPrices are the same for host functions, with inputs as bad as they can be.
func hostPrices(body func(*Guest, ...[]byte) *Guest) (list []price) {
	host := func(name, module, function string, params, results []byte, code ...[]byte) {
		g := NewGuest(abi.KindFilter, "")
		g.Import(module, function, params, results)
		g.NoMemory = true
		g.Manifest.OptionalCapabilities = []string{abi.CapKV, abi.CapVocab}
		g.Memory(33, -1)
		g.Data(1<<16, rising(1<<20))
		g.Data(1<<16+1<<20, scattered(1<<20))
		if len(results) > 0 {
			code = append(code, Call(0), Drop)
		} else {
			code = append(code, Call(0))
		}
		list = append(list, price{name, body(g, code...)})
	}
	i := func(n int) []byte { return bytes.Repeat([]byte{I32}, n) }
	i32 := []byte{I32}
	const at, n, ids, wasi = 1 << 16, 1 << 18, 1<<16 + 1<<20, "wasi_snapshot_preview1"
	host("now", "sw1", "now", nil, []byte{I64})
	host("rand", "sw1", "rand", nil, []byte{I64})
	host("log", "sw1", "log", i(3), i32, zero, I32Const(at), I32Const(20))
	host("log beyond memory", "sw1", "log", i(3), i32, zero, I32Const(-1), I32Const(20))
	host("metric", "sw1", "metric", []byte{I32, I32, F64}, i32, I32Const(at), I32Const(20), append([]byte{0x44}, make([]byte, 8)...))
	host("op_topk", "sw1", "op_topk", i(4), i32, I32Const(at), I32Const(n), I32Const(4096), zero)
	host("op_topk of too many", "sw1", "op_topk", i(4), i32, I32Const(at), I32Const(n), I32Const(n), zero)
	host("op_mask", "sw1", "op_mask", i(3), i32, I32Const(at), I32Const(n), I32Const(at))
	host("op_mask beyond memory", "sw1", "op_mask", i(3), i32, I32Const(-4), I32Const(n), I32Const(at))
	host("op_scale", "sw1", "op_scale", []byte{I32, I32, F32, F32}, i32, I32Const(at), I32Const(n), F32Const(1e-20), F32Const(1))
	host("op_penalty", "sw1", "op_penalty", []byte{I32, I32, I32, I32, F32, F32, F32}, i32,
		I32Const(at), I32Const(n), I32Const(ids), I32Const(1<<16), F32Const(1), F32Const(0), F32Const(0))
	host("op_lse", "sw1", "op_lse", i(2), []byte{F64}, I32Const(at), I32Const(n))
	host("op_gather", "sw1", "op_gather", i(5), i32, I32Const(at), I32Const(n), I32Const(ids), I32Const(1<<14), zero)
	host("fd_write of nothing", wasi, "fd_write", i(4), i32, I32Const(1), I32Const(8192), I32Const(1024), zero)
	host("fd_write beyond memory", wasi, "fd_write", i(4), i32, I32Const(1), I32Const(at), I32Const(1024), zero)
	host("random_get", wasi, "random_get", i(2), i32, I32Const(at), I32Const(1<<16))
	host("random_get of too much", wasi, "random_get", i(2), i32, I32Const(at), I32Const(1<<20))
	host("poll_oneoff", wasi, "poll_oneoff", i(4), i32, I32Const(at), I32Const(at), I32Const(64), zero)
	host("kv_set", "sw1", "kv_set", i(4), i32, I32Const(at), I32Const(8), I32Const(at), I32Const(1<<16))
	host("kv_set of nothing", "sw1", "kv_set", i(4), i32, I32Const(at), I32Const(256), I32Const(at), zero)
	host("kv_get", "sw1", "kv_get", i(4), i32, I32Const(at), I32Const(8), I32Const(at), I32Const(1<<16))
	host("vocab_map", "sw1", "vocab_map", i(2), []byte{I64}, I32Const(at), I32Const(1<<20))
	host("unknown", wasi, "path_open", append(i(9)[:5:5], I64, I64, I32, I32), i32, zero, zero, zero, zero, zero, I64Const(0), I64Const(0), zero, zero)
	return list
}

// rising is n bytes of floats that grow: the worst input for what looks for the best.
func rising(n int) []byte {
	b := make([]byte, 0, n)
	for i := range n / 4 {
		b = append(b, little64(uint64(math.Float32bits(float32(i) * 1e-5)))[:4]...)
	}
	return b
}

// scattered is n bytes of numbers below 2^18 without order.
func scattered(n int) []byte {
	r := rand.New(rand.NewPCG(8, 9))
	b := make([]byte, 0, n)
	for range n / 4 {
		b = append(b, little64(r.Uint64N(1 << 18))[:4]...)
	}
	return b
}

func little64(v uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

// Prices measures what a unit of fuel can be made to take, in calls of so much fuel:
// 50 million are to end within 50 ms.
func Prices(t *testing.T, e wasm.Engine, fuel uint64) {
	vocab := make([]string, 30_000)
	for i := range vocab {
		vocab[i] = fmt.Sprint(i)
	}
	for _, c := range prices(fuel) {
		p, err := wasm.Load(context.Background(), c.guest.Module(), wasm.Options{
			Engine: e, Breaker: wasm.Breaker{Faults: math.MaxInt32}, Limits: wasm.Limits{Memory: 64 << 20}, Log: func(int, string) {},
			Grant: []string{abi.CapKV}, Vocab: vocab,
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := p.OpenSeq(1, nil); err != nil {
			t.Fatal(err)
		}
		times := make([]time.Duration, 3)
		for i := range times {
			start := time.Now()
			_, _, _, err := p.Filter(1, []byte("x"), 0)
			if times[i] = time.Since(start); err == nil {
				t.Errorf("%s: ended", c.name)
			}
		}
		p.Close()
		slices.Sort(times)
		unit := float64(times[0].Nanoseconds()) / float64(c.guest.Manifest.Fuel)
		t.Logf("%-24s %s", c.name, fmt.Sprintf("%6.2f ns a unit, %5.0f ms a call of 50 million", unit, unit*50))
		if unit > 40 { // 1 on a quiet machine
			t.Errorf("%s: a unit of fuel takes %.0f ns", c.name, unit)
		}
	}
}
