package tensor

import "encoding/binary"

// Q4_K and Q5_K: 8 groups of 32 elements share a super-block of 256. d and dmin
// are binary16; every group has a scale s and a minimum m of 6 bits.
//
//	Q4_K (144 bytes)   0 d   2 dmin   4 scales[12]   16 codes[128]
//	Q5_K (176 bytes)   0 d   2 dmin   4 scales[12]   16 high[32]    48 codes[128]
//	 y = (d*s)*q - dmin*m        step d*s
//
// codes[32*(g/2) + l]: bits 0-3 are element l of the even group g, bits 4-7 of
// the odd one after it. high[l]: bit g is the fifth bit (worth 16) of element l
// of group g. scales, for g in 0..3:
//
//	byte g     bits 0-5 s[g]      bits 6-7 upper two bits of s[g+4]
//	byte g+4   bits 0-5 m[g]      bits 6-7 upper two bits of m[g+4]
//	byte g+8   bits 0-3 lower four bits of s[g+4]    bits 4-7 of m[g+4]
//
// An element of a group lies in -dmin*m + d*s*[0,15] (Q5_K: [0,31]).

// scaleMin unpacks the scale and minimum of group g.
func scaleMin(scales *[12]byte, g int) (s, m byte) {
	if g < 4 {
		return scales[g] & 63, scales[g+4] & 63
	}
	return scales[g+4]&15 | scales[g-4]>>6<<4, scales[g+4]>>4 | scales[g]>>6<<4
}

func decodeQ4K(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[144:] {
		d, dmin, scales := f16at(src), f16at(src[2:]), (*[12]byte)(src[4:])
		for g := range 8 {
			s, m := scaleMin(scales, g)
			scale, min := d*float32(s), dmin*float32(m)
			codes, shift := (*[32]byte)(src[16+32*(g/2):]), 4*(g%2)
			y := (*[32]float32)(dst[32*g:])
			for l, c := range codes {
				y[l] = float32(scale*float32(c>>shift&15)) - min
			}
		}
	}
}

func decodeQ5K(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[176:] {
		d, dmin, scales := f16at(src), f16at(src[2:]), (*[12]byte)(src[4:])
		high := (*[32]byte)(src[16:])
		for g := range 8 {
			s, m := scaleMin(scales, g)
			scale, min := d*float32(s), dmin*float32(m)
			codes, shift := (*[32]byte)(src[48+32*(g/2):]), 4*(g%2)
			y := (*[32]float32)(dst[32*g:])
			for l, c := range codes {
				q := c>>shift&15 | high[l]>>g&1<<4
				y[l] = float32(scale*float32(q)) - min
			}
		}
	}
}

// putScaleMin packs the scales and minima of all groups.
func putScaleMin(scales []byte, s, m *[8]int) {
	for g := range 4 {
		scales[g] = byte(s[g] | s[g+4]>>4<<6)
		scales[g+4] = byte(m[g] | m[g+4]>>4<<6)
		scales[g+8] = byte(s[g+4]&15 | m[g+4]&15<<4)
	}
}

func encodeQ4K(dst []byte, x, w []float64) { encodeSuperLine(dst[:16], nil, dst[16:], x, w, 15) }

func encodeQ5K(dst []byte, x, w []float64) { encodeSuperLine(dst[:16], dst[16:48], dst[48:], x, w, 31) }

// encodeSuperLine writes d, dmin and scales to head, the fifth bits to high if
// the format has them, and the codes.
func encodeSuperLine(head, high, codes []byte, x, w []float64, hi int) {
	b := fitSuperLine(x, w, hi)
	binary.LittleEndian.PutUint16(head, b.d)
	binary.LittleEndian.PutUint16(head[2:], b.dmin)
	putScaleMin(head[4:], &b.s, &b.m)
	clear(high)
	clear(codes)
	d, dmin := float64(F16ToF32(b.d)), float64(F16ToF32(b.dmin))
	for g := range 8 {
		inverse, low := invert(d*float64(b.s[g])), -dmin*float64(b.m[g])
		for l, v := range x[32*g : 32*g+32] {
			q := byte(nearest(float64((v-low)*inverse), 0, float64(hi)))
			codes[32*(g/2)+l] |= q & 15 << (4 * (g % 2))
			if high != nil {
				high[l] |= q >> 4 << g
			}
		}
	}
}
