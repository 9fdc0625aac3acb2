package emu

import (
	"math"
	"math/bits"
)

// vec is a 16- or 32-bit register of a warp, one element a lane; wide a 64-bit one.
type (
	vec  [32]uint32
	wide [32]uint64
)

// alu is an operation of all lanes of a warp; what it does not need it ignores. d
// may be one of the others.
type (
	alu     func(d, a, b, c *vec)
	aluWide func(d, a, b, c *wide)
)

func f32(u uint32) float32    { return math.Float32frombits(u) }
func bits32(f float32) uint32 { return math.Float32bits(f) }
func f64(u uint64) float64    { return math.Float64frombits(u) }
func bits64(f float64) uint64 { return math.Float64bits(f) }

// each makes an alu of a function of a lane; what is frequent has its own loop.
func each1(f func(a uint32) uint32) alu {
	return func(d, a, _, _ *vec) {
		for l := range d {
			d[l] = f(a[l])
		}
	}
}

func each2(f func(a, b uint32) uint32) alu {
	return func(d, a, b, _ *vec) {
		for l := range d {
			d[l] = f(a[l], b[l])
		}
	}
}

func each3(f func(a, b, c uint32) uint32) alu {
	return func(d, a, b, c *vec) {
		for l := range d {
			d[l] = f(a[l], b[l], c[l])
		}
	}
}

// pair applies a function of 16 bits to both halves.
func pair2(f func(a, b uint32) uint32) alu {
	return func(d, a, b, _ *vec) {
		for l := range d {
			x, y := a[l], b[l]
			d[l] = f(x&0xFFFF, y&0xFFFF) | f(x>>16, y>>16)<<16
		}
	}
}

func pair3(f func(a, b, c uint32) uint32) alu {
	return func(d, a, b, c *vec) {
		for l := range d {
			x, y, z := a[l], b[l], c[l]
			d[l] = f(x&0xFFFF, y&0xFFFF, z&0xFFFF) | f(x>>16, y>>16, z>>16)<<16
		}
	}
}

func pairOf(f func(float64) float64) alu {
	g := func(a, _ uint32) uint32 { return halfFrom32(toOdd(f(float64(halfTo32(a))))) }
	return pair2(g)
}

func approx(f func(float64) float64) alu {
	return each1(func(a uint32) uint32 { return bits32(float32(f(float64(f32(a))))) })
}

func add32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] + b[l]
	}
}

func sub32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] - b[l]
	}
}

func mul32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] * b[l]
	}
}

func mad32(d, a, b, c *vec) {
	for l := range d {
		d[l] = a[l]*b[l] + c[l]
	}
}

func and32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] & b[l]
	}
}

func or32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] | b[l]
	}
}

func xor32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] ^ b[l]
	}
}

func shl32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] << b[l]
	}
}

func shr32(d, a, b, _ *vec) {
	for l := range d {
		d[l] = a[l] >> b[l]
	}
}

func mov32(d, a, _, _ *vec) { *d = *a }

func faddLanes(d, a, b, _ *vec) {
	for l := range d {
		d[l] = bits32(f32(a[l]) + f32(b[l]))
	}
}

func fsubLanes(d, a, b, _ *vec) {
	for l := range d {
		d[l] = bits32(f32(a[l]) - f32(b[l]))
	}
}

func fmulLanes(d, a, b, _ *vec) {
	for l := range d {
		d[l] = bits32(f32(a[l]) * f32(b[l]))
	}
}

func ffmaLanes(d, a, b, c *vec) {
	for l := range d {
		d[l] = bits32(fma32(f32(a[l]), f32(b[l]), f32(c[l])))
	}
}

func fmaHalfPair(d, a, b, c *vec) {
	for l := range d {
		x, y, z := a[l], b[l], c[l]
		d[l] = fmaHalf(x&0xFFFF, y&0xFFFF, z&0xFFFF) | fmaHalf(x>>16, y>>16, z>>16)<<16
	}
}

// aluOps are the operations on registers of up to 32 bits, by their text without
// .rn, which is the only rounding.
var aluOps = map[string]alu{
	"add.u32": add32, "add.s32": add32, "sub.u32": sub32, "sub.s32": sub32,
	"mul.lo.u32": mul32, "mul.lo.s32": mul32, "mad.lo.u32": mad32, "mad.lo.s32": mad32,
	"mul.hi.u32": each2(func(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) }),
	"mul.hi.s32": each2(func(a, b uint32) uint32 { return uint32(int64(int32(a)) * int64(int32(b)) >> 32) }),
	"mad.hi.u32": each3(func(a, b, c uint32) uint32 { return uint32(uint64(a)*uint64(b)>>32) + c }),
	"div.u32": each2(func(a, b uint32) uint32 {
		if b == 0 {
			return ^uint32(0)
		}
		return a / b
	}),
	"div.s32": each2(func(a, b uint32) uint32 {
		if b == 0 {
			return ^uint32(0)
		}
		return uint32(int32(a) / int32(b))
	}),
	"rem.u32": each2(func(a, b uint32) uint32 {
		if b == 0 {
			return a
		}
		return a % b
	}),
	"rem.s32": each2(func(a, b uint32) uint32 {
		if b == 0 {
			return a
		}
		return uint32(int32(a) % int32(b))
	}),
	"min.u32": each2(func(a, b uint32) uint32 { return min(a, b) }),
	"max.u32": each2(func(a, b uint32) uint32 { return max(a, b) }),
	"min.s32": each2(func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) }),
	"max.s32": each2(func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) }),
	"neg.s32": each1(func(a uint32) uint32 { return -a }),
	"abs.s32": each1(func(a uint32) uint32 { return uint32(max(int32(a), -int32(a))) }),

	"add.u16":    each2(func(a, b uint32) uint32 { return (a + b) & 0xFFFF }),
	"add.s16":    each2(func(a, b uint32) uint32 { return (a + b) & 0xFFFF }),
	"sub.u16":    each2(func(a, b uint32) uint32 { return (a - b) & 0xFFFF }),
	"sub.s16":    each2(func(a, b uint32) uint32 { return (a - b) & 0xFFFF }),
	"mul.lo.u16": each2(func(a, b uint32) uint32 { return (a * b) & 0xFFFF }),
	"mul.lo.s16": each2(func(a, b uint32) uint32 { return (a * b) & 0xFFFF }),
	"min.u16":    each2(func(a, b uint32) uint32 { return min(a, b) }),
	"max.u16":    each2(func(a, b uint32) uint32 { return max(a, b) }),
	"min.s16":    each2(func(a, b uint32) uint32 { return uint32(uint16(min(int16(a), int16(b)))) }),
	"max.s16":    each2(func(a, b uint32) uint32 { return uint32(uint16(max(int16(a), int16(b)))) }),

	"and.b32": and32, "or.b32": or32, "xor.b32": xor32, "and.b16": and32, "or.b16": or32, "xor.b16": xor32,
	"not.b32": each1(func(a uint32) uint32 { return ^a }),
	"not.b16": each1(func(a uint32) uint32 { return ^a & 0xFFFF }),
	"shl.b32": shl32, "shr.u32": shr32, "shr.b32": shr32,
	"shr.s32": each2(func(a, b uint32) uint32 { return uint32(int32(a) >> b) }),
	"shl.b16": each2(func(a, b uint32) uint32 { return a << b & 0xFFFF }),
	"shr.u16": shr32, "shr.b16": shr32,
	"shr.s16":  each2(func(a, b uint32) uint32 { return uint32(uint16(int16(a) >> b)) }),
	"popc.b32": each1(func(a uint32) uint32 { return uint32(bits.OnesCount32(a)) }),
	"clz.b32":  each1(func(a uint32) uint32 { return uint32(bits.LeadingZeros32(a)) }),
	"brev.b32": each1(bits.Reverse32),
	"bfe.u32":  each3(bfeU32), "bfe.s32": each3(bfeS32),
	"shf.l.wrap.b32":  each3(func(a, b, c uint32) uint32 { return uint32((uint64(b)<<32 | uint64(a)) << (c & 31) >> 32) }),
	"shf.r.wrap.b32":  each3(func(a, b, c uint32) uint32 { return uint32((uint64(b)<<32 | uint64(a)) >> (c & 31)) }),
	"shf.l.clamp.b32": each3(func(a, b, c uint32) uint32 { return uint32((uint64(b)<<32 | uint64(a)) << min(c, 32) >> 32) }),
	"shf.r.clamp.b32": each3(func(a, b, c uint32) uint32 { return uint32((uint64(b)<<32 | uint64(a)) >> min(c, 32)) }),

	"dp4a.s32.s32": each3(func(a, b, c uint32) uint32 {
		for i := 0; i < 32; i += 8 {
			c += uint32(int32(int8(a>>i)) * int32(int8(b>>i)))
		}
		return c
	}),
	"dp4a.u32.u32": each3(func(a, b, c uint32) uint32 {
		for i := 0; i < 32; i += 8 {
			c += a >> i & 255 * (b >> i & 255)
		}
		return c
	}),
	"dp4a.u32.s32": each3(func(a, b, c uint32) uint32 {
		for i := 0; i < 32; i += 8 {
			c += uint32(int32(a>>i&255) * int32(int8(b>>i)))
		}
		return c
	}),

	"add.f32": faddLanes, "sub.f32": fsubLanes, "mul.f32": fmulLanes, "fma.f32": ffmaLanes,
	"div.f32": each2(func(a, b uint32) uint32 { return bits32(f32(a) / f32(b)) }),
	"min.f32": each2(func(a, b uint32) uint32 { return bits32(min32(f32(a), f32(b))) }),
	"max.f32": each2(func(a, b uint32) uint32 { return bits32(max32(f32(a), f32(b))) }),
	"neg.f32": each1(func(a uint32) uint32 { return a ^ 1<<31 }),
	"abs.f32": each1(func(a uint32) uint32 { return a &^ (1 << 31) }),

	// Computed in float64 and rounded: nearer than the bounds the ISA gives.
	"sqrt.f32":         approx(math.Sqrt),
	"sqrt.approx.f32":  approx(math.Sqrt),
	"rcp.f32":          approx(func(x float64) float64 { return 1 / x }),
	"rcp.approx.f32":   approx(func(x float64) float64 { return 1 / x }),
	"rsqrt.approx.f32": approx(func(x float64) float64 { return 1 / math.Sqrt(x) }),
	"ex2.approx.f32":   approx(math.Exp2),
	"ex2.approx.ftz.f32": each1(func(a uint32) uint32 {
		if y := float32(math.Exp2(float64(f32(a)))); !(y < 0x1p-126) {
			return bits32(y)
		}
		return 0
	}),
	"ex2.approx.f16x2":  pairOf(math.Exp2),
	"tanh.approx.f16x2": pairOf(math.Tanh),
	"lg2.approx.f32":    approx(math.Log2),
	"sin.approx.f32":    approx(math.Sin),
	"cos.approx.f32":    approx(math.Cos),
	"tanh.approx.f32":   approx(math.Tanh),
	"div.full.f32":      each2(func(a, b uint32) uint32 { return bits32(f32(a) / f32(b)) }),
	"div.approx.f32":    each2(func(a, b uint32) uint32 { return bits32(f32(a) / f32(b)) }),

	"add.f16": each2(addHalf), "sub.f16": each2(subHalf), "mul.f16": each2(mulHalf), "fma.f16": each3(fmaHalf),
	"min.f16": each2(minHalf), "max.f16": each2(maxHalf),
	"neg.f16": each1(func(a uint32) uint32 { return a ^ 1<<15 }), "abs.f16": each1(func(a uint32) uint32 { return a & 0x7FFF }),
	"add.f16x2": pair2(addHalf), "sub.f16x2": pair2(subHalf), "mul.f16x2": pair2(mulHalf), "fma.f16x2": fmaHalfPair,
	"min.f16x2": pair2(minHalf), "max.f16x2": pair2(maxHalf),
	"neg.f16x2": each1(func(a uint32) uint32 { return a ^ 0x80008000 }),
	"abs.f16x2": each1(func(a uint32) uint32 { return a & 0x7FFF7FFF }),

	"add.bf16": each2(addBF), "sub.bf16": each2(subBF), "mul.bf16": each2(mulBF), "fma.bf16": each3(fmaBF),
	"min.bf16": each2(minBF), "max.bf16": each2(maxBF),
	"neg.bf16": each1(func(a uint32) uint32 { return a ^ 1<<15 }), "abs.bf16": each1(func(a uint32) uint32 { return a & 0x7FFF }),
	"add.bf16x2": pair2(addBF), "sub.bf16x2": pair2(subBF), "mul.bf16x2": pair2(mulBF), "fma.bf16x2": pair3(fmaBF),
	"min.bf16x2": pair2(minBF), "max.bf16x2": pair2(maxBF),
	"neg.bf16x2": each1(func(a uint32) uint32 { return a ^ 0x80008000 }),
	"abs.bf16x2": each1(func(a uint32) uint32 { return a & 0x7FFF7FFF }),
}

func bfeU32(a, pos, n uint32) uint32 {
	pos, n = pos&255, n&255
	return uint32(uint64(a) >> pos & (1<<min(n, 32) - 1))
}

// bfeS32 fills with the sign of the field, or of the whole where it runs out.
func bfeS32(a, pos, n uint32) uint32 {
	pos, n = pos&255, n&255
	if n == 0 {
		return 0
	}
	x := int64(int32(a)) >> min(pos, 31)
	n = min(n, 32)
	return uint32(x << (64 - n) >> (64 - n))
}

// bfi inserts the low n bits of a into b at pos.
func bfi(a, b, pos, n uint32) uint32 {
	pos, n = pos&255, n&255
	mask := uint64(1)<<min(n, 32) - 1
	return uint32(uint64(b)&^(mask<<pos) | uint64(a)&mask<<pos)
}

// prmt picks bytes of b:a by the nibbles of s; mode "" is the general one.
func prmt(mode string, a, b, s uint32) uint32 {
	v := uint64(b)<<32 | uint64(a)
	d := uint32(0)
	for i := uint32(0); i < 4; i++ {
		n := s >> (4 * i) & 15
		switch k := s & 3; mode {
		case "f4e":
			n = k + i
		case "b4e":
			n = (k - i) & 7
		case "rc8":
			n = k
		case "ecl":
			n = max(k, i)
		case "ecr":
			n = min(k, i)
		case "rc16":
			n = k&1*2 + i&1
		}
		x := uint32(v>>(8*(n&7))) & 255
		if n&8 != 0 {
			x = uint32(int32(x<<24)>>31) & 255
		}
		d |= x << (8 * i)
	}
	return d
}

func lop3(d, a, b, c *vec, lut uint32) {
	for l := range d {
		x, y, z := a[l], b[l], c[l]
		r := uint32(0)
		for i := uint32(0); i < 8; i++ {
			if lut>>i&1 != 0 {
				t := ^uint32(0)
				t &= x ^ (i>>2&1 - 1)
				t &= y ^ (i>>1&1 - 1)
				t &= z ^ (i&1 - 1)
				r |= t
			}
		}
		d[l] = r
	}
}
