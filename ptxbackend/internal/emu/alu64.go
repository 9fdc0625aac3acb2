package emu

import (
	"math"
	"math/bits"
)

func each1w(f func(a uint64) uint64) aluWide {
	return func(d, a, _, _ *wide) {
		for l := range d {
			d[l] = f(a[l])
		}
	}
}

func each2w(f func(a, b uint64) uint64) aluWide {
	return func(d, a, b, _ *wide) {
		for l := range d {
			d[l] = f(a[l], b[l])
		}
	}
}

func addWide(d, a, b, _ *wide) {
	for l := range d {
		d[l] = a[l] + b[l]
	}
}

// wideOps are the operations on 64-bit registers.
var wideOps = map[string]aluWide{
	"add.u64": addWide, "add.s64": addWide,
	"sub.u64": each2w(func(a, b uint64) uint64 { return a - b }), "sub.s64": each2w(func(a, b uint64) uint64 { return a - b }),
	"mul.lo.u64": each2w(func(a, b uint64) uint64 { return a * b }), "mul.lo.s64": each2w(func(a, b uint64) uint64 { return a * b }),
	"mul.hi.u64": each2w(func(a, b uint64) uint64 { h, _ := bits.Mul64(a, b); return h }),
	"mad.lo.u64": madWide, "mad.lo.s64": madWide,
	"div.u64": each2w(func(a, b uint64) uint64 {
		if b == 0 {
			return ^uint64(0)
		}
		return a / b
	}),
	"div.s64": each2w(func(a, b uint64) uint64 {
		if b == 0 {
			return ^uint64(0)
		}
		return uint64(int64(a) / int64(b))
	}),
	"rem.u64": each2w(func(a, b uint64) uint64 {
		if b == 0 {
			return a
		}
		return a % b
	}),
	"rem.s64": each2w(func(a, b uint64) uint64 {
		if b == 0 {
			return a
		}
		return uint64(int64(a) % int64(b))
	}),
	"min.u64": each2w(func(a, b uint64) uint64 { return min(a, b) }),
	"max.u64": each2w(func(a, b uint64) uint64 { return max(a, b) }),
	"min.s64": each2w(func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) }),
	"max.s64": each2w(func(a, b uint64) uint64 { return uint64(max(int64(a), int64(b))) }),
	"neg.s64": each1w(func(a uint64) uint64 { return -a }),
	"abs.s64": each1w(func(a uint64) uint64 { return uint64(max(int64(a), -int64(a))) }),
	"and.b64": each2w(func(a, b uint64) uint64 { return a & b }),
	"or.b64":  each2w(func(a, b uint64) uint64 { return a | b }),
	"xor.b64": each2w(func(a, b uint64) uint64 { return a ^ b }),
	"not.b64": each1w(func(a uint64) uint64 { return ^a }),
	"add.f64": each2w(func(a, b uint64) uint64 { return bits64(f64(a) + f64(b)) }),
	"sub.f64": each2w(func(a, b uint64) uint64 { return bits64(f64(a) - f64(b)) }),
	"mul.f64": each2w(func(a, b uint64) uint64 { return bits64(f64(a) * f64(b)) }),
	"div.f64": each2w(func(a, b uint64) uint64 { return bits64(f64(a) / f64(b)) }),
	"min.f64": each2w(func(a, b uint64) uint64 { return pick64(a, b, false) }),
	"max.f64": each2w(func(a, b uint64) uint64 { return pick64(a, b, true) }),
	"neg.f64": each1w(func(a uint64) uint64 { return a ^ 1<<63 }),
	"abs.f64": each1w(func(a uint64) uint64 { return a &^ (1 << 63) }),
	"fma.f64": func(d, a, b, c *wide) {
		for l := range d {
			d[l] = bits64(math.FMA(f64(a[l]), f64(b[l]), f64(c[l])))
		}
	},
	"sqrt.f64": each1w(func(a uint64) uint64 { return bits64(math.Sqrt(f64(a))) }),
}

func madWide(d, a, b, c *wide) {
	for l := range d {
		d[l] = a[l]*b[l] + c[l]
	}
}

// pick64 is the smaller or larger of two; a NaN loses.
func pick64(a, b uint64, larger bool) uint64 {
	x, y := f64(a), f64(b)
	switch {
	case x != x:
		return b
	case y != y:
		return a
	case larger:
		return bits64(math.Max(x, y))
	}
	return bits64(math.Min(x, y))
}

func bfe64(a uint64, pos, n uint32, signed bool) uint64 {
	pos, n = pos&255, min(n&255, 64)
	if n == 0 {
		return 0
	}
	if signed {
		x := int64(a) >> min(pos, 63)
		return uint64(x << (64 - n) >> (64 - n))
	}
	return a >> pos << (64 - n) >> (64 - n)
}
