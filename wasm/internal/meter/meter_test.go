package meter

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

var options = Options{Fuel: 1_000_000, StackSlots: 1 << 20, MemoryPages: 64, Elements: 1000}

// guest is a rewritten module that runs.
type guest struct {
	t   *testing.T
	mod api.Module
}

func start(t *testing.T, m *Builder) *guest {
	t.Helper()
	return startBytes(t, m.Bytes())
}

func startBytes(t *testing.T, b []byte) *guest {
	t.Helper()
	s, err := scan.Scan(b, scan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Rewrite(s, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	t.Cleanup(func() { rt.Close(ctx) })
	mod, err := rt.InstantiateWithConfig(ctx, r.Bytes, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t, mod}
}

func (g *guest) global(name string) int64 {
	v := g.mod.ExportedGlobal(name)
	if v.Type() == api.ValueTypeI32 {
		return int64(int32(v.Get()))
	}
	return int64(v.Get())
}

func (g *guest) set(name string, v int64) {
	g.mod.ExportedGlobal(name).(api.MutableGlobal).Set(uint64(v))
}

// call runs an export with plenty of fuel and returns what it used.
func (g *guest) call(name string, args ...uint64) (results []uint64, fuel int64, err error) {
	g.set(FuelExport, 1_000_000)
	g.set(StackExport, 100_000)
	results, err = g.mod.ExportedFunction(name).Call(context.Background(), args...)
	return results, 1_000_000 - g.global(FuelExport), err
}

func TestLoopPaysPerRound(t *testing.T) {
	m := &Builder{}
	m.Func("count", []byte{I32}, []byte{I32}, []byte{I32},
		Loop(None, LocalGet(1), I32Const(1), I32Add, LocalTee(1), LocalGet(0), I32LtU, BrIf(0)), LocalGet(1))
	g := start(t, m)
	var used [3]int64
	for i, n := range []uint64{1, 10, 1000} {
		r, fuel, err := g.call("count", n)
		if err != nil || r[0] != n {
			t.Fatalf("%v %v", r, err)
		}
		used[i] = fuel
	}
	if per := used[1] - used[0]; per%9 != 0 || used[2]-used[0] != per/9*999 {
		t.Errorf("fuel %v is not linear", used)
	}
	if per := (used[1] - used[0]) / 9; per < 7 || per > 10 {
		t.Errorf("a round of 7 instructions costs %d", per)
	}
}

func TestEndlessLoopStops(t *testing.T) {
	m := &Builder{}
	m.Func("loop", nil, nil, nil, Loop(None, Br(0)))
	m.Func("swing", nil, nil, nil, Loop(None, Block(None, I32Const(1), BrIf(1)), Br(0)))
	m.Func("table", nil, nil, nil, Loop(None, Block(None, I32Const(7), BrTable(0, 1))))
	g := start(t, m)
	for _, f := range []string{"loop", "swing", "table"} {
		if _, _, err := g.call(f); err == nil || g.global(FuelExport) >= 0 {
			t.Errorf("%s: %v, fuel left %d", f, err, g.global(FuelExport))
		}
	}
}

func TestRecursionStops(t *testing.T) {
	m := &Builder{}
	self := m.Func("self", nil, nil, nil, Call(0))
	m.Func("ping", nil, nil, nil, Call(2))
	m.Func("pong", nil, nil, nil, Call(1))
	typ := m.Type(nil, nil)
	indirect := m.Func("indirect", nil, nil, nil, I32Const(0), CallIndirect(typ))
	m.Table(1, 1)
	m.Elem(0, indirect)
	big := m.Func("big", nil, nil, []byte{I64, I64, I64, I64, I64, I64, I64, I64}, Call(4))
	if self != 0 || big != 4 {
		t.Fatal("numbering")
	}
	g := start(t, m)
	for _, f := range []string{"self", "ping", "indirect", "big"} {
		_, used, err := g.call(f)
		// An interpreter has a limit of its own, and may reach it first.
		if err == nil || g.global(StackExport) >= 0 && !strings.Contains(err.Error(), "stack overflow") {
			t.Errorf("%s: %v, stack left %d", f, err, g.global(StackExport))
		}
		if used > 100_000 {
			t.Errorf("%s: stopped by fuel", f)
		}
	}
}

func TestStackIsGivenBack(t *testing.T) {
	m := &Builder{}
	two := []byte{I32, I64}
	leaf := m.Func("", nil, two, nil, I32Const(3), I64Const(4))
	m.Func("early", []byte{I32}, two, nil,
		Block(None, LocalGet(0), If(None, Block(None, I32Const(1), I64Const(2), Return)), LocalGet(0), BrIf(0)), Call(leaf))
	m.Func("outer", []byte{I32}, []byte{I32}, nil, LocalGet(0), Call(1), Drop)
	m.Func("jump", []byte{I32}, []byte{I32}, nil,
		I32Const(9), LocalGet(0), BrIf(0), Drop, Call(leaf), Drop)
	g := start(t, m)
	for _, c := range []struct {
		f        string
		arg      uint64
		want     uint64
		nresults int
	}{{"early", 0, 3, 2}, {"early", 1, 1, 2}, {"outer", 0, 3, 1}, {"outer", 1, 1, 1}, {"jump", 0, 3, 1}, {"jump", 1, 9, 1}} {
		r, _, err := g.call(c.f, c.arg)
		if err != nil || len(r) != c.nresults || r[0] != c.want {
			t.Errorf("%s(%d) = %v, %v", c.f, c.arg, r, err)
		}
		if left := g.global(StackExport); left != 100_000 {
			t.Errorf("%s(%d): %d slots not given back", c.f, c.arg, 100_000-left)
		}
	}
}

func TestBulkPaysByLength(t *testing.T) {
	m := &Builder{}
	m.Memory(16, 100)
	m.Func("fill", []byte{I32}, nil, nil, I32Const(0), I32Const(1), LocalGet(0), MemoryFill)
	m.Func("copy", []byte{I32}, nil, nil, I32Const(0), I32Const(8), LocalGet(0), MemoryCopy)
	m.Func("grow", []byte{I32}, []byte{I32}, nil, LocalGet(0), MemoryGrow)
	g := start(t, m)
	for _, f := range []string{"fill", "copy"} {
		_, small, err := g.call(f, 8)
		if err != nil {
			t.Fatal(err)
		}
		_, large, err := g.call(f, 800_008)
		if err != nil || large-small != 100_000 {
			t.Errorf("%s: %d for 800,000 bytes, %v", f, large-small, err)
		}
		if _, _, err := g.call(f, 1<<32-1); err == nil || g.global(FuelExport) >= 0 {
			t.Errorf("%s of 4 GiB: %v", f, err)
		}
	}
	_, none, _ := g.call("fill", 0)
	_, one, _ := g.call("fill", 1)
	if none-one != 256 {
		t.Errorf("%d to fill nothing, %d to fill a byte", none, one)
	}
	if r, _, err := g.call("grow", 49); err != nil || int32(r[0]) != -1 {
		t.Errorf("grew beyond the cap: %v %v", r, err)
	}
	if r, _, err := g.call("grow", 48); err != nil || r[0] != 16 {
		t.Errorf("%v %v", r, err)
	}
}

func TestLongBranchesPayForWhatRuns(t *testing.T) {
	long := func(n int) (b []byte) {
		for range n {
			b = append(b, Cat(LocalGet(0), I32Const(1), I32Add, LocalSet(0))...)
		}
		return b
	}
	m := &Builder{}
	m.Func("f", []byte{I32, I32}, []byte{I32}, nil, LocalGet(1), If(None, long(1000), Else, long(10)), LocalGet(0))
	g := start(t, m)
	_, yes, _ := g.call("f", 0, 1)
	_, no, _ := g.call("f", 0, 0)
	if yes < 4000 || yes > 4100 || no < 40 || no > 110 {
		t.Errorf("4,000 instructions cost %d, 40 cost %d", yes, no)
	}
}

// A function without loops and calls runs to its end, unless it is long.
func TestStraightCodeStops(t *testing.T) {
	m := &Builder{}
	m.Memory(1, 1)
	add := Cat(I32Const(1), I32Add)
	m.Func("short", nil, []byte{I32}, nil, I32Const(0), bytes.Repeat(add, 4000))
	m.Func("long", nil, []byte{I32}, nil, I32Const(0), bytes.Repeat(add, 100_000))
	m.Func("grow", nil, nil, nil, bytes.Repeat(Cat(I32Const(-1), MemoryGrow, Drop), 1000))
	g := start(t, m)
	g.set(StackExport, 1000)
	for name, stops := range map[string]bool{"short": false, "long": true, "grow": true} {
		g.set(FuelExport, 100)
		if _, err := g.mod.ExportedFunction(name).Call(context.Background()); (err != nil) != stops {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartFunctionIsMetered(t *testing.T) {
	m := &Builder{}
	m.Start(m.Func("", nil, nil, nil, Loop(None, Br(0))))
	s, err := scan.Scan(m.Bytes(), scan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Rewrite(s, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	if _, err = rt.Instantiate(ctx, r.Bytes); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("%v", err)
	}
}

func TestReservedExport(t *testing.T) {
	m := &Builder{}
	m.Func("sw_meter_fuel", nil, nil, nil)
	s, err := scan.Scan(m.Bytes(), scan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rewrite(s, options); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Error(err)
	}
}

// What the scan accepts the engine must accept, before the pass and after it.
func FuzzRewrite(f *testing.F) {
	for _, m := range seeds() {
		f.Add(m)
	}
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := scan.DefaultLimits()
		lim.ModuleBytes, lim.Elements, lim.MemoryPages, lim.AllLocals = 4096, 1000, 16, 1000
		slow := time.AfterFunc(5*time.Second, func() { panic(fmt.Sprintf("slow: %x", b)) })
		defer slow.Stop()
		s, err := scan.Scan(b, lim)
		if err != nil {
			return
		}
		r, err := Rewrite(s, options)
		if err != nil {
			return
		}
		config := wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64)
		rt := wazero.NewRuntimeWithConfig(ctx, config)
		defer rt.Close(ctx)
		// Of custom sections, which the pass drops, the engine has a view of its own.
		if _, err := rt.CompileModule(ctx, b); err != nil && len(s.Customs) == 0 {
			t.Fatalf("the scan accepts what the engine does not: %v\n%x", err, b)
		}
		if _, err := scan.Scan(r.Bytes, scan.DefaultLimits()); err != nil {
			t.Fatalf("own scan refuses the result: %v\n%x", err, b)
		}
		if _, err := rt.CompileModule(ctx, r.Bytes); err != nil {
			t.Fatalf("valid before, not after: %v\n%x", err, b)
		}
	})
}

func seeds() (out [][]byte) {
	m := &Builder{}
	m.Memory(1, 2)
	leaf := m.Func("", nil, []byte{I32, I64}, nil, I32Const(3), I64Const(4))
	m.Func("a", []byte{I32}, []byte{I32, I64}, nil, Block(None, LocalGet(0), If(None, I32Const(1), I64Const(2), Return, Else, Unreachable), LocalGet(0), BrIf(0)), Call(leaf))
	m.Func("b", nil, nil, nil, I32Const(0), I32Const(1), I32Const(2), MemoryFill, Loop(None, I32Const(0), BrTable(0, 1)))
	out = append(out, m.Bytes())
	m = &Builder{}
	m.Global(V128, Cat(Op(0xfd, 12), make([]byte, 16)))
	m.Table(1, -1)
	m.Func("v", nil, []byte{V128}, []byte{V128, F32}, GlobalGet(0), Cat(Op(0xfd, 12), make([]byte, 16)), Op(0xfd, 0xae, 1))
	out = append(out, m.Bytes())
	if b, err := os.ReadFile("../../../sdk/c/examples/redact.wasm"); err == nil {
		out = append(out, b)
	}
	return out
}
