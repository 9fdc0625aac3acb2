package tensor

import "math"

// Super-blocks store the scale (and minimum) of a group as a small integer times
// a binary16 number that all groups share. The fit goes
//
//  1. every group alone, with real numbers (fit.go);
//  2. the shared numbers such that the largest scale and minimum get the largest
//     integer;
//  3. every group again: of the integers next to its real scale and minimum, the
//     pair whose newly rounded codes have the least error - the codes make up
//     for much of what the rounding of the scale spoiled;
//  4. the shared numbers that are best for these integers and codes, a
//     least-squares solution over the whole super-block, and step 3 with them,
//     kept if that is better.

// maxF16 is the largest finite binary16 number.
const maxF16 = 65504

// roundF16 returns the binary16 number nearest to v, infinity excluded, and its
// value.
func roundF16(v float64) (bits uint16, value float64) {
	bits = F32ToF16(float32(min(max(v, -maxF16), maxF16)))
	return bits, float64(F16ToF32(bits))
}

// coverF16 is roundF16 of largest/n for largest >= 0, rounded up where n and a
// half times the nearest number would not reach it (in the coarse subnormals).
func coverF16(largest float64, n int) (bits uint16, value float64) {
	bits, value = roundF16(largest / float64(n))
	if float64(value*(float64(n)+0.5)) < largest && bits < 0x7bff {
		bits++
		value = float64(F16ToF32(bits))
	}
	return bits, value
}

// ratio is v/unit rounded and kept within lo..hi.
func ratio(v, unit float64, lo, hi int) int {
	return int(math.Floor(min(max(float64(v*invert(unit)), float64(lo)), float64(hi)) + 0.5))
}

// superLine is a fitted super-block of Q4_K or Q5_K: y = d*s*q - dmin*m.
type superLine struct {
	d, dmin uint16 // binary16
	s, m    [8]int // of a group, 0..63
	gain    float64
}

const maxScale = 63 // 6 bits

func fitSuperLine(x, w []float64, hi int) superLine {
	var groups [8]line
	var scale, min [8]float64
	var maxD, maxM float64
	for g := range groups {
		groups[g] = newLine(x[32*g:32*g+32], w[32*g:32*g+32], hi, 0)
		scale[g], min[g] = groups[g].fit()
		maxD, maxM = max(maxD, scale[g]), max(maxM, -min[g])
	}
	var b superLine
	var d, dmin float64
	b.d, d = coverF16(maxD, maxScale)
	b.dmin, dmin = coverF16(maxM, maxScale)
	for g := range groups {
		b.s[g], b.m[g] = ratio(scale[g], d, 0, maxScale), ratio(-min[g], dmin, 0, maxScale)
	}
	sums := b.refit(&groups)
	for range 2 {
		next, ok := b.share(&groups, &sums)
		if !ok {
			break
		}
		sums = next.refit(&groups)
		if next.gain <= b.gain {
			break
		}
		b = next
	}
	return b
}

// refit does step 3: it moves s and m of each group to the best neighbours, sets
// b.gain and returns the sums of the codes.
func (b *superLine) refit(groups *[8]line) (sums [8]codeSums) {
	d, dmin := float64(F16ToF32(b.d)), float64(F16ToF32(b.dmin))
	b.gain = 0
	for g := range groups {
		s0, m0, best := b.s[g], b.m[g], math.Inf(-1)
		for s := max(s0-1, 0); s <= min(s0+1, maxScale); s++ {
			for m := max(m0-1, 0); m <= min(m0+1, maxScale); m++ {
				step, low := d*float64(s), -dmin*float64(m)
				c := groups[g].round(step, low)
				if gain := groups[g].gain(c, step, low); gain > best {
					best, b.s[g], b.m[g], sums[g] = gain, s, m, c
				}
			}
		}
		b.gain += best
	}
	return sums
}

// share does step 4: d and dmin solve the normal equations
//
//	d*A - dmin*B = X     A = sum (s*q)^2   B = sum s*q*m   X = sum x*s*q
//	d*B - dmin*C = Y     C = sum m^2                       Y = sum x*m
//
// where every sum is weighted. ok is false if they lead nowhere new.
func (b *superLine) share(groups *[8]line, sums *[8]codeSums) (next superLine, ok bool) {
	var A, B, C, X, Y float64
	for g, c := range sums {
		s, m := float64(b.s[g]), float64(b.m[g])
		A += float64(s * s * c.wqq)
		B += float64(s * m * c.wq)
		C += float64(m * m * groups[g].sw)
		X += float64(s * c.wxq)
		Y += float64(m * groups[g].swx)
	}
	if A <= 0 {
		return next, false
	}
	d, dmin := X/A, 0.0
	if det := float64(A*C) - float64(B*B); C > 0 && det > 0 {
		d, dmin = (float64(X*C)-float64(Y*B))/det, (float64(X*B)-float64(Y*A))/det
	}
	if d <= 0 || dmin < 0 {
		return next, false
	}
	next = *b
	next.d, _ = roundF16(d)
	next.dmin, _ = roundF16(dmin)
	return next, next.d != b.d || next.dmin != b.dmin
}

// superScale is a fitted super-block of Q6_K: y = d*s*(q-32).
type superScale struct {
	d    uint16  // binary16
	s    [16]int // of a group, -127..127
	gain float64
}

func fitSuperScale(x, w []float64, lo, hi int) superScale {
	var scale [16]float64
	largest := 0.0
	for g := range scale {
		scale[g] = symmetric(x[16*g:16*g+16], w[16*g:16*g+16], lo, hi)
		largest = max(largest, math.Abs(scale[g]))
	}
	var b superScale
	var d float64
	b.d, d = coverF16(largest, 127)
	for g := range scale {
		b.s[g] = ratio(scale[g], d, -127, 127)
	}
	next := b.refit(x, w, lo, hi)
	for range 2 {
		d, last := next, b.d
		b.d, _ = roundF16(d)
		if b.d == last {
			break
		}
		trial := b
		next = trial.refit(x, w, lo, hi)
		if trial.gain <= b.gain {
			b.d = last
			break
		}
		b = trial
	}
	return b
}

// refit does step 3, sets b.gain and returns the best d for the codes (step 4).
func (b *superScale) refit(x, w []float64, lo, hi int) (shared float64) {
	d := float64(F16ToF32(b.d))
	var num, den float64
	b.gain = 0
	for g, s0 := range b.s {
		best, bestX, bestQ := math.Inf(-1), 0.0, 0.0
		for s := max(s0-1, -127); s <= min(s0+1, 127); s++ {
			step := d * float64(s)
			xq, qq := correlate(x[16*g:16*g+16], w[16*g:16*g+16], invert(step), lo, hi)
			if gain := float64(2*step*xq) - float64(step*float64(step*qq)); gain > best {
				best, bestX, bestQ, b.s[g] = gain, xq, qq, s
			}
		}
		s := float64(b.s[g])
		num += float64(s * bestX)
		den += float64(s * s * bestQ)
		b.gain += best
	}
	if den == 0 {
		return d
	}
	return num / den
}
