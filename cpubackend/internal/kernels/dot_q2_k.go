package kernels

// A Q2_K super-block is 84 bytes for 256 weights: 16 bytes whose low nibbles are
// scales and high nibbles minima of 16 weights each, 64 bytes of 2-bit codes,
// then d and dmin (F16); w = d*scale*q - dmin*min. The codes of weights
// 128h + 32j + l are bits 2j, 2j+1 of byte 32h + l.
func unpackQ2K(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*84:]
		k := i % groupRun
		codes, shift := (*[32]byte)(b[16+k/4*32:]), 2*(k%4)
		g := &dst[i]
		for l, c := range codes {
			g.q[l] = int8(c >> shift & 3)
		}
		d, dmin := f16(b[80:]), f16(b[82:])
		for h := range 2 {
			s := b[2*k+h]
			g.d[h], g.m[h] = d*float32(s&15), -dmin*float32(s>>4)
		}
	}
}
