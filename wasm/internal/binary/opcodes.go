package binary

// Opcodes the scan and the metering pass treat by name.
const (
	OpUnreachable  = 0x00
	OpBlock        = 0x02
	OpLoop         = 0x03
	OpIf           = 0x04
	OpElse         = 0x05
	OpEnd          = 0x0b
	OpBr           = 0x0c
	OpBrIf         = 0x0d
	OpBrTable      = 0x0e
	OpReturn       = 0x0f
	OpCall         = 0x10
	OpCallIndirect = 0x11
	OpDrop         = 0x1a
	OpSelect       = 0x1b
	OpSelectT      = 0x1c
	OpLocalGet     = 0x20
	OpLocalSet     = 0x21
	OpLocalTee     = 0x22
	OpGlobalGet    = 0x23
	OpGlobalSet    = 0x24
	OpTableGet     = 0x25
	OpTableSet     = 0x26
	OpMemorySize   = 0x3f
	OpMemoryGrow   = 0x40
	OpI32Const     = 0x41
	OpI64Const     = 0x42
	OpI32Eqz       = 0x45
	OpI64LtS       = 0x53
	OpI32LtS       = 0x48
	OpI32Add       = 0x6a
	OpI32Sub       = 0x6b
	OpI64Add       = 0x7c
	OpI64Sub       = 0x7d
	OpI64ShrU      = 0x88
	OpI64ExtendU   = 0xad
	OpRefNull      = 0xd0
	OpRefIsNull    = 0xd1
	OpRefFunc      = 0xd2
	OpMisc         = 0xfc
	OpVector       = 0xfd

	MiscMemoryInit = 8
	MiscDataDrop   = 9
	MiscMemoryCopy = 10
	MiscMemoryFill = 11
	MiscTableInit  = 12
	MiscElemDrop   = 13
	MiscTableCopy  = 14
	MiscTableGrow  = 15
	MiscTableSize  = 16
	MiscTableFill  = 17
)

// Instr is a decoded instruction.
type Instr struct {
	Op         byte
	Sub        uint32 // of OpMisc and OpVector
	A, B       uint32 // immediates: index, label, type; of OpCallIndirect type and table
	Block      int64  // block type: -64 for none, a negated value type, or a type index
	Start, End int    // in Module.Bytes
	labels     Span   // of OpBrTable, default last
}

// effect is how many values an instruction takes and leaves; pops 15 marks an
// instruction that does not exist.
type effect byte

const invalid = effect(15 << 4)

func takes(pops, pushes byte) effect { return effect(pops<<4 | pushes) }

// plain and vector hold the effects of instructions whose effect does not depend
// on the module.
var plain = table([]span{
	{0x01, 0x01, takes(0, 0)}, {0x1a, 0x1a, takes(1, 0)}, {0x1b, 0x1c, takes(3, 1)},
	{0x20, 0x20, takes(0, 1)}, {0x21, 0x21, takes(1, 0)}, {0x22, 0x22, takes(1, 1)},
	{0x23, 0x23, takes(0, 1)}, {0x24, 0x24, takes(1, 0)}, {0x25, 0x25, takes(1, 1)}, {0x26, 0x26, takes(2, 0)},
	{0x28, 0x35, takes(1, 1)}, {0x36, 0x3e, takes(2, 0)}, {0x3f, 0x3f, takes(0, 1)}, {0x40, 0x40, takes(1, 1)},
	{0x41, 0x44, takes(0, 1)}, {0x45, 0x45, takes(1, 1)}, {0x46, 0x4f, takes(2, 1)}, {0x50, 0x50, takes(1, 1)},
	{0x51, 0x66, takes(2, 1)}, {0x67, 0x69, takes(1, 1)}, {0x6a, 0x78, takes(2, 1)}, {0x79, 0x7b, takes(1, 1)},
	{0x7c, 0x8a, takes(2, 1)}, {0x8b, 0x91, takes(1, 1)}, {0x92, 0x98, takes(2, 1)}, {0x99, 0x9f, takes(1, 1)},
	{0xa0, 0xa6, takes(2, 1)}, {0xa7, 0xc4, takes(1, 1)},
	{0xd0, 0xd0, takes(0, 1)}, {0xd1, 0xd1, takes(1, 1)}, {0xd2, 0xd2, takes(0, 1)},
})

var vector = table([]span{
	{0, 10, takes(1, 1)}, {11, 11, takes(2, 0)}, {12, 12, takes(0, 1)}, {13, 14, takes(2, 1)}, {15, 20, takes(1, 1)},
	{21, 22, takes(1, 1)}, {23, 23, takes(2, 1)}, {24, 25, takes(1, 1)}, {26, 26, takes(2, 1)},
	{27, 27, takes(1, 1)}, {28, 28, takes(2, 1)}, {29, 29, takes(1, 1)}, {30, 30, takes(2, 1)},
	{31, 31, takes(1, 1)}, {32, 32, takes(2, 1)}, {33, 33, takes(1, 1)}, {34, 34, takes(2, 1)},
	{35, 76, takes(2, 1)}, {77, 77, takes(1, 1)}, {78, 81, takes(2, 1)}, {82, 82, takes(3, 1)}, {83, 83, takes(1, 1)},
	{84, 87, takes(2, 1)}, {88, 91, takes(2, 0)}, {92, 100, takes(1, 1)}, {101, 102, takes(2, 1)}, {103, 106, takes(1, 1)},
	{107, 115, takes(2, 1)}, {116, 117, takes(1, 1)}, {118, 121, takes(2, 1)}, {122, 122, takes(1, 1)}, {123, 123, takes(2, 1)},
	{124, 129, takes(1, 1)}, {130, 130, takes(2, 1)}, {131, 132, takes(1, 1)}, {133, 134, takes(2, 1)}, {135, 138, takes(1, 1)},
	{139, 147, takes(2, 1)}, {148, 148, takes(1, 1)}, {149, 153, takes(2, 1)}, {155, 159, takes(2, 1)},
	{160, 161, takes(1, 1)}, {163, 164, takes(1, 1)}, {167, 170, takes(1, 1)}, {171, 174, takes(2, 1)}, {177, 177, takes(2, 1)},
	{181, 186, takes(2, 1)}, {188, 191, takes(2, 1)}, {192, 193, takes(1, 1)}, {195, 196, takes(1, 1)}, {199, 202, takes(1, 1)},
	{203, 206, takes(2, 1)}, {209, 209, takes(2, 1)}, {213, 219, takes(2, 1)}, {220, 223, takes(2, 1)},
	{224, 225, takes(1, 1)}, {227, 227, takes(1, 1)}, {228, 235, takes(2, 1)}, {236, 237, takes(1, 1)}, {239, 239, takes(1, 1)},
	{240, 247, takes(2, 1)}, {248, 255, takes(1, 1)},
})

var misc = []effect{
	takes(1, 1), takes(1, 1), takes(1, 1), takes(1, 1), takes(1, 1), takes(1, 1), takes(1, 1), takes(1, 1),
	takes(3, 0), takes(0, 0), takes(3, 0), takes(3, 0), takes(3, 0), takes(0, 0), takes(3, 0), takes(2, 1), takes(0, 1), takes(3, 0),
}

type span struct {
	lo, hi byte
	effect effect
}

func table(spans []span) *[256]effect {
	var t [256]effect
	for i := range t {
		t[i] = invalid
	}
	for _, s := range spans {
		for op := int(s.lo); op <= int(s.hi); op++ {
			t[op] = s.effect
		}
	}
	return &t
}
