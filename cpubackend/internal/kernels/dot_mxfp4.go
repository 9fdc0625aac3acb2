package kernels

// valuesMXFP4 are the E2M1 values of the 16 codes, doubled to be integers.
var valuesMXFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// An MXFP4 block is 17 bytes: exponent e, 16 bytes of nibbles;
// w = 2^(e-127) * E2M1(q).
func unpackMXFP4(dst []group, src []byte) {
	for i := range dst {
		b := src[17*i : 17*i+17]
		dst[i].both(halfScaleMXFP4(b[0]), 0)
		dst[i].values((*[16]byte)(b[1:]), &valuesMXFP4)
	}
}

// halfScaleMXFP4 is 2^(e-128), which is subnormal for e < 2.
func halfScaleMXFP4(e byte) float32 {
	if e < 2 {
		return f32bits(0x200000 << e)
	}
	return f32bits(uint32(e-1) << 23)
}
