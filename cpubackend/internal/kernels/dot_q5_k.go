package kernels

// A Q5_K super-block is 176 bytes for 256 weights: head as in Q4_K, 32 bytes of
// fifth bits (bit k of byte l belongs to weight l of group k), nibbles as in
// Q4_K; w = d*scale*q - dmin*min.
func unpackQ5K(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*176:]
		k := i % groupRun
		dst[i].scaleMin(b, k)
		dst[i].halfBytes((*[32]byte)(b[48+k/2*32:]), k)
		for l, h := range (*[32]byte)(b[16:]) {
			dst[i].q[l] += int8(h >> k & 1 << 4)
		}
	}
}
