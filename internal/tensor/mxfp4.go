package tensor

import "math"

// MXFP4: the 4-bit format of the OCP Microscaling specification v1.0, E2M1
// elements with one E8M0 exponent for 32 of them.
//
//	MXFP4 (17 bytes)   0 e   1 codes[16]      y = 2^(e-127) * V[q]
//
// codes[j]: bits 0-3 belong to element j, bits 4-7 to element j+16. Steps are
// 0.5, 1 and 2 times 2^(e-127) for values up to 2, 4 and 6 times it. e = 255 is
// a NaN in the specification; here it is an infinite scale, which is as useless.

// e2m1Values is V. Code 8, the negative zero, reads as 0 like everywhere else.
var e2m1Values = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

func decodeMXFP4(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[17:] {
		decodeCodes16(dst, src[1:], e8m0(src[0]), &e2m1Values)
	}
}

// e8m0 is 2^(e-127); e = 0 is a subnormal float32, e = 255 infinite.
func e8m0(e byte) float32 {
	if e == 0 {
		return 0x1p-127
	}
	return math.Float32frombits(uint32(e) << 23)
}
