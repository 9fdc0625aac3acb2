package kernels

// A Q4_K super-block is 144 bytes for 256 weights: d and dmin (F16), 12 bytes of
// 6-bit scales and minima of 32 weights each, 128 bytes of nibbles: bytes 32j to
// 32j+31 hold groups 2j (low) and 2j+1 (high); w = d*scale*q - dmin*min.
func unpackQ4K(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*144:]
		k := i % groupRun
		dst[i].scaleMin(b, k)
		dst[i].halfBytes((*[32]byte)(b[16+k/2*32:]), k)
	}
}

// halfBytes takes the low nibbles of 32 bytes for an even k, else the high ones.
func (g *group) halfBytes(codes *[32]byte, k int) {
	shift := 4 * (k % 2)
	for l, c := range codes {
		g.q[l] = int8(c >> shift & 15)
	}
}

// scaleMin reads scale and minimum k of the head of a Q4_K or Q5_K super-block.
func (g *group) scaleMin(b []byte, k int) {
	scale, least := scaleMinK((*[12]byte)(b[4:]), k)
	g.both(f16(b)*float32(scale), -f16(b[2:])*float32(least))
}

// scaleMinK unpacks scale and minimum k: of the 12 bytes s, scales 0-3 are the low
// six bits of s[k], minima 0-3 those of s[k+4]; 4-7 have their low bits in the
// nibbles of s[k+4] and their two high bits in the top of s[k-4] and s[k].
func scaleMinK(s *[12]byte, k int) (scale, least byte) {
	if k < 4 {
		return s[k] & 63, s[k+4] & 63
	}
	return s[k+4]&15 | s[k-4]>>6<<4, s[k+4]>>4 | s[k]>>6<<4
}
