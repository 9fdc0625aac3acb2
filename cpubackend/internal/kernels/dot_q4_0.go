package kernels

// A Q4_0 block is 18 bytes: scale d (F16), 16 bytes of nibbles; w = d*(q-8).
func unpackQ4_0(dst []group, src []byte) {
	for i := range dst {
		b := src[18*i : 18*i+18]
		dst[i].both(f16(b), 0)
		dst[i].nibbles((*[16]byte)(b[2:]), 8)
	}
}
