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

// maxBF16 is the largest finite bfloat16 number. Numbers a little above it would
// still round to it.
const maxBF16 = 0x1.fep127

func encodeF32(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func encodeF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
	}
}

func encodeBF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
	}
}
