package binary

// signature is what an instruction takes off the stack, the last value first, and
// leaves there.
type signature struct {
	known   bool
	special bool // its types depend on the module or the stack
	memory  bool // it needs a memory
	n       byte // of params
	params  [3]ValType
	result  ValType // unknown for none
}

// missing is the signature of instructions that do not exist.
var missing signature

// span is a range of instructions of one signature, as text: the values it takes, a
// colon, the value it leaves; i, l, f and d for i32, i64, f32 and f64, v for v128. An
// m in front says that it needs a memory, and * alone that it is special.
type span struct {
	lo, hi byte
	text   string
}

var plain = signatures(
	span{0x01, 0x01, ":"},                              // nop
	span{0x1a, 0x1c, "*"},                              // drop, select
	span{0x20, 0x26, "*"},                              // locals, globals, tables
	span{0x28, 0x28, "mi:i"}, span{0x29, 0x29, "mi:l"}, // loads
	span{0x2a, 0x2a, "mi:f"}, span{0x2b, 0x2b, "mi:d"}, //
	span{0x2c, 0x2f, "mi:i"}, span{0x30, 0x35, "mi:l"}, //
	span{0x36, 0x36, "mii:"}, span{0x37, 0x37, "mil:"}, // stores
	span{0x38, 0x38, "mif:"}, span{0x39, 0x39, "mid:"}, //
	span{0x3a, 0x3b, "mii:"}, span{0x3c, 0x3e, "mil:"}, //
	span{0x3f, 0x3f, "m:i"}, span{0x40, 0x40, "mi:i"}, // memory.size, memory.grow
	span{0x41, 0x41, ":i"}, span{0x42, 0x42, ":l"}, // constants
	span{0x43, 0x43, ":f"}, span{0x44, 0x44, ":d"}, //
	span{0x45, 0x45, "i:i"}, span{0x46, 0x4f, "ii:i"}, // comparisons
	span{0x50, 0x50, "l:i"}, span{0x51, 0x5a, "ll:i"}, //
	span{0x5b, 0x60, "ff:i"}, span{0x61, 0x66, "dd:i"}, //
	span{0x67, 0x69, "i:i"}, span{0x6a, 0x78, "ii:i"}, // arithmetic
	span{0x79, 0x7b, "l:l"}, span{0x7c, 0x8a, "ll:l"}, //
	span{0x8b, 0x91, "f:f"}, span{0x92, 0x98, "ff:f"}, //
	span{0x99, 0x9f, "d:d"}, span{0xa0, 0xa6, "dd:d"}, //
	span{0xa7, 0xa7, "l:i"}, span{0xa8, 0xa9, "f:i"}, // conversions
	span{0xaa, 0xab, "d:i"}, span{0xac, 0xad, "i:l"}, //
	span{0xae, 0xaf, "f:l"}, span{0xb0, 0xb1, "d:l"}, //
	span{0xb2, 0xb3, "i:f"}, span{0xb4, 0xb5, "l:f"}, //
	span{0xb6, 0xb6, "d:f"}, span{0xb7, 0xb8, "i:d"}, //
	span{0xb9, 0xba, "l:d"}, span{0xbb, 0xbb, "f:d"}, //
	span{0xbc, 0xbc, "f:i"}, span{0xbd, 0xbd, "d:l"}, // reinterpretations
	span{0xbe, 0xbe, "i:f"}, span{0xbf, 0xbf, "l:d"}, //
	span{0xc0, 0xc1, "i:i"}, span{0xc2, 0xc4, "l:l"}, // sign extensions
	span{0xd0, 0xd2, "*"}, // references
)

// misc are those behind 0xfc.
var misc = signatures(
	span{0, 1, "f:i"}, span{2, 3, "d:i"}, span{4, 5, "f:l"}, span{6, 7, "d:l"}, // saturating conversions
	span{8, 8, "miii:"}, span{9, 9, ":"}, span{10, 11, "miii:"}, // memory.init, data.drop, memory.copy and fill
	span{12, 17, "*"}, // tables
)

// vector are those behind 0xfd.
var vector = signatures(
	span{0, 10, "mi:v"}, span{11, 11, "miv:"}, span{12, 12, ":v"}, // loads, store, constant
	span{13, 14, "vv:v"},                                                               // shuffle, swizzle
	span{15, 17, "i:v"}, span{18, 18, "l:v"}, span{19, 19, "f:v"}, span{20, 20, "d:v"}, // splat
	span{21, 22, "v:i"}, span{23, 23, "vi:v"}, span{24, 25, "v:i"}, span{26, 26, "vi:v"}, // lanes
	span{27, 27, "v:i"}, span{28, 28, "vi:v"}, span{29, 29, "v:l"}, span{30, 30, "vl:v"},
	span{31, 31, "v:f"}, span{32, 32, "vf:v"}, span{33, 33, "v:d"}, span{34, 34, "vd:v"},
	span{35, 76, "vv:v"},                                                                  // comparisons
	span{77, 77, "v:v"}, span{78, 81, "vv:v"}, span{82, 82, "vvv:v"}, span{83, 83, "v:i"}, // bits
	span{84, 87, "miv:v"}, span{88, 91, "miv:"}, span{92, 93, "mi:v"}, // loads and stores of lanes
	span{94, 98, "v:v"}, span{99, 100, "v:i"}, span{101, 102, "vv:v"}, span{103, 106, "v:v"}, // i8x16
	span{107, 109, "vi:v"}, span{110, 115, "vv:v"}, span{116, 117, "v:v"}, span{118, 121, "vv:v"},
	span{122, 122, "v:v"}, span{123, 123, "vv:v"}, span{124, 127, "v:v"},
	span{128, 129, "v:v"}, span{130, 130, "vv:v"}, span{131, 132, "v:i"}, span{133, 134, "vv:v"}, // i16x8
	span{135, 138, "v:v"}, span{139, 141, "vi:v"}, span{142, 147, "vv:v"}, span{148, 148, "v:v"},
	span{149, 153, "vv:v"}, span{155, 159, "vv:v"},
	span{160, 161, "v:v"}, span{163, 164, "v:i"}, span{167, 170, "v:v"}, span{171, 173, "vi:v"}, // i32x4
	span{174, 174, "vv:v"}, span{177, 177, "vv:v"}, span{181, 186, "vv:v"}, span{188, 191, "vv:v"},
	span{192, 193, "v:v"}, span{195, 196, "v:i"}, span{199, 202, "v:v"}, span{203, 205, "vi:v"}, // i64x2
	span{206, 206, "vv:v"}, span{209, 209, "vv:v"}, span{213, 223, "vv:v"},
	span{224, 225, "v:v"}, span{227, 227, "v:v"}, span{228, 235, "vv:v"}, // f32x4
	span{236, 237, "v:v"}, span{239, 239, "v:v"}, span{240, 247, "vv:v"}, // f64x2
	span{248, 255, "v:v"}, // conversions
)

// signatures is a table of all 256.
func signatures(spans ...span) *[256]signature {
	types := map[byte]ValType{'i': I32, 'l': I64, 'f': F32, 'd': F64, 'v': V128}
	var table [256]signature
	for _, sp := range spans {
		s := signature{known: true, special: sp.text == "*", memory: sp.text[0] == 'm'}
		text, left := sp.text, false
		for i := range len(text) {
			switch t := types[text[i]]; {
			case text[i] == ':':
				left = true
			case left:
				s.result = t
			case t != unknown: // the last is taken first
				s.params[2], s.params[1], s.params[0] = s.params[1], s.params[0], t
				s.n++
			}
		}
		for op := int(sp.lo); op <= int(sp.hi); op++ {
			table[op] = s
		}
	}
	return &table
}
