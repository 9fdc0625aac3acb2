package enginetest

import (
	"bytes"
	"fmt"

	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// everyInstruction is a module with an instruction of every kind, so that damage finds them
// all: each takes its operands from parameters and drops what it leaves.
func everyInstruction() *Builder {
	m := &Builder{}
	m.Memory(2, 4)
	m.Table(4, 10)
	m.TableOf(0x6f, 3, 3)
	m.Global(I32, I32Const(3))
	m.Global(F64, append([]byte{0x44}, make([]byte, 8)...))
	m.Global(V128, Cat([]byte{0xfd, 12}, make([]byte, 16)))
	m.Global(0x70, Op(0xd0, 0x70))
	pair := m.Type([]byte{I32, I64}, []byte{I64, I32})
	operands := []byte{I32, I64, F32, F64, V128, 0x70, 0x6f}
	var code []byte
	take := func(types string) (b []byte) {
		for i := range len(types) {
			b = append(b, LocalGet(uint32(bytes.IndexByte([]byte("ilfdvre"), types[i])))...)
		}
		return b
	}
	one := func(types string, leaves bool, op ...byte) {
		code = append(append(code, take(types)...), op...)
		if leaves {
			code = append(code, Drop...)
		}
	}
	for op := byte(0x28); op <= 0x35; op++ {
		one("i", true, op, 0, 4)
	}
	for i, v := range []byte("ilfdiilll") {
		one("i"+string(v), false, 0x36+byte(i), 0, 8)
	}
	numeric(one)
	lanes(one)
	for _, x := range []struct {
		types  string
		leaves bool
		op     []byte
	}{
		{"iii", false, Op(0xfc, 8, 1, 0)}, {"", false, Op(0xfc, 9, 1)}, {"iii", false, MemoryCopy}, {"iii", false, MemoryFill},
		{"iii", false, Op(0xfc, 12, 1, 0)}, {"", false, Op(0xfc, 13, 1)}, {"iii", false, Op(0xfc, 14, 0, 0)}, {"iii", false, Op(0xfc, 14, 1, 1)},
		{"ei", true, Op(0xfc, 15, 1)}, {"", true, Op(0xfc, 16, 1)}, {"iri", false, Op(0xfc, 17, 0)},
		{"i", true, Op(0x25, 1)}, {"ir", false, Op(0x26, 0)}, {"r", true, Op(0xd1)}, {"", true, Op(0xd2, 0)}, {"", true, Op(0xd0, 0x6f)},
		{"ddi", true, Op(0x1b)}, {"vvi", true, Op(0x1b)}, {"eei", true, Op(0x1c, 1, 0x6f)}, {"", true, MemorySize}, {"i", true, MemoryGrow},
		{"", true, GlobalGet(2)}, {"v", false, GlobalSet(2)}, {"r", false, GlobalSet(3)}, {"l", true, LocalTee(1)},
		{"il", true, Cat(Op(0x02), S(int64(pair)), Drop, Drop, take("li"), End, Drop)}, {"il", true, Cat(Op(0x03), S(int64(pair)), LocalGet(0), BrIf(0), Drop, Drop, take("li"), End, Drop)},
		{"ili", true, Cat(Op(0x04), S(int64(pair)), Drop, Drop, take("li"), Else, Unreachable, Select, End, Drop)},
		{"ili", true, Cat(CallIndirect(pair), Drop)}, {"", false, Block(None, Block(None, LocalGet(0), BrTable(0, 1, 0), F32Const(1), Drop, Br(0)))},
		{"", true, Block(I32, I32Const(1), Return, Drop, Nop, If(I32, I32Const(1), Else, I32Const(2)), Br(0))},
	} {
		one(x.types, x.leaves, x.op...)
	}
	f := m.Func("", operands, []byte{I32}, nil, code, I32Const(1))
	m.Elem(0, f)
	m.PassiveElem(0x70, f)
	m.Passive([]byte("abc"))
	m.Passive([]byte("def"))
	return m
}

// numeric are the instructions on numbers, by their operands.
func numeric(one func(types string, leaves bool, op ...byte)) {
	for _, x := range []struct {
		lo, hi byte
		types  string
	}{
		{0x45, 0x45, "i"}, {0x46, 0x4f, "ii"}, {0x50, 0x50, "l"}, {0x51, 0x5a, "ll"}, {0x5b, 0x60, "ff"}, {0x61, 0x66, "dd"},
		{0x67, 0x69, "i"}, {0x6a, 0x78, "ii"}, {0x79, 0x7b, "l"}, {0x7c, 0x8a, "ll"}, {0x8b, 0x91, "f"}, {0x92, 0x98, "ff"},
		{0x99, 0x9f, "d"}, {0xa0, 0xa6, "dd"}, {0xa7, 0xa7, "l"}, {0xa8, 0xa9, "f"}, {0xaa, 0xab, "d"}, {0xac, 0xad, "i"},
		{0xae, 0xaf, "f"}, {0xb0, 0xb1, "d"}, {0xb2, 0xb3, "i"}, {0xb4, 0xb5, "l"}, {0xb6, 0xb6, "d"}, {0xb7, 0xb8, "i"},
		{0xb9, 0xba, "l"}, {0xbb, 0xbb, "f"}, {0xbc, 0xbc, "f"}, {0xbd, 0xbd, "d"}, {0xbe, 0xbe, "i"}, {0xbf, 0xbf, "l"},
		{0xc0, 0xc1, "i"}, {0xc2, 0xc4, "l"},
	} {
		for op := int(x.lo); op <= int(x.hi); op++ {
			one(x.types, true, byte(op))
		}
	}
	for sub, v := range []byte("ffddffdd") {
		one(string(v), true, 0xfc, byte(sub))
	}
}

// lanes are the vector instructions.
func lanes(one func(types string, leaves bool, op ...byte)) {
	vec := func(types string, leaves bool, sub int, arg ...byte) {
		one(types, leaves, append(append([]byte{0xfd}, U(uint64(sub))...), arg...)...)
	}
	for sub := range 11 {
		vec("i", true, sub, 0, 1)
	}
	vec("iv", false, 11, 2, 1)
	vec("vv", true, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 31)
	for i, v := range []byte("iiilfd") {
		vec(string(v), true, 15+i)
	}
	for i, v := range []string{"v", "v", "vi", "v", "v", "vi", "v", "vi", "v", "vl", "v", "vf", "v", "vd"} {
		vec(v, true, 21+i, 1)
	}
	for i := range 4 {
		vec("iv", true, 84+i, 0, 1, 1)
		vec("iv", false, 88+i, 0, 1, 1)
	}
	vec("i", true, 92, 2, 0)
	vec("i", true, 93, 3, 0)
	one1 := " 77 83 94 95 96 97 98 99 100 103 104 105 106 116 117 122 124 125 126 127 128 129 131 132 135 136 137 138 148 160 161 163 164 167 168 169 170 192 193 195 196 199 200 201 202 224 225 227 236 237 239 248 249 250 251 252 253 254 255 "
	shifts := " 107 108 109 139 140 141 171 172 173 203 204 205 "
	none := " 82 154 162 165 166 175 176 178 179 180 187 194 197 198 207 208 210 211 212 226 238 "
	is := func(list string, sub int) bool { return bytes.Contains([]byte(list), fmt.Appendf(nil, " %d ", sub)) }
	for sub := 35; sub < 256; sub++ {
		switch {
		case sub >= 84 && sub <= 93 || is(none, sub):
		case is(one1, sub):
			vec("v", true, sub)
		case is(shifts, sub):
			vec("vi", true, sub)
		default:
			vec("vv", true, sub)
		}
	}
	vec("vv", true, 14)
	vec("vvv", true, 82)
}
