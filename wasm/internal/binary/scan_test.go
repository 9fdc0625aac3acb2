package binary_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

const huge = 1<<32 - 1

var oneType = Section(1, []byte{1, 0x60, 0, 0})

// fn is a module of one function with the given body, locals included.
func fn(body ...[]byte) []byte {
	b := Cat(body...)
	return Raw(oneType, Section(3, []byte{1, 0}), Section(10, Cat(U(1), U(uint64(len(b))), b)))
}

func repeat(n int, b ...byte) []byte {
	return []byte(strings.Repeat(string(b), n))
}

type bomb struct {
	name, want string
	module     []byte
}

// bombs are modules that make an engine fail fatally, or for minutes.
func bombs() []bomb {
	B := U(huge)
	list := []bomb{
		{"types", "types declared", Raw(Section(1, B))},
		{"params", "parameters declared", Raw(Section(1, Cat([]byte{1, 0x60}, B)))},
		{"results", "results declared", Raw(Section(1, Cat([]byte{1, 0x60, 0}, B)))},
		{"2,000 params", "at most 1000", Raw(Section(1, Cat([]byte{1, 0x60}, U(2000), repeat(2000, I32), []byte{0})))},
		{"imports", "imports declared", Raw(oneType, Section(2, B))},
		{"import name", "bytes of a name", Raw(oneType, Section(2, Cat(U(1), B)))},
		{"functions", "functions declared", Raw(oneType, Section(3, B))},
		{"a million functions", "at most 50000", Raw(oneType, Section(3, Cat(U(1e6), make([]byte, 1e6))), Section(10, Cat(U(1e6), repeat(1e6, 2, 0, 0x0b))))},
		{"tables", "tables declared", Raw(oneType, Section(4, B))},
		{"table of 4e9", "entries, at most", Raw(oneType, Section(4, Cat(U(1), []byte{0x70, 0}, B)))},
		{"table of 1e7", "entries, at most", Raw(oneType, Section(4, Cat(U(1), []byte{0x70, 0}, U(1e7))))},
		{"100 tables", "entries, at most", Raw(oneType, Section(4, Cat(U(100), Cat(repeat(100, Cat([]byte{0x70, 0}, U(1e5))...)))))},
		{"memories", "memories declared", Raw(Section(5, B))},
		{"65,536 pages", "65536 pages", Raw(Section(5, Cat(U(1), []byte{0}, U(65536))))},
		{"shared memory", "shared", Raw(Section(5, []byte{1, 3, 1, 1}))},
		{"64-bit memory", "64-bit", Raw(Section(5, []byte{1, 4, 1}))},
		{"globals", "globals declared", Raw(Section(6, B))},
		{"exports", "exports declared", Raw(Section(7, B))},
		{"elements", "element segments declared", Raw(oneType, Section(9, B))},
		{"element vector", "elements declared", Raw(oneType, Section(4, []byte{1, 0x70, 0, 1}), Section(9, Cat([]byte{1, 0, 0x41, 0, 0x0b}, B)))},
		{"bodies", "bodies declared", Raw(oneType, Section(3, []byte{1, 0}), Section(10, B))},
		{"body", "body of 4294967295 bytes", Raw(oneType, Section(3, []byte{1, 0}), Section(10, Cat(U(1), B)))},
		{"body of 2 MiB", "at most 1048576", fn(repeat(2<<20, 1), End)},
		{"data", "data segments declared", Raw(Section(11, B))},
		{"data vector", "bytes of data", Raw(Section(5, []byte{1, 0, 1}), Section(11, Cat([]byte{1, 0, 0x41, 0, 0x0b}, B)))},
		{"data count", "data segments", Raw(Section(12, B))},
		{"local groups", "groups of locals declared", fn(B, End)},
		{"4e9 locals", "locals, at most", fn(U(1), U(4e9), []byte{I32, 0x0b})},
		{"1e8 locals", "locals, at most", fn(U(1), U(1e8), []byte{I32, 0x0b})},
		{"wrapping locals", "locals, at most", fn(U(2), B, []byte{I32}, U(2), []byte{I32, 0x0b})},
		{"branch table", "branch targets declared", fn([]byte{0, 0x41, 0, 0x0e}, B, []byte{0, 0x0b})},
		{"select", "select of", fn([]byte{0, 0x1c}, B, End)},
		{"section", "section of 4294967295", append(Raw(), Cat([]byte{1}, B)...)},
		{"500,000 targets", "branch targets", fn([]byte{0, 0x41, 0, 0x0e}, U(500_000), make([]byte, 500_001), End)},
		{"imported memory", "import a.b is not a function", Raw(Section(2, Cat(U(1), Name("a"), Name("b"), []byte{2, 0, 1})))},
		{"components", "components", []byte("\x00asm\x0d\x00\x01\x00")},
		{"text", "does not begin with", []byte("(module)")},
	}
	distinct := Cat(U(1), U(5000), []byte{I32})
	for i := range 5000 {
		distinct = append(distinct, Loop(None, LocalGet(uint32(i)), I32Const(1), I32Add, LocalTee(uint32(i)), BrIf(0))...)
	}
	thousand := Cat([]byte{1, 0x60, 0}, U(1000), repeat(1000, I32))
	calls := Cat([]byte{0}, repeat(900, Cat(Call(0), repeat(1000, 0x1a))...), Unreachable, End)
	list = append(list, // these took an engine minutes
		bomb{"5,000 loops on 5,000 locals", "blocks and branches in one function", fn(distinct, End)},
		bomb{"400 loops on 200 locals", "loops and", fn(U(1), U(200), []byte{I32}, repeat(400, Loop(None, LocalGet(1), BrIf(0))...), End)},
		bomb{"calls with 1,000 results", "values of calls", Raw(Section(1, thousand), Section(3, []byte{1, 0}), Section(10, Cat(U(1), U(uint64(len(calls))), calls)))},
		bomb{"90,000 values at once", "values on the stack", fn([]byte{0}, repeat(90_000, 0x41, 0, 0x28, 2, 0), repeat(90_000, 0x1a), End)},
		bomb{"30,000 targets", "branch targets", fn([]byte{0, 0x41, 0, 0x0e}, U(30_000), make([]byte, 30_001), End)},
		bomb{"100,000 ifs", "blocks and branches", fn([]byte{0}, repeat(100_000, 0x41, 1, 0x04, 0x40, 0x0b), End)},
		manyBlocks())
	for _, n := range []int{1001, 50_000, 300_000} {
		m := fn([]byte{0}, repeat(n, 2, 0x40), repeat(n+1, 0x0b))
		list = append(list, bomb{fmt.Sprintf("%d nested blocks", n), "deeper than 1000", m})
	}
	towers := fn([]byte{0}, repeat(10, Cat(repeat(900, 2, 0x40), repeat(900, 0x0b))...), End)
	return append(list, bomb{"ten towers of blocks", "deeply nested", towers}, allLocals())
}

// manyBlocks holds many functions of many blocks each.
func manyBlocks() bomb {
	const n = 50
	body := Cat([]byte{0}, repeat(2000, Cat(I32Const(1), If(None))...), End)
	code := Cat(U(n), repeat(n, append(U(uint64(len(body))), body...)...))
	return bomb{"50 functions of 2,000 blocks", "functions of many blocks", Raw(oneType, Section(3, Cat(U(n), make([]byte, n))), Section(10, code))}
}

// allLocals declares the most locals a function may have in many functions.
func allLocals() bomb {
	const n = 1000
	body := Cat(U(1), U(50_000), []byte{I32, 0x0b})
	code := Cat(U(n), Cat(repeat(n, append(U(uint64(len(body))), body...)...)))
	return bomb{"5e7 locals in all", "locals in all", Raw(oneType, Section(3, Cat(U(n), make([]byte, n))), Section(10, code))}
}

func TestBombs(t *testing.T) {
	for _, b := range bombs() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := binary.Scan(b.module, binary.DefaultLimits())
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		var e *binary.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), b.want) {
			t.Errorf("%s: error %v, want one with %q", b.name, err, b.want)
			continue
		}
		if e.Section == "" || e.Offset < 0 || e.Offset > len(b.module) {
			t.Errorf("%s: section %q, offset %d", b.name, e.Section, e.Offset)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(8*len(b.module)+1<<20) {
			t.Errorf("%s: %d bytes allocated for a module of %d", b.name, got, len(b.module))
		}
		if took > 5*time.Millisecond {
			t.Logf("%s: %d bytes refused after %v", b.name, len(b.module), took)
		}
		if took > time.Second { // 5 ms for most on a quiet machine
			t.Errorf("%s: refused after %v", b.name, took)
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
		_, err := binary.Scan(fn([]byte{0}, c.code, End), binary.DefaultLimits())
		if err == nil || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%x: error %v, want one with %q", c.code, err, c.what)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(whole())
	for _, b := range bombs() {
		if len(b.module) < 4096 {
			f.Add(b.module)
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
