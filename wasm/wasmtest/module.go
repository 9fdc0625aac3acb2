// Package wasmtest assembles small WebAssembly modules in tests, so that none
// needs a text-format tool or a committed binary. It encodes what it is told,
// valid or not.
package wasmtest

import (
	"encoding/binary"
	"math"
)

// Value types.
const (
	I32  = 0x7f
	I64  = 0x7e
	F32  = 0x7d
	F64  = 0x7c
	V128 = 0x7b
)

// Builder is a module under construction; the zero value is empty. Functions are
// numbered imports first, so Import must be called before Func.
type Builder struct {
	types, imports, funcs, tables, memories, globals, exports, elems, codes, datas [][]byte

	nimports, nfuncs int
	start            []byte
	customs          []byte
	dataCount        bool
}

// U encodes an unsigned LEB128.
func U(v uint64) []byte { return binary.AppendUvarint(nil, v) }

// S encodes a signed LEB128.
func S(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Cat joins byte strings.
func Cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Name encodes a name.
func Name(s string) []byte { return append(U(uint64(len(s))), s...) }

// Vec encodes a vector of encoded items.
func Vec(items ...[]byte) []byte { return append(U(uint64(len(items))), Cat(items...)...) }

// Section encodes a section.
func Section(id byte, body []byte) []byte { return Cat([]byte{id}, U(uint64(len(body))), body) }

// Raw joins sections into a module.
func Raw(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), Cat(sections...)...)
}

// Type adds a function type and returns its index.
func (m *Builder) Type(params, results []byte) uint32 {
	m.types = append(m.types, Cat([]byte{0x60}, U(uint64(len(params))), params, U(uint64(len(results))), results))
	return uint32(len(m.types) - 1)
}

// Import adds an imported function and returns its index.
func (m *Builder) Import(module, name string, params, results []byte) uint32 {
	t := m.Type(params, results)
	m.imports = append(m.imports, Cat(Name(module), Name(name), []byte{0}, U(uint64(t))))
	m.nimports++
	return uint32(m.nimports - 1)
}

// Func adds a function, exported unless export is empty, and returns its index.
// Locals are value types; end is added to code.
func (m *Builder) Func(export string, params, results, locals []byte, code ...[]byte) uint32 {
	t := m.Type(params, results)
	var groups [][]byte
	for _, l := range locals {
		groups = append(groups, []byte{1, l})
	}
	return m.RawFunc(export, t, Cat(Vec(groups...), Cat(code...), []byte{0x0b}))
}

// RawFunc adds a function of a type whose body is given whole.
func (m *Builder) RawFunc(export string, typ uint32, body []byte) uint32 {
	m.funcs = append(m.funcs, U(uint64(typ)))
	m.codes = append(m.codes, append(U(uint64(len(body))), body...))
	m.nfuncs++
	i := uint32(m.nimports + m.nfuncs - 1)
	if export != "" {
		m.Export(export, 0, i)
	}
	return i
}

// Export exports anything: kind 0 function, 1 table, 2 memory, 3 global.
func (m *Builder) Export(name string, kind byte, index uint32) {
	m.exports = append(m.exports, Cat(Name(name), []byte{kind}, U(uint64(index))))
}

// Memory adds a memory of min pages, exported as "memory". max < 0: none.
func (m *Builder) Memory(min, max int) {
	m.memories = append(m.memories, limits(min, max))
	m.Export("memory", 2, 0)
}

// Table adds a table of functions.
func (m *Builder) Table(min, max int) { m.TableOf(0x70, min, max) }

// TableOf adds a table of references of a type.
func (m *Builder) TableOf(typ byte, min, max int) {
	m.tables = append(m.tables, append([]byte{typ}, limits(min, max)...))
}

func limits(min, max int) []byte {
	if max < 0 {
		return append([]byte{0}, U(uint64(min))...)
	}
	return Cat([]byte{1}, U(uint64(min)), U(uint64(max)))
}

// Global adds a mutable global and returns its index.
func (m *Builder) Global(typ byte, init []byte) uint32 {
	m.globals = append(m.globals, Cat([]byte{typ, 1}, init, []byte{0x0b}))
	return uint32(len(m.globals) - 1)
}

// Constant adds a global that cannot be set and returns its index.
func (m *Builder) Constant(typ byte, init []byte) uint32 {
	m.globals = append(m.globals, Cat([]byte{typ, 0}, init, []byte{0x0b}))
	return uint32(len(m.globals) - 1)
}

// Elem puts functions into table 0.
func (m *Builder) Elem(offset int32, funcs ...uint32) {
	var v [][]byte
	for _, f := range funcs {
		v = append(v, U(uint64(f)))
	}
	m.elems = append(m.elems, Cat([]byte{0}, I32Const(offset), []byte{0x0b}, Vec(v...)))
}

// PassiveElem adds a passive segment of functions, as expressions of a type.
func (m *Builder) PassiveElem(typ byte, funcs ...uint32) {
	var v [][]byte
	for _, f := range funcs {
		v = append(v, Cat(with(0xd2, f), End))
	}
	m.elems = append(m.elems, Cat([]byte{5, typ}, Vec(v...)))
}

// Data puts bytes into memory.
func (m *Builder) Data(offset int32, data []byte) {
	m.datas = append(m.datas, Cat([]byte{0}, I32Const(offset), []byte{0x0b}, U(uint64(len(data))), data))
}

// Passive adds a passive data segment.
func (m *Builder) Passive(data []byte) {
	m.dataCount = true
	m.datas = append(m.datas, Cat([]byte{1}, U(uint64(len(data))), data))
}

// Start names the start function.
func (m *Builder) Start(f uint32) { m.start = U(uint64(f)) }

// Custom adds a custom section.
func (m *Builder) Custom(name string, data []byte) {
	m.customs = append(m.customs, Section(0, append(Name(name), data...))...)
}

// Bytes is the module.
func (m *Builder) Bytes() []byte {
	b := Raw()
	add := func(id byte, items [][]byte) {
		if len(items) > 0 {
			b = append(b, Section(id, Vec(items...))...)
		}
	}
	add(1, m.types)
	add(2, m.imports)
	add(3, m.funcs)
	add(4, m.tables)
	add(5, m.memories)
	add(6, m.globals)
	add(7, m.exports)
	if m.start != nil {
		b = append(b, Section(8, m.start)...)
	}
	add(9, m.elems)
	if m.dataCount {
		b = append(b, Section(12, U(uint64(len(m.datas))))...)
	}
	add(10, m.codes)
	add(11, m.datas)
	return append(b, m.customs...)
}

// F32Bits is the little-endian form of a float.
func F32Bits(v float32) []byte {
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
}
