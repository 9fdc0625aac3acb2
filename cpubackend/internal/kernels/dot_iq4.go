package kernels

import "encoding/binary"

// valuesIQ4 are what the 16 codes of the IQ4 formats stand for.
var valuesIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// An IQ4_NL block is 18 bytes: scale d (F16), 16 bytes of nibbles;
// w = d*values[q].
func unpackIQ4NL(dst []group, src []byte) {
	for i := range dst {
		b := src[18*i : 18*i+18]
		dst[i].both(f16(b), 0)
		dst[i].values((*[16]byte)(b[2:]), &valuesIQ4)
	}
}

// An IQ4_XS super-block is 136 bytes for 256 weights: d (F16), the upper two bits
// of eight 6-bit scales (uint16), their nibbles (4 bytes), 16 bytes of nibbles
// for each 32 weights; w = d*(scale-32)*values[q].
func unpackIQ4XS(dst []group, src []byte) {
	for i := range dst {
		b := src[i/groupRun*136:]
		k := i % groupRun
		dst[i].both(f16(b)*float32(scaleIQ4XS(b, k)), 0)
		dst[i].values((*[16]byte)(b[8+16*k:]), &valuesIQ4)
	}
}

// scaleIQ4XS is scale k of super-block b, less 32.
func scaleIQ4XS(b []byte, k int) int {
	high := binary.LittleEndian.Uint16(b[2:])
	return int(b[4+k/2]>>(k%2*4)&15|byte(high>>(2*k)&3<<4)) - 32
}
