package tensor

import "math"

// F16ToF32 widens an IEEE 754 binary16 value. Every value is exact; a
// signalling NaN comes back quiet with its payload, as the conversion
// instructions of amd64 and arm64 do.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	if h&0x7c00 == 0x7c00 {
		bits := sign | 0x7f800000 | uint32(h&0x3ff)<<13
		if h&0x3ff != 0 {
			bits |= 0x400000
		}
		return math.Float32frombits(bits)
	}
	// Read as float32 bits, the exponent is 112 too small. Multiplying by 2^112
	// is exact and turns a subnormal into the normal number it stands for.
	mag := math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112
	return math.Float32frombits(sign | math.Float32bits(mag))
}

// F32ToF16 rounds to the nearest binary16 value, ties to even. From 65520 on
// the result is infinity; a NaN stays a quiet NaN with the upper payload bits.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= 0x47800000: // 65536 and up
		return sign | 0x7c00
	case bits < 0x38800000: // under 2^-14, a subnormal result
		// An ulp of 0.5 is 2^-24, the step of binary16 subnormals: the addition
		// rounds for us.
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-112<<23)>>13)
}

// BF16ToF32 widens a bfloat16 value, the upper half of a float32.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 value, ties to even. A NaN stays a
// quiet NaN with the upper payload bits.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
