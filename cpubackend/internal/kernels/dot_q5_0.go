package kernels

import "encoding/binary"

// A Q5_0 block is 22 bytes: scale d (F16), the fifth bits (uint32), 16 bytes of
// nibbles; w = d*(q-16).
func unpackQ5_0(dst []group, src []byte) {
	for i := range dst {
		b := src[22*i : 22*i+22]
		dst[i].both(f16(b), 0)
		dst[i].nibbles((*[16]byte)(b[6:]), 16)
		dst[i].fifth(binary.LittleEndian.Uint32(b[2:]))
	}
}
