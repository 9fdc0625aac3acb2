package wasmtest

// Op is an instruction without immediates.
func Op(codes ...byte) []byte { return codes }

// Instructions by their names in the text format.
var (
	Unreachable = Op(0x00)
	Nop         = Op(0x01)
	Else        = Op(0x05)
	End         = Op(0x0b)
	Return      = Op(0x0f)
	Drop        = Op(0x1a)
	Select      = Op(0x1b)
	MemorySize  = Op(0x3f, 0)
	MemoryGrow  = Op(0x40, 0)
	I32Eqz      = Op(0x45)
	I32Eq       = Op(0x46)
	I32LtU      = Op(0x49)
	I32Add      = Op(0x6a)
	I32Sub      = Op(0x6b)
	I32Mul      = Op(0x6c)
	I64Add      = Op(0x7c)
	I64Or       = Op(0x84)
	I64Shl      = Op(0x86)
	ExtendU     = Op(0xad)
	MemoryFill  = Op(0xfc, 11, 0)
	MemoryCopy  = Op(0xfc, 10, 0, 0)
)

func with(op byte, n uint32) []byte { return append([]byte{op}, U(uint64(n))...) }

// LocalGet and its siblings take an index or label.
func LocalGet(i uint32) []byte  { return with(0x20, i) }
func LocalSet(i uint32) []byte  { return with(0x21, i) }
func LocalTee(i uint32) []byte  { return with(0x22, i) }
func GlobalGet(i uint32) []byte { return with(0x23, i) }
func GlobalSet(i uint32) []byte { return with(0x24, i) }
func Call(f uint32) []byte      { return with(0x10, f) }
func Br(l uint32) []byte        { return with(0x0c, l) }
func BrIf(l uint32) []byte      { return with(0x0d, l) }

// CallIndirect calls through table 0.
func CallIndirect(typ uint32) []byte { return append(with(0x11, typ), 0) }

// I32Const and its siblings push a constant.
func I32Const(v int32) []byte { return append([]byte{0x41}, S(int64(v))...) }
func I64Const(v int64) []byte { return append([]byte{0x42}, S(v)...) }
func F32Const(v float32) []byte {
	return append([]byte{0x43}, F32Bits(v)...)
}

// I32Load and its siblings access memory at an offset.
func I32Load(off uint32) []byte  { return append([]byte{0x28, 2}, U(uint64(off))...) }
func F32Load(off uint32) []byte  { return append([]byte{0x2a, 2}, U(uint64(off))...) }
func I32Store(off uint32) []byte { return append([]byte{0x36, 2}, U(uint64(off))...) }
func I64Store(off uint32) []byte { return append([]byte{0x37, 3}, U(uint64(off))...) }
func F32Store(off uint32) []byte { return append([]byte{0x38, 2}, U(uint64(off))...) }

// Block, Loop and If hold code; bt is the block type (0x40 for none).
func Block(bt byte, code ...[]byte) []byte { return Cat([]byte{0x02, bt}, Cat(code...), End) }
func Loop(bt byte, code ...[]byte) []byte  { return Cat([]byte{0x03, bt}, Cat(code...), End) }
func If(bt byte, code ...[]byte) []byte    { return Cat([]byte{0x04, bt}, Cat(code...), End) }

// None is the block type without results.
const None = 0x40

// BrTable jumps to one of labels, the last being the default.
func BrTable(labels ...uint32) []byte {
	b := append([]byte{0x0e}, U(uint64(len(labels)-1))...)
	for _, l := range labels {
		b = append(b, U(uint64(l))...)
	}
	return b
}
