package tensor

// Q2_K and Q3_K: 16 groups of 16 elements share a super-block of 256. d and
// dmin are binary16.
//
//	Q2_K (84 bytes)
//	  0  scales[16]   byte g: bits 0-3 scale s, bits 4-7 minimum m of group g
//	 16  codes[64]    2 bits an element, see below
//	 80  d            82  dmin
//	 y = (d*s)*q - dmin*m        step d*s
//
//	Q3_K (110 bytes)
//	  0  high[32]     bit e/32 of high[e%32] is the third bit of element e
//	 32  codes[64]    lower 2 bits of an element, see below
//	 96  scales[12]   6 bits a group: the lower 4 of group g are nibble g/8 of
//	                  scales[g%8], the upper 2 are bits 2(g/4).. of scales[8+g%4]
//	108  d
//	 y = (d*(s-32))*(q-4)        step |d*(s-32)|
//
// Codes: element e of half h = e/128 is in codes[32h + e%32], at bit
// 2*(e%128/32). A Q2_K element lies in -dmin*m + d*s*[0,3], a Q3_K element in
// d*(s-32)*[-4,3].

func decodeQ2K(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[84:] {
		d, dmin := f16at(src[80:]), f16at(src[82:])
		for g, sm := range src[:16] {
			scale, min := d*float32(sm&15), dmin*float32(sm>>4)
			half, shift := g/8, 2*(g%8/2)
			codes := (*[16]byte)(src[16+32*half+16*(g%2):])
			y := (*[16]float32)(dst[16*g:])
			for l, c := range codes {
				y[l] = float32(scale*float32(c>>shift&3)) - min
			}
		}
	}
}

func decodeQ3K(dst []float32, src []byte) {
	for ; len(dst) >= QKK; dst, src = dst[QKK:], src[110:] {
		d, scales := f16at(src[108:]), src[96:108]
		for g := range 16 {
			s := scales[g%8]>>(g/8*4)&15 | scales[8+g%4]>>(g/4*2)&3<<4
			scale := d * float32(int(s)-32)
			half, shift := g/8, 2*(g%8/2)
			codes := (*[16]byte)(src[32+32*half+16*(g%2):])
			high := (*[16]byte)(src[16*(g%2):])
			y := (*[16]float32)(dst[16*g:])
			for l, c := range codes {
				q := c>>shift&3 | high[l]>>(g/2)&1<<2
				y[l] = scale * float32(int(q)-4)
			}
		}
	}
}
