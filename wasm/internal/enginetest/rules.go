package enginetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Rules checks an engine against the interfaces of package wasm.
func Rules(t *testing.T, e wasm.Engine) {
	if e.Name() == "" {
		t.Errorf("name %q", e.Name())
	}
	t.Run("calls", func(t *testing.T) { calls(t, e) })
	t.Run("host functions", func(t *testing.T) { hostFuncs(t, e) })
	t.Run("traps", func(t *testing.T) { trapsEnd(t, e) })
	t.Run("memory", func(t *testing.T) { memoryViews(t, e) })
	t.Run("globals", func(t *testing.T) { globals(t, e) })
	t.Run("start", func(t *testing.T) { start(t, e) })
	t.Run("no leak", func(t *testing.T) { noLeak(t, e) })
	t.Run("invalid", func(t *testing.T) { invalid(t, e) })
	t.Run("cache", func(t *testing.T) { cache(t, e) })
}

// compile compiles a module, closed at the test's end.
func compile(t *testing.T, e wasm.Engine, m *Builder, imports ...wasm.HostFunc) wasm.Module {
	t.Helper()
	c, err := e.Compile(context.Background(), m.Bytes(), imports, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// instance instantiates a module, closed at the test's end.
func instance(t *testing.T, m wasm.Module, host any) wasm.Instance {
	t.Helper()
	in, err := m.NewInstance(context.Background(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// call calls a function with parameters and returns the first slot.
func call(t *testing.T, f wasm.Func, params ...uint64) uint64 {
	t.Helper()
	stack := append(params, 0, 0, 0, 0)
	if err := f.Call(stack); err != nil {
		t.Fatal(err)
	}
	return stack[0]
}

// Numbers of all types go in and out by their bits.
func calls(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	all := []byte{I32, I64, F32, F64}
	for i, typ := range all {
		m.Func(string(rune('a'+i)), all, []byte{typ}, nil, LocalGet(uint32(i)))
	}
	m.Func("swap", []byte{I32, I64}, []byte{I64, I32}, nil, LocalGet(1), LocalGet(0))
	m.Func("none", nil, nil, nil)
	in := instance(t, compile(t, e, m), nil)
	values := []uint64{0xffff_fffe, 1 << 63, 0x7fc0_0001, 0xfff8_0000_0000_1234}
	for i, v := range values {
		if got := call(t, in.Func(string(rune('a'+i))), values...); got != v {
			t.Errorf("type %#x: %#x, want %#x", all[i], got, v)
		}
	}
	stack := []uint64{5, 6}
	if err := in.Func("swap").Call(stack); err != nil || stack[0] != 6 || stack[1] != 5 {
		t.Errorf("swap: %v %v", stack, err)
	}
	if err := in.Func("none").Call(nil); err != nil {
		t.Error(err)
	}
	if in.Func("missing") != nil || in.Global("missing") != nil {
		t.Error("an export that is not there")
	}
	if _, ok := in.Mem(0, 1); ok || in.MemSize() != 0 || in.Grow(1) {
		t.Error("a memory that is not there")
	}
}

// Host functions get the value of the instance that calls; a panic in one is an
// error of the call, whose words come first.
func hostFuncs(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Import("m", "add", []byte{I32, I64, F32, F64}, []byte{I64})
	m.Import("n", "fail", nil, nil)
	m.Import("m", "add", []byte{I32, I64, F32, F64}, []byte{I64}) // again
	m.Func("f", []byte{I32, I64, F32, F64}, []byte{I64}, nil, LocalGet(0), LocalGet(1), LocalGet(2), LocalGet(3), Call(2))
	m.Func("fail", nil, nil, nil, Call(1))
	add := wasm.HostFunc{Module: "m", Name: "add", Params: []byte{I32, I64, F32, F64}, Results: []byte{I64}, Call: func(host any, s []uint64) {
		s[0] = s[0] + s[1] + s[2] + s[3] + *host.(*uint64)
	}}
	fail := wasm.HostFunc{Module: "n", Name: "fail", Call: func(any, []uint64) { panic("no luck today") }}
	c := compile(t, e, m, add, fail)
	h1, h2 := uint64(1000), uint64(2000)
	a, b := instance(t, c, &h1), instance(t, c, &h2)
	for range 3 {
		if x, y := call(t, a.Func("f"), 1, 2, 3, 4), call(t, b.Func("f"), 1, 2, 3, 4); x != 1010 || y != 2010 {
			t.Errorf("%d %d", x, y)
		}
		err := a.Func("fail").Call(nil)
		if err == nil || !strings.HasPrefix(err.Error(), "no luck today") {
			t.Errorf("a panic became %v", err)
		}
	}
}

// After a trap the instance can be called, and the trap is named.
func trapsEnd(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Memory(1, 1)
	m.Table(1, 1)
	typ := m.Type(nil, nil)
	m.Func("unreachable", nil, nil, nil, Unreachable)
	m.Func("integer divide by zero", nil, nil, nil, I32Const(1), I32Const(0), Op(0x6d), Drop)
	m.Func("integer overflow", nil, nil, nil, I32Const(-1<<31), I32Const(-1), Op(0x6d), Drop)
	m.Func("invalid conversion to integer", nil, nil, nil, F32Const(float32(nan())), Op(0xa8), Drop)
	m.Func("out of bounds memory access", nil, nil, nil, I32Const(-4), I32Load(0), Drop)
	m.Func("invalid table access", nil, nil, nil, I32Const(7), CallIndirect(typ))
	m.Func("stack overflow", nil, nil, nil, Call(6))
	m.Func("fine", nil, []byte{I32}, nil, I32Const(7))
	in := instance(t, compile(t, e, m), nil)
	for _, name := range []string{
		"unreachable", "integer divide by zero", "integer overflow", "invalid conversion to integer",
		"out of bounds memory access", "invalid table access", "stack overflow",
	} {
		err := in.Func(name).Call(make([]uint64, 4))
		if err == nil || !strings.Contains(strings.SplitN(err.Error(), "\n", 2)[0], name) {
			t.Errorf("%s: %v", name, err)
		}
		if got := call(t, in.Func("fine")); got != 7 {
			t.Errorf("after %s: %d", name, got)
		}
	}
}

func nan() float64 { z := 0.0; return z / z }

// Views of memory see what the guest writes, stay valid while it grows, and,
// held, after Close. It grows to its maximum and no further.
func memoryViews(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Memory(1, 5)
	m.Data(8, []byte("data"))
	m.Func("put", []byte{I32, I32}, nil, nil, LocalGet(0), LocalGet(1), I32Store(0))
	m.Func("grow", []byte{I32}, []byte{I32}, nil, LocalGet(0), MemoryGrow)
	c := compile(t, e, m)
	in, err := c.NewInstance(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	view, ok := in.Mem(0, 1<<16)
	if !ok || len(view) != 1<<16 || string(view[8:12]) != "data" || in.MemSize() != 1<<16 {
		t.Fatalf("%v %d %q", ok, len(view), view[8:12])
	}
	for _, c := range [][2]uint32{{1 << 16, 1}, {1<<16 - 1, 2}, {1<<32 - 1, 1}, {1<<32 - 1, 1<<32 - 1}, {1, 1 << 16}} {
		if _, ok := in.Mem(c[0], c[1]); ok {
			t.Errorf("%d bytes at %d", c[1], c[0])
		}
	}
	if b, ok := in.Mem(1<<16, 0); !ok || len(b) != 0 {
		t.Error("nothing at the end")
	}
	call(t, in.Func("put"), 100, 0x01020304)
	if got := call(t, in.Func("grow"), 2); got != 1 {
		t.Errorf("grown from %d pages", got)
	}
	if !in.Grow(1) || in.Grow(2) || int32(call(t, in.Func("grow"), 2)) != -1 || in.MemSize() != 4<<16 {
		t.Errorf("%d bytes", in.MemSize())
	}
	call(t, in.Func("put"), 104, 0x05060708)
	call(t, in.Func("put"), 4<<16-4, 0x0a0b0c0d)
	if !bytes.Equal(view[100:108], []byte{4, 3, 2, 1, 8, 7, 6, 5}) {
		t.Errorf("the view shows %v", view[100:108])
	}
	last, ok := in.Mem(4<<16-4, 4)
	if !ok || !bytes.Equal(last, []byte{13, 12, 11, 10}) {
		t.Errorf("the new end shows %v", last)
	}
	view[0] = 42 // the host writes, too
	release := in.Hold()
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if view[100] != 4 || last[0] != 13 {
		t.Error("memory that is held went with Close")
	}
	view[0] = 1
	release()
}

func globals(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	for i, g := range []struct {
		typ  byte
		init []byte
	}{{I32, I32Const(-2)}, {I64, I64Const(-3)}, {F32, F32Const(1.5)}} {
		m.Export(string(rune('a'+i)), 3, m.Global(g.typ, g.init))
	}
	m.Func("inc", nil, []byte{I64}, nil, GlobalGet(1), I64Const(1), I64Add, GlobalSet(1), GlobalGet(1))
	in := instance(t, compile(t, e, m), nil)
	other := instance(t, compile(t, e, m), nil)
	want := []uint64{0xffff_fffe, 1<<64 - 3, 0x3fc0_0000}
	for i, w := range want {
		g := in.Global(string(rune('a' + i)))
		if g.Get() != w {
			t.Errorf("global %d is %#x, want %#x", i, g.Get(), w)
		}
		g.Set(uint64(10 + i))
		if g.Get() != uint64(10+i) || other.Global(string(rune('a'+i))).Get() != w {
			t.Errorf("global %d is %#x, and %#x elsewhere", i, g.Get(), other.Global(string(rune('a'+i))).Get())
		}
	}
	if got := call(t, in.Func("inc")); got != 12 || in.Global("b").Get() != 12 {
		t.Errorf("the guest sees %d", got)
	}
}

// The start function runs when the module is instantiated, with the host's value.
func start(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Import("m", "seen", []byte{I32}, nil)
	m.Memory(1, 1)
	m.Func("get", nil, []byte{I32}, nil, I32Const(0), I32Load(0))
	m.Start(m.Func("", nil, nil, nil, I32Const(0), I32Const(77), I32Store(0), I32Const(5), Call(0)))
	seen := wasm.HostFunc{Module: "m", Name: "seen", Params: []byte{I32}, Call: func(host any, s []uint64) {
		p := host.(*[]uint64)
		*p = append(*p, s[0])
	}}
	var got []uint64
	in := instance(t, compile(t, e, m, seen), &got)
	if !slices.Equal(got, []uint64{5}) || call(t, in.Func("get")) != 77 {
		t.Errorf("start: %v", got)
	}
	m = &Builder{}
	m.Start(m.Func("", nil, nil, nil, Unreachable))
	if _, err := compile(t, e, m).NewInstance(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("a start function that traps: %v", err)
	}
}

// invalid: what passes the scan may still be no valid module.
func invalid(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Func("f", nil, []byte{I32}, nil, I64Const(1))
	if c, err := e.Compile(context.Background(), m.Bytes(), nil, ""); err == nil {
		c.Close()
		t.Error("an i64 for an i32 was compiled")
	}
	m = &Builder{}
	m.Import("m", "f", nil, nil)
	c, err := e.Compile(context.Background(), m.Bytes(), nil, "")
	if err == nil { // it may also show when instantiating
		defer c.Close()
		_, err = c.NewInstance(context.Background(), nil)
	}
	if err == nil {
		t.Error("an import nobody gave")
	}
}

// What Compile left in a folder, it uses; what is not its own, it refuses.
func cache(t *testing.T, e wasm.Engine) {
	dir := t.TempDir()
	m := &Builder{}
	m.Func("f", nil, []byte{I32}, nil, I32Const(7))
	try := func() error {
		c, err := e.Compile(context.Background(), m.Bytes(), nil, dir)
		if err != nil {
			return err
		}
		defer c.Close()
		in, err := c.NewInstance(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if got := call(t, in.Func("f")); got != 7 {
			t.Errorf("%d", got)
		}
		return nil
	}
	for range 2 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	for path, b := range files(t, dir) {
		if err := os.WriteFile(path, b[:len(b)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := try(); err == nil {
			t.Logf("%s: half a file was compiled again", filepath.Base(path))
		}
	}
}

// files are the files below dir.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// noLeak: a start function that traps leaves nothing behind.
func noLeak(t *testing.T, e wasm.Engine) {
	m := &Builder{}
	m.Memory(1, 1024)
	m.Start(m.Func("", nil, nil, nil, Unreachable))
	c := compile(t, e, m)
	before := mapped()
	const tries = 200
	for range tries {
		if _, err := c.NewInstance(context.Background(), nil); err == nil {
			t.Fatal("no trap")
		}
	}
	if now := mapped(); now > before+tries/4*1024<<16 {
		t.Errorf("%d MiB of addresses for %d failed instances", (now-before)>>20, tries)
	}
}
