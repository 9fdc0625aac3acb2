package tensor

import (
	"encoding/binary"
	"fmt"
)

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
	decode(dst, t, src)
}

// decode turns whole blocks into elements. It is a switch and no table of
// functions, so that a caller's buffer may live on its stack.
//
// The arithmetic of the decoders is float32, in the order the layout comments
// write it, and every product is rounded before it is added: the explicit
// float32(...) keeps the compiler from fusing, so that all platforms give the
// same bits.
func decode(dst []float32, t DType, src []byte) {
	switch t {
	case F32:
		decodeF32(dst, src)
	case F16:
		decodeF16(dst, src)
	case BF16:
		decodeBF16(dst, src)
	case Q4_0:
		decodeQ4_0(dst, src)
	case Q4_1:
		decodeQ4_1(dst, src)
	case Q5_0:
		decodeQ5_0(dst, src)
	case Q5_1:
		decodeQ5_1(dst, src)
	case Q8_0:
		decodeQ8_0(dst, src)
	case Q2_K:
		decodeQ2K(dst, src)
	case Q3_K:
		decodeQ3K(dst, src)
	case Q4_K:
		decodeQ4K(dst, src)
	case Q5_K:
		decodeQ5K(dst, src)
	case Q6_K:
		decodeQ6K(dst, src)
	case IQ4_NL:
		decodeIQ4NL(dst, src)
	case IQ4_XS:
		decodeIQ4XS(dst, src)
	case MXFP4:
		decodeMXFP4(dst, src)
	}
}

// f16at reads a binary16 number, little-endian.
func f16at(b []byte) float32 { return F16ToF32(binary.LittleEndian.Uint16(b)) }
