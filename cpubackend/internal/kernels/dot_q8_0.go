package kernels

// A Q8_0 block is 34 bytes: scale d (F16), 32 int8; w = d*q.
func unpackQ8_0(dst []group, src []byte) {
	for i := range dst {
		b := src[34*i : 34*i+34]
		dst[i].both(f16(b), 0)
		for j, q := range (*[32]byte)(b[2:]) {
			dst[i].q[j] = int8(q)
		}
	}
}
