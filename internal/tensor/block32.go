package tensor

import "encoding/binary"

// The formats with blocks of 32 elements. d and m are binary16; y is an
// element, q its stored code.
//
//	Q4_0 (18 bytes)   0 d      2 codes[16]                      y = d*(q-8)    step d
//	Q4_1 (20 bytes)   0 d      2 m         4 codes[16]          y = d*q + m    step d
//	Q5_0 (22 bytes)   0 d      2 high u32  6 codes[16]          y = d*(q-16)   step d
//	Q5_1 (24 bytes)   0 d      2 m         4 high u32  8 codes[16]   y = d*q + m   step d
//	Q8_0 (34 bytes)   0 d      2 q int8[32]                     y = d*q        step d
//
// codes[j], j in 0..15: bits 0-3 belong to element j, bits 4-7 to element j+16.
// high: bit i is the fifth bit (worth 16) of element i.
//
// An element that lies within the range of its block is at most half a step
// from where it was. The range of Q4_0 is d*[-8,7], of Q5_0 d*[-16,15], of Q8_0
// d*[-127,127] as written here (a reader accepts -128), of Q4_1 m+d*[0,15] and
// of Q5_1 m+d*[0,31].

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[18:] {
		d := f16at(src)
		y, codes := (*[QK]float32)(dst), (*[16]byte)(src[2:])
		for j, c := range codes {
			y[j] = d * float32(int(c&15)-8)
			y[j+16] = d * float32(int(c>>4)-8)
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[20:] {
		d, m := f16at(src), f16at(src[2:])
		y, codes := (*[QK]float32)(dst), (*[16]byte)(src[4:])
		for j, c := range codes {
			y[j] = float32(d*float32(c&15)) + m
			y[j+16] = float32(d*float32(c>>4)) + m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[22:] {
		d, high := f16at(src), binary.LittleEndian.Uint32(src[2:])
		y, codes := (*[QK]float32)(dst), (*[16]byte)(src[6:])
		for j, c := range codes {
			y[j] = d * float32(int(uint32(c&15)|high>>j&1<<4)-16)
			y[j+16] = d * float32(int(uint32(c>>4)|high>>(j+16)&1<<4)-16)
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[24:] {
		d, m, high := f16at(src), f16at(src[2:]), binary.LittleEndian.Uint32(src[4:])
		y, codes := (*[QK]float32)(dst), (*[16]byte)(src[8:])
		for j, c := range codes {
			y[j] = float32(d*float32(uint32(c&15)|high>>j&1<<4)) + m
			y[j+16] = float32(d*float32(uint32(c>>4)|high>>(j+16)&1<<4)) + m
		}
	}
}

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= QK; dst, src = dst[QK:], src[34:] {
		d := f16at(src)
		y, codes := (*[QK]float32)(dst), (*[QK]byte)(src[2:])
		for j, c := range codes {
			y[j] = d * float32(int8(c))
		}
	}
}
