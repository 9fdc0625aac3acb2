package tensor

import "encoding/binary"

// IQ4_NL and IQ4_XS: a code of 4 bits picks one of 16 unevenly spaced values,
// denser around zero where most weights are. d is binary16.
//
//	IQ4_NL (18 bytes)    0 d   2 codes[16]                       y = d*V[q]
//	IQ4_XS (136 bytes)   0 d   2 high u16   4 low[4]   8 codes[128]
//	 y = (d*(s-32))*V[q]; s of group g of 32: lower 4 bits in nibble g%2 of
//	 low[g/2], upper 2 bits in bits 2g.. of high
//
// codes[j] of a group of 32 (IQ4_XS: codes[16g+j]): bits 0-3 belong to element
// j, bits 4-7 to element j+16. The values of V are 11 (around -5) to 24 (between
// 89 and 113) apart: the step is that times d, or times |d*(s-32)|.

// iq4Values is V.
var iq4Values = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeIQ4NL(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[18:] {
		decodeCodes16(dst, src[2:], f16at(src), &iq4Values)
	}
}

func decodeIQ4XS(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[136:] {
		d, high := f16at(src), binary.LittleEndian.Uint16(src[2:])
		for g := range 8 {
			s := src[4+g/2]>>(g%2*4)&15 | byte(high>>(2*g)&3)<<4
			decodeCodes16(dst[32*g:], src[8+16*g:], d*float32(int(s)-32), &iq4Values)
		}
	}
}

// decodeCodes16 writes 32 elements scale*values[code] from 16 bytes of codes.
func decodeCodes16(dst []float32, src []byte, scale float32, values *[16]float32) {
	y, codes := (*[QK]float32)(dst), (*[16]byte)(src)
	for j, c := range codes {
		y[j] = scale * values[c&15]
		y[j+16] = scale * values[c>>4]
	}
}
