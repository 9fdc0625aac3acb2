package binary_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// typed is a module to put code into: a memory, tables of functions and of references
// to the host's things, globals, segments, and a function of locals of all types.
func typed(code ...[]byte) []byte {
	m := &Builder{}
	m.Memory(1, 2)
	m.Table(3, 3)
	m.TableOf(0x6f, 3, 3)
	m.Global(I32, I32Const(1))
	m.Constant(I64, I64Const(1))
	m.Type([]byte{F32}, []byte{F32, F32}) // 0
	f := m.Func("", []byte{I32, I64, F32, F64, V128, 0x70, 0x6f}, []byte{I32}, []byte{I64}, code...)
	m.Func("", nil, nil, nil)
	m.Elem(0, f)
	m.PassiveElem(0x70, f)
	m.Passive([]byte("x"))
	return m.Bytes()
}

func TestCodeOfWrongTypes(t *testing.T) {
	one := I32Const(1)
	get := LocalGet
	for _, c := range []struct {
		want string
		code []byte
	}{
		{"", one}, {"", Unreachable}, {"", Cat(one, Return)},
		{"wants i32, the stack has i64", get(1)},
		{"wants i32, the stack has f32", Cat(get(2), Op(0x45))},
		{"wants i64, the stack has i32", Cat(one, one, Op(0x7c), Drop, one)},
		{"stack is empty", Nop},
		{"1 values left over", Cat(one, one)},
		// Dead code has what is wanted, but not something else.
		{"", Cat(Unreachable, Op(0x7c), Drop)},
		{"wants i64, the stack has f32", Cat(Unreachable, get(2), Op(0x7c), Drop)},
		{"wants i32, the stack has i64", Cat(Unreachable, get(1))},
		{"values left over", Cat(Unreachable, one, one)},
		// Blocks.
		{"", Cat(get(2), Op(0x02), S(0), Drop, F32Const(1), F32Const(2), End, Drop, Drop, one)},
		{"stack is empty", Cat(Op(0x02), S(0), Drop, F32Const(1), F32Const(1), End, Drop, Drop, one)},
		{"wants f32, the stack has i32", Cat(one, Op(0x02), S(0), Drop, F32Const(1), F32Const(1), End, Drop, Drop, one)},
		{"if without else", Cat(get(2), one, Op(0x04), S(0), F32Const(1), End, Drop, Drop, one)},
		{"", Cat(one, If(I32, one, Else, one))},
		{"wants i32, the stack has i64", Cat(one, If(I32, one, Else, get(1)))},
		{"else without if", Block(I32, one, Else, one)},
		{"block type", Cat(Op(0x02, 0x7a), End, one)},
		{"block type", Cat(Op(0x02, 0xff, 0x7f), one, End)}, // in two bytes
		{"block of type 9", Cat(Op(0x02, 9), End, one)},
		// Branches.
		{"", Block(I32, one, one, BrIf(0))},
		{"stack is empty", Block(I32, one, BrIf(0))},
		{"wants i32, the stack has f64", Block(I32, get(3), one, BrIf(0))},
		{"wants i32, the stack has f32", Block(I32, one, get(2), BrIf(0))},
		{"label 7", Br(7)},
		{"", Loop(I32, one, Block(I32, one, one, BrTable(0, 2)), Drop)},
		{"labels that carry", Block(I32, Loop(None, one, one, BrTable(0, 1)), one)},
		{"wants f32", Block(I32, Block(F32, one, one, BrTable(0, 1)), Drop, one)},
		{"wants i32, the stack has i64", Cat(get(1), Return)},
		// Calls.
		{"stack is empty", Call(0)},
		{"", Cat(Call(1), one)},
		{"wants f32", Cat(one, one, CallIndirect(0), Drop, Drop, one)},
		{"table 1 is of externref", Cat(get(2), one, Op(0x11, 0, 1), Drop, Drop, one)},
		// select.
		{"", Cat(one, one, one, Select)},
		{"select of i64 and i32", Cat(one, get(1), one, Select)},
		{"must name their type", Cat(get(5), get(5), one, Select, Drop, one)},
		{"", Cat(get(5), get(5), one, Op(0x1c, 1, 0x70), Drop, one)},
		{"a value of type", Cat(one, one, one, Op(0x1c, 1, 0x40))},
		{"select of 2 types", Cat(one, one, one, Op(0x1c, 2, 0x7f, 0x7f))},
		// Locals and globals.
		{"wants i64, the stack has i32", Cat(one, LocalSet(7), one)},
		{"wants i64, the stack has i32", Cat(one, LocalTee(7), Drop, one)},
		{"global 1 cannot be set", Cat(get(1), GlobalSet(1), one)},
		{"wants i32, the stack has i64", Cat(get(1), GlobalSet(0), one)},
		// Memory.
		{"alignment 2^3, at most 2^2", Cat(one, Op(0x28, 3, 0))},
		{"alignment 2^64", Cat(one, Op(0x28, 64, 0))},
		{"integer is longer", Cat(one, Op(0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10))},
		{"", Cat(one, Op(0x28, 2, 0xff, 0xff, 0xff, 0xff, 0x0f))}, // up to 4 GiB
		{"data segment 1", Cat(one, one, one, Op(0xfc, 8, 1, 0), one)},
		{"data segment 1", Cat(Op(0xfc, 9, 1), one)},
		{"memory 1", Cat(one, one, one, Op(0xfc, 10, 1, 0), one)},
		// Vectors.
		{"lane 16, there are 16", Cat(get(4), Op(0xfd, 21, 16))},
		{"lane 2, there are 2", Cat(get(4), get(3), Op(0xfd, 34, 2), Drop, one)},
		{"lane 32, there are 32", Cat(get(4), get(4), Op(0xfd, 13), make([]byte, 15), Op(32), Drop, one)},
		{"lane 4, there are 4", Cat(one, get(4), Op(0xfd, 86, 2, 0, 4), Drop, one)},
		{"alignment 2^3", Cat(one, get(4), Op(0xfd, 86, 3, 0, 0), Drop, one)},
		{"wants v128, the stack has i64", Cat(get(4), get(1), Op(0xfd, 174, 1), Drop, one)},
		// References and tables.
		{"wants a reference", Cat(one, Op(0xd1))},
		{"reference of type 0x7f", Cat(Op(0xd0, 0x7f), Drop, one)},
		{"function 1 is not declared", Cat(Op(0xd2, 1), Drop, one)},
		{"", Cat(Op(0xd2, 0), Drop, one)},
		{"wants externref, the stack has funcref", Cat(one, get(5), Op(0x26, 1), one)},
		{"funcref into a table of externref", Cat(one, one, one, Op(0xfc, 12, 0, 1), one)},
		{"externref into a table of funcref", Cat(one, one, one, Op(0xfc, 14, 0, 1), one)},
		{"element segment 2", Cat(one, one, one, Op(0xfc, 12, 2, 0), one)},
		{"element segment 2", Cat(Op(0xfc, 13, 2), one)},
		{"table 2", Op(0xfc, 16, 2)},
		{"wants funcref, the stack has externref", Cat(get(6), one, Op(0xfc, 15, 0))},
		{"wants funcref", Cat(one, get(6), one, Op(0xfc, 17, 0), one)},
	} {
		_, err := binary.Scan(typed(c.code), binary.DefaultLimits())
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%x: %v", c.code, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%x: error %v, want one with %q", c.code, err, c.want)
		case c.want != "" && err.(*binary.Error).Unsupported:
			t.Errorf("%x: %v is said to go beyond limits", c.code, err)
		}
	}
}

func TestSectionsOfWrongTypes(t *testing.T) {
	for want, build := range map[string]func(*Builder){
		"constant of type i64 for one of type i32": func(m *Builder) { m.Global(I32, I64Const(1)) },
		"instruction 0x23 is not":                  func(m *Builder) { m.Global(I32, I32Const(1)); m.Global(I32, GlobalGet(0)) },
		"more than one instruction":                func(m *Builder) { m.Global(I32, Cat(I32Const(1), I32Const(2), I32Add)) },
		"start function 0 has parameters":          func(m *Builder) { m.Start(m.Func("", []byte{I32}, nil, nil)) },
		"elements up to entry 3 of a table of 2":   func(m *Builder) { m.Table(2, 5); m.Elem(2, m.Func("", nil, nil, nil)) },
		"elements of type funcref for a table of externref": func(m *Builder) {
			m.TableOf(0x6f, 2, 5)
			m.Elem(0, m.Func("", nil, nil, nil))
		},
		"data up to address 65537":            func(m *Builder) { m.Memory(1, 5); m.Data(65536, []byte("x")) },
		"data up to address 4294967296":       func(m *Builder) { m.Memory(1, 5); m.Data(-1, []byte("x")) },
		"data segment without a memory":       func(m *Builder) { m.Data(0, []byte("x")) },
		"memory of 65537 pages":               func(m *Builder) { m.Memory(1, 65537) },
		"maximum 1 below minimum 2":           func(m *Builder) { m.Memory(2, 1) },
		"a data count section is missing":     func(m *Builder) { m.Memory(1, 1); m.Func("", nil, nil, nil, Op(0xfc, 9, 0)) },
		"there is no memory":                  func(m *Builder) { m.Func("", nil, nil, nil, MemorySize, Drop) },
		"reference type 0x7f":                 func(m *Builder) { m.TableOf(I32, 1, 1) },
		"export \"x\" appears twice":          func(m *Builder) { m.Func("x", nil, nil, nil); m.Func("x", nil, nil, nil) },
		"name is not UTF-8":                   func(m *Builder) { m.Func("\xff", nil, nil, nil) },
		"function 1: instruction 0x1a: stack": func(m *Builder) { m.Func("", nil, nil, nil); m.Func("", nil, nil, nil, Drop) },
	} {
		m := &Builder{}
		build(m)
		if _, err := binary.Scan(m.Bytes(), binary.DefaultLimits()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// BenchmarkScan reads the module of SANDWARP_WASM, or the largest that is committed.
func BenchmarkScan(b *testing.B) {
	path := os.Getenv("SANDWARP_WASM")
	if path == "" {
		path = "../../../sdk/c/examples/constrain.wasm"
	}
	module, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(module)))
	for b.Loop() {
		if _, err := binary.Scan(module, binary.DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
