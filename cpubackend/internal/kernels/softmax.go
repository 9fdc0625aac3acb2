package kernels

import "math"

// Max returns the largest element, -Inf for none. NaNs may be passed over.
func Max(x []float32) float32 {
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	return best.max(x)
}

// ExpSum sets x = exp(x-max) in place and returns the sum. Each element is within
// 2e-7 of the exact value, relatively, and 0 where x-max < -87.33; the sum has
// the rounding of len(x) float32 additions in several lanes.
func ExpSum(x []float32, max float32) (sum float32) {
	if len(x) == 0 {
		return 0
	}
	return best.expSum(x, max)
}

func maxGeneric(x []float32) float32 {
	m := x[0]
	for _, v := range x[1:] {
		if v > m {
			m = v
		}
	}
	return m
}

func expSumGeneric(x []float32, max float32) (sum float32) {
	for i, v := range x {
		e := exp32(v - max)
		x[i] = e
		sum += e
	}
	return sum
}

// The exponential: x = n*ln2 + r with |r| <= ln2/2, exp(x) = 2^n * exp(r), exp(r)
// by a polynomial of degree 6 whose coefficients minimise the relative error (2e-9
// before rounding).
// ln2 comes in two parts so that n*expLn2High is exact.
const (
	expMin     = -87.33654 // below it the result is subnormal: 0 here
	expMax     = 88.72283  // above it the result is infinite
	expLog2E   = 1.44269504
	expLn2High = 0.693359375
	expLn2Low  = -2.12194440e-4
	expShift   = 1.5 * (1 << 23)
)

// expPoly are the coefficients of r^0 to r^6.
var expPoly = [7]float32{1, 1, 0.49999994, 0.1666643, 0.041668005, 0.008374196, 0.0013843607}

// exp32 is e^x with a relative error below 2e-7; NaN stays NaN.
func exp32(x float32) float32 {
	switch {
	case x < expMin:
		return 0
	case x > expMax:
		return float32(math.Inf(1))
	case x != x:
		return x
	}
	n := float32(x*expLog2E+expShift) - expShift
	r := float32(x-n*expLn2High) - n*expLn2Low
	p := expPoly[6]
	for i := 5; i >= 0; i-- {
		p = p*r + expPoly[i]
	}
	// 2^n in two steps, since n may be 128 where the product is still finite.
	half := int32(n) >> 1
	return p * pow2(half) * pow2(int32(n)-half)
}

// pow2 is 2^n for -126 <= n <= 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }
