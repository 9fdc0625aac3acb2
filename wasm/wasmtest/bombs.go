package wasmtest

import (
	"fmt"
	"strings"
)

const huge = 1<<32 - 1

var oneType = Section(1, []byte{1, 0x60, 0, 0})

// OneFunc is a module of one function with the given body, locals included.
func OneFunc(body ...[]byte) []byte {
	b := Cat(body...)
	return Raw(oneType, Section(3, []byte{1, 0}), Section(10, Cat(U(1), U(uint64(len(b))), b)))
}

// withMemory puts a memory into a module of one function.
func withMemory(m []byte) []byte {
	at := 8 + len(oneType) + len(Section(3, []byte{1, 0}))
	return Cat(m[:at], Section(5, []byte{1, 0, 1}), m[at:])
}

func repeat(n int, b ...byte) []byte {
	return []byte(strings.Repeat(string(b), n))
}

// Bomb is a small module that makes an engine fail fatally, or for minutes, and what
// must be in the error that refuses it.
type Bomb struct {
	Name, Want string
	Module     []byte
}

// Bombs are all of them.
func Bombs() []Bomb {
	B := U(huge)
	list := []Bomb{
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
		{"body of 2 MiB", "at most 1048576", OneFunc(repeat(2<<20, 1), End)},
		{"data", "data segments declared", Raw(Section(11, B))},
		{"data vector", "bytes of data", Raw(Section(5, []byte{1, 0, 1}), Section(11, Cat([]byte{1, 0, 0x41, 0, 0x0b}, B)))},
		{"data count", "data segments", Raw(Section(12, B))},
		{"local groups", "groups of locals declared", OneFunc(B, End)},
		{"4e9 locals", "locals, at most", OneFunc(U(1), U(4e9), []byte{I32, 0x0b})},
		{"1e8 locals", "locals, at most", OneFunc(U(1), U(1e8), []byte{I32, 0x0b})},
		{"wrapping locals", "locals, at most", OneFunc(U(2), B, []byte{I32}, U(2), []byte{I32, 0x0b})},
		{"branch table", "branch targets declared", OneFunc([]byte{0, 0x41, 0, 0x0e}, B, []byte{0, 0x0b})},
		{"select", "select of", OneFunc([]byte{0, 0x1c}, B, End)},
		{"section", "section of 4294967295", append(Raw(), Cat([]byte{1}, B)...)},
		{"500,000 targets", "branch targets", OneFunc([]byte{0, 0x41, 0, 0x0e}, U(500_000), make([]byte, 500_001), End)},
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
		Bomb{"5,000 loops on 5,000 locals", "blocks and branches in one function", OneFunc(distinct, End)},
		Bomb{"400 loops on 200 locals", "loops and", OneFunc(U(1), U(200), []byte{I32}, repeat(400, Loop(None, LocalGet(1), BrIf(0))...), End)},
		Bomb{"calls with 1,000 results", "values of calls", Raw(Section(1, thousand), Section(3, []byte{1, 0}), Section(10, Cat(U(1), U(uint64(len(calls))), calls)))},
		Bomb{"90,000 values at once", "values on the stack", withMemory(OneFunc([]byte{0}, repeat(90_000, 0x41, 0, 0x28, 2, 0), repeat(90_000, 0x1a), End))},
		Bomb{"30,000 targets", "branch targets", OneFunc([]byte{0, 0x41, 0, 0x0e}, U(30_000), make([]byte, 30_001), End)},
		Bomb{"100,000 ifs", "blocks and branches", OneFunc([]byte{0}, repeat(100_000, 0x41, 1, 0x04, 0x40, 0x0b), End)},
		manyBlocks())
	for _, n := range []int{1001, 50_000, 300_000} {
		m := OneFunc([]byte{0}, repeat(n, 2, 0x40), repeat(n+1, 0x0b))
		list = append(list, Bomb{fmt.Sprintf("%d nested blocks", n), "deeper than 1000", m})
	}
	towers := OneFunc([]byte{0}, repeat(10, Cat(repeat(900, 2, 0x40), repeat(900, 0x0b))...), End)
	return append(list, Bomb{"ten towers of blocks", "deeply nested", towers}, allLocals())
}

// manyBlocks holds many functions of many blocks each.
func manyBlocks() Bomb {
	const n = 50
	body := Cat([]byte{0}, repeat(2000, Cat(I32Const(1), If(None))...), End)
	code := Cat(U(n), repeat(n, append(U(uint64(len(body))), body...)...))
	return Bomb{"50 functions of 2,000 blocks", "functions of many blocks", Raw(oneType, Section(3, Cat(U(n), make([]byte, n))), Section(10, code))}
}

// allLocals declares the most locals a function may have in many functions.
func allLocals() Bomb {
	const n = 1000
	body := Cat(U(1), U(49_998), []byte{I32, 0x0b})
	code := Cat(U(n), Cat(repeat(n, append(U(uint64(len(body))), body...)...)))
	return Bomb{"5e7 locals in all", "locals in all", Raw(oneType, Section(3, Cat(U(n), make([]byte, n))), Section(10, code))}
}
