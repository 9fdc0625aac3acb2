package tensor

import (
	"encoding/binary"
	"fmt"
)

// decoders turn whole blocks into elements; sizes were checked by Dequantize.
//
// Their arithmetic is float32, in the order the layout comments write it, and
// every product is rounded before it is added: the explicit float32(...) keeps
// the compiler from fusing, so that all platforms give the same bits.
var decoders = map[DType]func(dst []float32, src []byte){
	F32: decodeF32, F16: decodeF16, BF16: decodeBF16,
	Q4_0: decodeQ4_0, Q4_1: decodeQ4_1, Q5_0: decodeQ5_0, Q5_1: decodeQ5_1, Q8_0: decodeQ8_0,
	Q2_K: decodeQ2K, Q3_K: decodeQ3K, Q4_K: decodeQ4K, Q5_K: decodeQ5K, Q6_K: decodeQ6K,
	IQ4_NL: decodeIQ4NL, IQ4_XS: decodeIQ4XS, MXFP4: decodeMXFP4,
}

// Dequantize writes the len(dst) elements stored in src. The result is the same
// on every platform, bit for bit, except for which NaN a NaN is. Any bytes are
// legal contents: a block with an infinite or NaN scale gives infinities and
// NaNs.
//
// It panics if t is unknown, if len(dst) is no multiple of t.BlockElems(), or if
// len(src) != t.RowBytes(len(dst)): callers checked the shapes when they read
// them. It may be called concurrently for different dst.
func Dequantize(dst []float32, t DType, src []byte) {
	if want := t.RowBytes(len(dst)); len(src) != want {
		panic(fmt.Sprintf("tensor: %d elements of %v take %d bytes, got %d", len(dst), t, want, len(src)))
	}
	decoders[t](dst, src)
}

// f16at reads a binary16 number, little-endian.
func f16at(b []byte) float32 { return F16ToF32(binary.LittleEndian.Uint16(b)) }
