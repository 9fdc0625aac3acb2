package tensor

import (
	"encoding/binary"
	"math"
)

// The plain formats: one little-endian number an element.
//
//	format  bytes  sign  exponent  fraction   relative step (half of it is the rounding error)
//	F32         4     1         8        23   2^-23
//	F16         2     1         5        10   2^-10, and never under 2^-24 absolute; largest 65504
//	BF16        2     1         8         7   2^-7

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
