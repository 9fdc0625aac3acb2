package kernels

import "encoding/binary"

// A Q5_1 block is 24 bytes: scale d, minimum m (F16), the fifth bits (uint32),
// 16 bytes of nibbles; w = d*q + m.
func unpackQ5_1(dst []group, src []byte) {
	for i := range dst {
		b := src[24*i : 24*i+24]
		dst[i].both(f16(b), f16(b[2:]))
		dst[i].nibbles((*[16]byte)(b[8:]), 0)
		dst[i].fifth(binary.LittleEndian.Uint32(b[4:]))
	}
}
