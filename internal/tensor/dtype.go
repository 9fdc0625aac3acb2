// Package tensor names the element and block formats of model weights and says
// how each is laid out in memory, read back and written.
//
// A format is a sequence of blocks: BlockElems consecutive elements of a row
// stored in BlockBytes bytes. Layouts and type numbers are those of the GGUF
// specification. The package imports nothing else of this module.
package tensor

import "fmt"

// DType is the element or block format of a tensor. Its values are the type
// numbers GGUF stores.
type DType uint32

// The formats sandwarp reads.
const (
	F32    DType = 0
	F16    DType = 1
	Q4_0   DType = 2
	Q4_1   DType = 3
	Q5_0   DType = 6
	Q5_1   DType = 7
	Q8_0   DType = 8
	Q2_K   DType = 10
	Q3_K   DType = 11
	Q4_K   DType = 12
	Q5_K   DType = 13
	Q6_K   DType = 14
	IQ4_NL DType = 20
	IQ4_XS DType = 23
	BF16   DType = 30
	MXFP4  DType = 39
)

// QK is the number of elements in a block of the small formats, QKK in a
// super-block of the K formats.
const (
	QK  = 32
	QKK = 256
)

type layout struct {
	name         string
	elems, bytes int
}

var layouts = map[DType]layout{
	F32:    {"F32", 1, 4},
	F16:    {"F16", 1, 2},
	BF16:   {"BF16", 1, 2},
	Q4_0:   {"Q4_0", QK, 18},
	Q4_1:   {"Q4_1", QK, 20},
	Q5_0:   {"Q5_0", QK, 22},
	Q5_1:   {"Q5_1", QK, 24},
	Q8_0:   {"Q8_0", QK, 34},
	Q2_K:   {"Q2_K", QKK, 84},
	Q3_K:   {"Q3_K", QKK, 110},
	Q4_K:   {"Q4_K", QKK, 144},
	Q5_K:   {"Q5_K", QKK, 176},
	Q6_K:   {"Q6_K", QKK, 210},
	IQ4_NL: {"IQ4_NL", QK, 18},
	IQ4_XS: {"IQ4_XS", QKK, 136},
	MXFP4:  {"MXFP4", QK, 17},
}

// DTypes lists every format, in the order of their type numbers.
func DTypes() []DType {
	return []DType{F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, MXFP4}
}

// Valid reports whether sandwarp knows the format.
func (t DType) Valid() bool { _, ok := layouts[t]; return ok }

// BlockElems is the number of elements in a block, 1 for the plain formats,
// 0 for an unknown one.
func (t DType) BlockElems() int { return layouts[t].elems }

// BlockBytes is the size of a block in bytes, 0 for an unknown format.
func (t DType) BlockBytes() int { return layouts[t].bytes }

// RowBytes is the size in bytes of a row of n elements. It panics if n is no
// multiple of BlockElems: whoever reads foreign shapes checks them first.
func (t DType) RowBytes(n int) int {
	l := layouts[t]
	if l.elems == 0 || n%l.elems != 0 {
		panic(fmt.Sprintf("tensor: a row of %d elements does not fit %v", n, t))
	}
	return n / l.elems * l.bytes
}

func (t DType) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("DType(%d)", uint32(t))
}

// ParseDType is the inverse of String for the known formats.
func ParseDType(name string) (DType, error) {
	for _, t := range DTypes() {
		if layouts[t].name == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("tensor: unknown format %q", name)
}
