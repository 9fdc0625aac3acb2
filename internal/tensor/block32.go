package tensor

import (
	"encoding/binary"
	"math"
)

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

func encodeQ4_0(dst []byte, x, w []float64) {
	var codes [QK]byte
	binary.LittleEndian.PutUint16(dst, encodeSymmetric(&codes, x, w, -8, 7))
	packNibbles(dst[2:], &codes)
}

func encodeQ4_1(dst []byte, x, w []float64) {
	var codes [QK]byte
	d, m := encodeAffine(&codes, x, w, 15)
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	packNibbles(dst[4:], &codes)
}

func encodeQ5_0(dst []byte, x, w []float64) {
	var codes [QK]byte
	binary.LittleEndian.PutUint16(dst, encodeSymmetric(&codes, x, w, -16, 15))
	binary.LittleEndian.PutUint32(dst[2:], fifthBits(&codes))
	packNibbles(dst[6:], &codes)
}

func encodeQ5_1(dst []byte, x, w []float64) {
	var codes [QK]byte
	d, m := encodeAffine(&codes, x, w, 31)
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	binary.LittleEndian.PutUint32(dst[4:], fifthBits(&codes))
	packNibbles(dst[8:], &codes)
}

// encodeQ8_0 leaves code -128 out, so that kernels may negate codes in 8 bits.
func encodeQ8_0(dst []byte, x, w []float64) {
	var codes [QK]byte
	binary.LittleEndian.PutUint16(dst, encodeSymmetric(&codes, x, w, -127, 127))
	for i, c := range codes {
		dst[2+i] = c - 127
	}
}

// encodeSymmetric returns the scale as binary16 and the codes counted from lo. Of
// the numbers around the real scale it takes the one with the least error.
func encodeSymmetric(codes *[QK]byte, x, w []float64, lo, hi int) uint16 {
	middle, _ := roundF16(symmetric(x, w, lo, hi))
	bits, best := middle, math.Inf(-1)
	for _, h := range neighbours(middle) {
		d := float64(F16ToF32(h))
		xq, qq := correlate(x, w, invert(d), lo, hi)
		if gain := float64(2*d*xq) - float64(d*float64(d*qq)); gain > best {
			bits, best = h, gain
		}
	}
	inverse := invert(float64(F16ToF32(bits)))
	for i, v := range x {
		codes[i] = byte(int(nearest(float64(v*inverse), float64(lo), float64(hi))) - lo)
	}
	return bits
}

// encodeAffine returns scale and minimum as binary16, and the codes. A minimum
// that is large beside the range is coarse as a binary16 number: the scale that
// reaches the largest element from there is tried too.
func encodeAffine(codes *[QK]byte, x, w []float64, hi int) (dbits, mbits uint16) {
	f := newLine(x, w, hi, math.Inf(1))
	d, m := f.fit()
	nearestM, _ := roundF16(m)
	best := math.Inf(-1)
	for _, mb := range neighbours(nearestM) {
		low := float64(F16ToF32(mb))
		scale, _ := roundF16(d)
		reach, _ := roundF16(max(f.most-low, 0) / float64(hi))
		for _, db := range [...]uint16{scale, scale + 1, reach} {
			step := float64(F16ToF32(db))
			if gain := f.gain(f.round(step, low), step, low); gain > best && db < 0x7c00 {
				dbits, mbits, best = db, mb, gain
			}
		}
	}
	inverse, low := invert(float64(F16ToF32(dbits))), float64(F16ToF32(mbits))
	for i, v := range x {
		codes[i] = byte(nearest(float64((v-low)*inverse), 0, float64(hi)))
	}
	return dbits, mbits
}

// neighbours are the binary16 numbers of h's sign one below it in magnitude, h,
// and one above, as far as they are finite.
func neighbours(h uint16) [3]uint16 {
	below, above := h, h
	if h&0x7fff > 0 {
		below--
	}
	if h&0x7fff < 0x7bff {
		above++
	}
	return [3]uint16{h, below, above}
}

// packNibbles writes the lower four bits of the codes.
func packNibbles(dst []byte, codes *[QK]byte) {
	for j := range 16 {
		dst[j] = codes[j]&15 | codes[j+16]<<4
	}
}

// fifthBits collects bit 4 of the codes.
func fifthBits(codes *[QK]byte) (high uint32) {
	for i, c := range codes {
		high |= uint32(c>>4&1) << i
	}
	return high
}
