package emu

import (
	"math"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// decodeCvt decodes cvt[.rn|.rz|.rzi|.rni|.rmi|.rpi][.sat|.satfinite|.relu].to.from.
func (c *compiler) decodeCvt() {
	in := c.in
	round := ""
	sat := false
	var types []ptx.Type
	for _, s := range c.op[1:] {
		switch s {
		case "rn", "rz", "rzi", "rni", "rmi", "rpi":
			round = s
		case "sat":
			sat = true
		default:
			t, ok := ptx.ParseType(s)
			if !ok {
				c.fail("modifier .%s is not emulated", s)
				return
			}
			types = append(types, t)
		}
	}
	if len(types) != 2 {
		c.fail("a conversion has two types")
		return
	}
	to, from := types[0], types[1]
	if to == ptx.F16x2 || to == ptx.BF16x2 {
		c.cvtPair(to)
		return
	}
	if from.Bytes() == 8 {
		in.a = c.src64(1)
	} else {
		in.a = c.src32(1)
	}
	in.d = c.dst(0, cvtWidths(to)...)
	in.imm = c.registerMask(0)
	if f := usualCvt(to, from, round, sat); f != nil {
		in.f, in.run = f, runALU
		return
	}
	f := cvtLane(to, from, round, sat)
	if f == nil {
		c.fail("this conversion is not emulated")
		return
	}
	if to.Bytes() == 8 {
		in.run = func(w *warp, in *instr, m uint32) { cvtToWide(w, in, m, from.Bytes() == 8, f) }
		return
	}
	in.run = func(w *warp, in *instr, m uint32) { cvtToNarrow(w, in, m, from.Bytes() == 8, f) }
}

// registerMask is the bits the register operand i has.
func (c *compiler) registerMask(i int) uint64 {
	if a := c.arg(i); a.Kind == ptx.ArgReg && a.Reg.Type.Bytes() == 2 {
		return 0xFFFF
	}
	return 0xFFFFFFFF
}

// cvtWidths: a result of 8 or 16 bits may go to a wider integer register.
func cvtWidths(t ptx.Type) []int {
	switch {
	case t.Bytes() == 8:
		return []int{8}
	case t.Bytes() == 1:
		return []int{2, 4}
	case t.Bytes() == 2 && !t.Float():
		return []int{2, 4}
	}
	return []int{t.Bytes()}
}

func cvtToWide(w *warp, in *instr, m uint32, fromWide bool, f func(uint64) uint64) {
	for x := m; x != 0; x &= x - 1 {
		l := lowest(x)
		if fromWide {
			w.r64[in.d][l] = f(w.w(in.a)[l])
		} else {
			w.r64[in.d][l] = f(uint64(w.v(in.a)[l]))
		}
	}
}

func cvtToNarrow(w *warp, in *instr, m uint32, fromWide bool, f func(uint64) uint64) {
	for x := m; x != 0; x &= x - 1 {
		l := lowest(x)
		if fromWide {
			w.r32[in.d][l] = uint32(f(w.w(in.a)[l]) & in.imm)
		} else {
			w.r32[in.d][l] = uint32(f(uint64(w.v(in.a)[l])) & in.imm)
		}
	}
}

// usualCvt has the conversions kernels are full of.
func usualCvt(to, from ptx.Type, round string, sat bool) alu {
	if sat {
		return nil
	}
	switch {
	case to == ptx.F32 && from == ptx.F16:
		return each1(func(a uint32) uint32 { return bits32(halfTo32(a)) })
	case to == ptx.F32 && from == ptx.BF16:
		return each1(func(a uint32) uint32 { return a << 16 })
	case to == ptx.F16 && from == ptx.F32 && round == "rn":
		return each1(func(a uint32) uint32 { return halfFrom32(f32(a)) })
	case to == ptx.BF16 && from == ptx.F32 && round == "rn":
		return each1(func(a uint32) uint32 { return bfFrom32(f32(a)) })
	case to == ptx.F32 && from == ptx.U32 && round == "rn":
		return each1(func(a uint32) uint32 { return bits32(float32(a)) })
	case to == ptx.F32 && from == ptx.S32 && round == "rn":
		return each1(func(a uint32) uint32 { return bits32(float32(int32(a))) })
	}
	return nil
}

func (c *compiler) cvtPair(to ptx.Type) {
	in := c.in
	in.d, in.a, in.b = c.dst(0, 4), c.src32(1), c.src32(2)
	f := halfFrom32
	if to == ptx.BF16x2 {
		f = bfFrom32
	}
	if len(c.op) != 4 || c.op[1] != "rn" || c.op[3] != "f32" {
		c.fail("only cvt.rn from f32 makes pairs")
	}
	in.f, in.run = each2(func(hi, lo uint32) uint32 { return f(f32(hi))<<16 | f(f32(lo)) }), runALU
}

// cvtLane is the conversion of one value, bits to bits.
func cvtLane(to, from ptx.Type, round string, sat bool) func(uint64) uint64 {
	if from.Float() {
		value := floatOf(from)
		if value == nil {
			return nil
		}
		if to.Float() {
			out := floatTo(to, round, sat)
			if out == nil {
				return nil
			}
			return func(x uint64) uint64 { return out(integral(value(x), round)) }
		}
		return func(x uint64) uint64 { return floatToInt(integral(value(x), round), to) }
	}
	signed, size := from.Signed(), uint(8*from.Bytes())
	if to.Float() {
		return intToFloat(to, signed, size, round)
	}
	return func(x uint64) uint64 {
		x = extend(x, signed, size)
		if sat {
			x = saturate(x, signed, to)
		}
		return extend(x, to.Signed(), uint(8*to.Bytes()))
	}
}

// extend is the low size bits of x, with their sign or zeroes above.
func extend(x uint64, signed bool, size uint) uint64 {
	if signed {
		return uint64(int64(x<<(64-size)) >> (64 - size))
	}
	return x << (64 - size) >> (64 - size)
}

func saturate(x uint64, signed bool, to ptx.Type) uint64 {
	n := uint(8 * to.Bytes())
	switch {
	case signed && to.Signed():
		return uint64(min(max(int64(x), -1<<(n-1)), 1<<(n-1)-1))
	case signed && int64(x) < 0:
		return 0
	case to.Signed():
		return min(x, 1<<(n-1)-1)
	}
	return min(x, 1<<n-1)
}

func floatOf(t ptx.Type) func(uint64) float64 {
	switch t {
	case ptx.F16:
		return func(x uint64) float64 { return float64(halfTo32(uint32(x))) }
	case ptx.BF16:
		return func(x uint64) float64 { return float64(bfTo32(uint32(x))) }
	case ptx.F32:
		return func(x uint64) float64 { return float64(f32(uint32(x))) }
	case ptx.F64:
		return f64
	}
	return nil
}

// integral applies the roundings to integers.
func integral(x float64, round string) float64 {
	switch round {
	case "rzi":
		return math.Trunc(x)
	case "rni":
		return math.RoundToEven(x)
	case "rmi":
		return math.Floor(x)
	case "rpi":
		return math.Ceil(x)
	}
	return x
}

// floatTo rounds to a type, "rz" toward zero and else to nearest even; sat clamps
// to [0, 1], NaN to 0.
func floatTo(t ptx.Type, round string, sat bool) func(float64) uint64 {
	clamp := func(x float64) float64 {
		if !sat {
			return x
		}
		if !(x > 0) {
			return 0
		}
		return min(x, 1)
	}
	toward := round == "rz"
	switch t {
	case ptx.F16:
		return func(x float64) uint64 { return narrowTo(clamp(x), toward, halfFrom32, halfTo32, 0x7BFF) }
	case ptx.BF16:
		return func(x float64) uint64 { return narrowTo(clamp(x), toward, bfFrom32, bfTo32, 0x7F7F) }
	case ptx.F32:
		return func(x float64) uint64 {
			return narrowTo(clamp(x), toward, bits32, f32, 0x7F7FFFFF)
		}
	case ptx.F64:
		return func(x float64) uint64 { return bits64(clamp(x)) }
	}
	return nil
}

// narrowTo rounds x by to; where it should go toward zero and went away, one step
// back.
func narrowTo(x float64, toward bool, to func(float32) uint32, from func(uint32) float32, largest uint32) uint64 {
	r := to(toOdd(x))
	if largest == 0x7F7FFFFF {
		r = bits32(float32(x))
	}
	if toward && math.Abs(float64(from(r))) > math.Abs(x) && !math.IsInf(x, 0) {
		r--
	}
	return uint64(r)
}

// floatToInt saturates; NaN gives 0, as PTX has it for types of 32 bits and less.
func floatToInt(x float64, t ptx.Type) uint64 {
	n := uint(8 * t.Bytes())
	switch {
	case x != x:
		if n == 64 {
			return 1 << 63
		}
		return 0
	case t.Signed():
		if x >= math.Ldexp(1, int(n)-1) {
			return extend(1<<(n-1)-1, true, n)
		}
		if x < -math.Ldexp(1, int(n)-1) {
			return extend(1<<(n-1), true, n)
		}
		return uint64(int64(x))
	case x <= -1:
		return 0
	case x >= math.Ldexp(1, int(n)):
		return 1<<n - 1
	}
	return uint64(x)
}

func intToFloat(t ptx.Type, signed bool, size uint, round string) func(uint64) uint64 {
	if round == "rz" && size == 64 {
		return nil
	}
	exact := floatTo(t, round, false)
	if exact == nil {
		return nil
	}
	return func(x uint64) uint64 {
		x = extend(x, signed, size)
		switch {
		case size < 64 && signed:
			return exact(float64(int64(x)))
		case size < 64:
			return exact(float64(x))
		case t == ptx.F32 && signed:
			return uint64(bits32(float32(int64(x))))
		case t == ptx.F32:
			return uint64(bits32(float32(x)))
		case signed:
			return exact(float64(int64(x)))
		}
		return exact(float64(x))
	}
}
