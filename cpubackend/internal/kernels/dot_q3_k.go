package kernels

// A Q3_K super-block is 110 bytes for 256 weights: 32 bytes of third bits, 64
// bytes of 2-bit codes, 12 bytes of 6-bit scales of 16 weights each, d (F16);
// w = d*(scale-32)*q with q in -4..3. The codes of weights 128h + 32j + l are
// bits 2j, 2j+1 of byte 32h + l, the third bit is bit 4h+j of byte l, where a
// set bit adds 4.
func unpackQ3K(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*110:]
		k := i % groupRun
		third, codes, shift := (*[32]byte)(b), (*[32]byte)(b[32+k/4*32:]), 2*(k%4)
		g := &dst[i]
		for l, c := range codes {
			g.q[l] = int8(c>>shift&3) + int8(third[l]>>k&1<<2) - 4
		}
		d, scales := f16(b[108:]), (*[12]byte)(b[96:])
		for h := range 2 {
			g.d[h] = d * float32(scaleQ3K(scales, 2*k+h)-32)
			g.m[h] = 0
		}
	}
}

// scaleQ3K is scale j of 16: four low bits are nibble j/8 of byte j%8, two high
// bits are bits 2*(j/4) of byte 8 + j%4.
func scaleQ3K(s *[12]byte, j int) int {
	return int(s[j%8]>>(j/8*4)&15 | s[8+j%4]>>(j/4*2)&3<<4)
}
