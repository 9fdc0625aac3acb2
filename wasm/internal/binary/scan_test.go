package binary_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func TestBombs(t *testing.T) {
	for _, b := range Bombs() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := binary.Scan(b.Module, binary.DefaultLimits())
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		var e *binary.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), b.Want) {
			t.Errorf("%s: error %v, want one with %q", b.Name, err, b.Want)
			continue
		}
		if e.Section == "" || e.Offset < 0 || e.Offset > len(b.Module) {
			t.Errorf("%s: section %q, offset %d", b.Name, e.Section, e.Offset)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(8*len(b.Module)+1<<20) {
			t.Errorf("%s: %d bytes allocated for a module of %d", b.Name, got, len(b.Module))
		}
		if took > 5*time.Millisecond {
			t.Logf("%s: %d bytes refused after %v", b.Name, len(b.Module), took)
		}
		if took > time.Second { // 5 ms for most on a quiet machine
			t.Errorf("%s: refused after %v", b.Name, took)
		}
	}
}

// whole is a module that uses every section.
func whole() []byte {
	m := &Builder{}
	typ := m.Type([]byte{I32}, []byte{I32, I64})
	log := m.Import("sw1", "log", []byte{I32, I32}, nil)
	m.Memory(1, 10)
	m.Table(2, 5)
	m.Global(I64, I64Const(5))
	m.Global(V128, Cat(Op(0xfd, 12), make([]byte, 16)))
	f := m.Func("f", []byte{I32}, []byte{I32}, []byte{F32, V128},
		Block(None, LocalGet(0), BrIf(0), I32Const(1), I32Const(2), Call(log)),
		Block(None, Loop(None, LocalGet(0), BrTable(0, 0, 1))), I32Const(3))
	m.RawFunc("g", typ, Cat([]byte{0}, I32Const(7), Op(2), S(int64(typ)), I32Const(1), I64Const(1), Return, End, Unreachable, End))
	m.Func("bulk", nil, nil, nil, I32Const(0), I32Const(0), I32Const(0), Op(0xfc, 8, 0, 0), Op(0xfc, 9, 0))
	m.Start(m.Func("", nil, nil, nil))
	m.Elem(0, f)
	m.Passive([]byte("abc"))
	m.Data(4, []byte("xyz"))
	m.Custom("sw.manifest", []byte{0x80})
	return m.Bytes()
}

func TestTruncatedEverywhere(t *testing.T) {
	b := whole()
	if _, err := binary.Scan(b, binary.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for n := range b {
		m, err := binary.Scan(b[:n], binary.DefaultLimits())
		if err != nil {
			continue
		}
		// A cut between sections can leave a smaller whole module.
		if len(m.Bodies) != len(m.Funcs) {
			t.Errorf("%d of %d bytes accepted", n, len(b))
		}
	}
}

// What the metering pass adds must be out of the code's reach.
func TestIndicesOutOfReach(t *testing.T) {
	for _, c := range []struct {
		what string
		code []byte
	}{
		{"global 0", Cat(I64Const(1), GlobalSet(0))}, {"global 0", Cat(GlobalGet(0), Drop)},
		{"local 0", Cat(LocalGet(0), Drop)}, {"local 0", Cat(I32Const(1), LocalTee(0), Drop)},
		{"type 1", Cat(I32Const(0), CallIndirect(1))}, {"block of type 1", Cat(Op(2, 1), End)},
		{"function 1", Call(1)}, {"label 1", Br(1)}, {"table 0", Cat(I32Const(0), Op(0x25, 0), Drop)},
		{"stack is empty", Drop}, {"left over", I32Const(1)}, {"else without if", Else},
		{"unknown", Op(0x12, 0)}, {"unknown", Op(0xfe, 0)}, {"unknown", Op(0xfc, 99)}, {"unknown", Op(0xfd, 154, 1)},
	} {
		_, err := binary.Scan(OneFunc([]byte{0}, c.code, End), binary.DefaultLimits())
		if err == nil || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%x: error %v, want one with %q", c.code, err, c.what)
		}
	}
}

// Opcodes in more bytes than they need, which engines may read as something else.
func TestLongOpcodes(t *testing.T) {
	const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for code, want := range map[string]string{
		"\xfd\x0c" + zeros: "", "\xfd\x8c\x00" + zeros: "opcode 12 in more", "\xfd\x8c\x80\x80\x00" + zeros: "opcode 12 in more",
		"\x41\x00\xfd\x0f": "", "\xfd\x0c" + zeros + "\xfd\x80\x01": "", "\xfd\x0c" + zeros + "\xfd\x80\x81\x00": "opcode 128 in more",
		"\x43" + zeros[:4] + "\xfc\x00": "", "\x43" + zeros[:4] + "\xfc\x80\x00": "opcode 0 in more",
	} {
		_, err := binary.Scan(OneFunc([]byte{0}, []byte(code), Drop, End), binary.DefaultLimits())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%x: error %v, want %q", code, err, want)
		}
	}
	global := Raw(Section(6, Cat([]byte{1, V128, 0, 0xfd, 0x8c, 0}, make([]byte, 16), End)))
	if _, err := binary.Scan(global, binary.DefaultLimits()); err == nil || !strings.Contains(err.Error(), "opcode 12 in more") {
		t.Error(err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add(whole())
	for _, b := range Bombs() {
		if len(b.Module) < 4096 {
			f.Add(b.Module)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := binary.Scan(b, binary.DefaultLimits())
		if err != nil {
			if e := (*binary.Error)(nil); !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			return
		}
		for i := range m.Bodies {
			code := m.Instructions(&m.Bodies[i])
			for in, ok := code.Next(); ok; in, ok = code.Next() {
				if in.End <= in.Start || in.End > len(b) {
					t.Fatalf("instruction %+v", in)
				}
			}
		}
	})
}
