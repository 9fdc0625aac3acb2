package emu

import "math"

// fma32 is a*b + c rounded once. The product of two float32 is exact in float64;
// the sum is not, and rounding it again to float32 goes wrong only where the first
// rounding landed on a tie of the second (or where float32 is subnormal and its
// ties lie elsewhere). There the sum is first made odd, as Boldo and Melquiond
// describe ("Emulation of FMA and correctly rounded sums", 2008).
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	u := math.Float64bits(s)
	if u&0x1FFFFFFF == 0x10000000 || u>>52&0x7FF < 1023-126 {
		return float32(sumOdd(p, float64(c)))
	}
	return float32(s)
}

// sumOdd is x + y rounded to odd: exact, or the neighbour with the last bit set, so
// that any rounding to a shorter format after it is as if it were the first.
func sumOdd(x, y float64) float64 {
	s := x + y
	if s-s != 0 { // infinite or NaN
		return s
	}
	v := s - x
	if err := (x - (s - v)) + (y - v); err != 0 {
		if u := math.Float64bits(s); u&1 == 0 {
			if (err > 0) == (s > 0) {
				return math.Float64frombits(u + 1)
			}
			return math.Float64frombits(u - 1)
		}
	}
	return s
}

// toOdd rounds s to float32, to odd.
func toOdd(s float64) float32 {
	f := float32(s)
	if g := float64(f); g != s && s == s {
		if u := math.Float32bits(f); u&1 == 0 {
			if math.Abs(s) > math.Abs(g) {
				u++
			} else {
				u--
			}
			return math.Float32frombits(u)
		}
	}
	return f
}

// halfTo32 is the value of a binary16.
func halfTo32(h uint32) float32 {
	if h&0x7C00 == 0x7C00 {
		return math.Float32frombits((h&0x8000)<<16 | 0x7F800000 | (h&0x3FF)<<13)
	}
	return math.Float32frombits((h&0x8000)<<16|(h&0x7FFF)<<13) * 0x1p112
}

// halfFrom32 rounds to the nearest binary16, ties to even.
func halfFrom32(f float32) uint32 {
	u := math.Float32bits(f)
	s := u >> 16 & 0x8000
	u &= 0x7FFFFFFF
	switch {
	case u > 0x7F800000:
		return 0x7FFF
	case u >= 0x477FF000: // 65520 and above
		return s | 0x7C00
	case u < 0x38800000: // below 2^-14: 0.5 has the last place of a subnormal half
		return s | (math.Float32bits(math.Float32frombits(u)+0.5) - 0x3F000000)
	}
	u += 0xFFF + u>>13&1
	return s | (u-112<<23)>>13
}

func bfTo32(h uint32) float32 { return math.Float32frombits(h << 16) }

// bfFrom32 rounds to the nearest bfloat16, ties to even.
func bfFrom32(f float32) uint32 {
	u := math.Float32bits(f)
	if u&0x7FFFFFFF > 0x7F800000 {
		return 0x7FFF
	}
	return (u + 0x7FFF + u>>16&1) >> 16
}

// fmaHalf is a*b + c of halves rounded once to a half.
func fmaHalf(a, b, c uint32) uint32 {
	return halfFrom32(toOdd(sumOdd(float64(halfTo32(a))*float64(halfTo32(b)), float64(halfTo32(c)))))
}

func fmaBF(a, b, c uint32) uint32 {
	return bfFrom32(toOdd(sumOdd(float64(bfTo32(a))*float64(bfTo32(b)), float64(bfTo32(c)))))
}

// The sum, difference and product of two halves are exact enough in float32 that
// rounding again changes nothing (24 >= 2*11+2); bfloat16 needs more care only
// where float32 underflows, which rounding to odd covers.

func addHalf(a, b uint32) uint32 { return halfFrom32(halfTo32(a) + halfTo32(b)) }
func subHalf(a, b uint32) uint32 { return halfFrom32(halfTo32(a) - halfTo32(b)) }
func mulHalf(a, b uint32) uint32 { return halfFrom32(halfTo32(a) * halfTo32(b)) }
func addBF(a, b uint32) uint32 {
	return bfFrom32(toOdd(sumOdd(float64(bfTo32(a)), float64(bfTo32(b)))))
}
func subBF(a, b uint32) uint32 {
	return bfFrom32(toOdd(sumOdd(float64(bfTo32(a)), -float64(bfTo32(b)))))
}
func mulBF(a, b uint32) uint32 { return bfFrom32(toOdd(float64(bfTo32(a)) * float64(bfTo32(b)))) }

// min32 and max32: a NaN loses, and -0 is less than +0.
func min32(a, b float32) float32 {
	switch {
	case a != a:
		return b
	case b != b || a < b:
		return a
	case a == b && math.Signbit(float64(a)):
		return a
	}
	return b
}

func max32(a, b float32) float32 {
	switch {
	case a != a:
		return b
	case b != b || a > b:
		return a
	case a == b && !math.Signbit(float64(a)):
		return a
	}
	return b
}

func minHalf(a, b uint32) uint32 { return halfFrom32(min32(halfTo32(a), halfTo32(b))) }
func maxHalf(a, b uint32) uint32 { return halfFrom32(max32(halfTo32(a), halfTo32(b))) }
func minBF(a, b uint32) uint32   { return bfFrom32(min32(bfTo32(a), bfTo32(b))) }
func maxBF(a, b uint32) uint32   { return bfFrom32(max32(bfTo32(a), bfTo32(b))) }
