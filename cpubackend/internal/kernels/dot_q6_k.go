package kernels

// A Q6_K super-block is 210 bytes for 256 weights: 128 bytes of nibbles, 64
// bytes of upper two bits, 16 int8 scales of 16 weights each, d (F16);
// w = d*scale*(q-32). Weight 128h + 32j + l has its nibble in byte
// 64h + 32(j%2) + l, low for j < 2 else high, and its upper bits at bits 2j of
// byte 32h + l.
func unpackQ6K(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*210:]
		k := i % groupRun
		h, j := k/4, k%4
		low, high := (*[32]byte)(b[64*h+32*(j%2):]), (*[32]byte)(b[128+32*h:])
		g := &dst[i]
		for l, c := range low {
			g.q[l] = int8(c>>(j/2*4)&15|high[l]>>(2*j)&3<<4) - 32
		}
		d := f16(b[208:])
		for half := range 2 {
			g.d[half] = d * float32(int8(b[192+2*k+half]))
			g.m[half] = 0
		}
	}
}
