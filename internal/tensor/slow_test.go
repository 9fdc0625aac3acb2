package tensor

import (
	"encoding/binary"
	"math"
)

// slowElement reads element e of one block, a second reading of the published
// layouts that shares nothing with the decoders: it addresses single bits where
// they walk groups of bytes, and converts binary16 by arithmetic in float64.
func slowElement(t DType, b []byte, e int) float32 {
	half := func(off int) float32 { return slowF16(binary.LittleEndian.Uint16(b[off:])) }
	nibble := func(off, i int) int { return bits(b[off:], 4*(2*(i%16)+i/16), 4) } // blocks of 32
	switch t {
	case F32:
		return math.Float32frombits(uint32(bits(b, 0, 32)))
	case F16:
		return half(0)
	case BF16:
		return math.Float32frombits(uint32(bits(b, 0, 16)) << 16)
	case Q4_0:
		return half(0) * float32(nibble(2, e)-8)
	case Q4_1:
		return muladd(half(0), nibble(4, e), half(2))
	case Q5_0:
		return half(0) * float32(nibble(6, e)+16*bits(b[2:], e, 1)-16)
	case Q5_1:
		return muladd(half(0), nibble(8, e)+16*bits(b[4:], e, 1), half(2))
	case Q8_0:
		return half(0) * float32(int8(b[2+e]))
	case IQ4_NL:
		return half(0) * slowCodebook(nibble(2, e))
	case MXFP4:
		return float32(math.Ldexp(1, int(b[0])-127)) * slowE2M1(nibble(1, e))
	}
	return slowSuper(t, b, e, half)
}

func slowSuper(t DType, b []byte, e int, half func(int) float32) float32 {
	h, k, l := e/128, e/32%4, e%32 // half, quarter of it, lane
	switch t {
	case Q2_K:
		q := bits(b[16:], 8*(32*h+l)+2*k, 2)
		s, m := bits(b, 8*(e/16), 4), bits(b, 8*(e/16)+4, 4)
		return muladd(half(80)*float32(s), q, -(half(82) * float32(m)))
	case Q3_K:
		g := e / 16
		s := bits(b[96:], 8*(g%8)+4*(g/8), 4) + 16*bits(b[96:], 8*(8+g%4)+2*(g/4), 2)
		q := bits(b[32:], 8*(32*h+l)+2*k, 2) + 4*bits(b, 8*l+4*h+k, 1)
		return half(108) * float32(s-32) * float32(q-4)
	case Q4_K, Q5_K:
		g, codes := e/32, 16
		q := 0
		if t == Q5_K {
			codes = 48
			q = 16 * bits(b[16:], 8*l+g, 1)
		}
		q += bits(b[codes:], 8*(32*(g/2)+l)+4*(g%2), 4)
		s, m := bits(b[4:], 8*g, 6), bits(b[8:], 8*g, 6)
		if g >= 4 {
			s = bits(b[12:], 8*(g-4), 4) + 16*bits(b[4:], 8*(g-4)+6, 2)
			m = bits(b[12:], 8*(g-4)+4, 4) + 16*bits(b[8:], 8*(g-4)+6, 2)
		}
		return muladd(half(0)*float32(s), q, -(half(2) * float32(m)))
	case Q6_K:
		q := bits(b, 8*(64*h+32*(k%2)+l)+4*(k/2), 4) + 16*bits(b[128:], 8*(32*h+l)+2*k, 2)
		return half(208) * float32(int8(b[192+e/16])) * float32(q-32)
	case IQ4_XS:
		g := e / 32
		s := bits(b[4:], 4*g, 4) + 16*bits(b[2:], 2*g, 2)
		q := bits(b[8+16*g:], 8*(l%16)+4*(l/16), 4)
		return half(0) * float32(s-32) * slowCodebook(q)
	}
	panic(t)
}

// bits reads n bits from bit i on, counting from the lowest bit of the first byte.
func bits(b []byte, i, n int) int {
	v := 0
	for k := range n {
		v |= int(b[(i+k)/8]>>((i+k)%8)&1) << k
	}
	return v
}

// muladd rounds the product before the sum.
func muladd(a float32, q int, c float32) float32 {
	p := float64(a) * float64(q) // exact: 24 and at most 5 bits
	return float32(p) + c
}

func slowF16(h uint16) float32 {
	exp, frac := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(frac, -24)
	switch {
	case exp == 31 && frac != 0:
		return float32(math.NaN())
	case exp == 31:
		v = math.Inf(1)
	case exp > 0:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 == 1 {
		v = -v
	}
	return float32(v)
}

// slowE2M1 decodes a float of 1 sign, 2 exponent (bias 1) and 1 fraction bit.
func slowE2M1(q int) float32 {
	exp, frac := q>>1&3, float64(q&1)
	v := frac / 2
	if exp > 0 {
		v = math.Ldexp(1+frac/2, exp-1)
	}
	if q >= 8 {
		v = 0 - v
	}
	return float32(v)
}

// slowCodebook sums the distances between the values of IQ4_NL.
func slowCodebook(q int) float32 {
	v := -127
	for _, step := range []int{23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24}[:q] {
		v += step
	}
	return float32(v)
}
