package tensor

import "encoding/binary"

// Q6_K: 16 groups of 16 elements share a super-block of 256.
//
//	Q6_K (210 bytes)
//	  0  low[128]     lower 4 bits of the codes
//	128  high[64]     upper 2 bits
//	192  s int8[16]   scale of group g
//	208  d            binary16
//	 y = (d*s)*(q-32)            step |d*s|
//
// Element e, with half h = e/128, quarter k = e%128/32 and l = e%32:
//
//	low bits   low[64h + 32(k%2) + l], bits 0-3 for k < 2, bits 4-7 for k >= 2
//	high bits  high[32h + l], at bit 2k
//
// An element of a group lies in d*s*[-32,31].

func decodeQ6K(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[210:] {
		d := f16at(src[208:])
		for g := range 16 {
			scale := d * float32(int8(src[192+g]))
			h, k, l0 := g/8, g%8/2, 16*(g%2)
			low, shift := (*[16]byte)(src[64*h+32*(k%2)+l0:]), k/2*4
			high := (*[16]byte)(src[128+32*h+l0:])
			y := (*[16]float32)(dst[16*g:])
			for l, c := range low {
				q := c>>shift&15 | high[l]>>(2*k)&3<<4
				y[l] = scale * float32(int(q)-32)
			}
		}
	}
}

func encodeQ6K(dst []byte, x, w []float64) {
	b := fitSuperScale(x, w, -32, 31)
	clear(dst)
	binary.LittleEndian.PutUint16(dst[208:], b.d)
	d := float64(F16ToF32(b.d))
	for g, s := range b.s {
		dst[192+g] = byte(int8(s))
		inverse := invert(d * float64(s))
		h, k, l0 := g/8, g%8/2, 16*(g%2)
		low, high := dst[64*h+32*(k%2)+l0:], dst[128+32*h+l0:]
		for l, v := range x[16*g : 16*g+16] {
			q := byte(int(nearest(float64(v*inverse), -32, 31)) + 32)
			low[l] |= q & 15 << (k / 2 * 4)
			high[l] |= q >> 4 << (2 * k)
		}
	}
}
