package kernels

// A Q4_1 block is 20 bytes: scale d, minimum m (F16), 16 bytes of nibbles;
// w = d*q + m.
func unpackQ4_1(dst []group, src []byte) {
	for i := range dst {
		b := src[20*i : 20*i+20]
		dst[i].both(f16(b), f16(b[2:]))
		dst[i].nibbles((*[16]byte)(b[4:]), 0)
	}
}
