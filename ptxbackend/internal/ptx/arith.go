package ptx

import "fmt"

// Cmp is a comparison. Those of floats are false where an operand is NaN, but for
// Ne, which PTX calls neu.
type Cmp string

// The comparisons; of unsigned integers too.
const (
	Eq Cmp = "eq"
	Ne Cmp = "ne"
	Lt Cmp = "lt"
	Le Cmp = "le"
	Gt Cmp = "gt"
	Ge Cmp = "ge"
)

// The arithmetic works in the type of its first register; results are of that
// type. Integers wrap around; F32 rounds to nearest and keeps subnormals.

// Add is x + y.
func (b *Builder) Add(x, y any) Reg { return b.binary("add", x, y) }

// Sub is x - y.
func (b *Builder) Sub(x, y any) Reg { return b.binary("sub", x, y) }

// Mul is x * y, of integers its low half.
func (b *Builder) Mul(x, y any) Reg {
	if b.typeOf(x, y).Float() {
		return b.binary("mul", x, y)
	}
	return b.binary("mul.lo", x, y)
}

// MulHi is the high half of the product of integers.
func (b *Builder) MulHi(x, y any) Reg { return b.binary("mul.hi", x, y) }

// MulWide is the product of 32-bit integers in 64 bits.
func (b *Builder) MulWide(x, y any) Reg {
	t := b.typeOf(x, y)
	return b.def("mul.wide."+t.String(), b.wide(t), t, x, y)
}

// MadWide is x * y + z with 32-bit x and y and 64-bit z.
func (b *Builder) MadWide(x, y, z any) Reg {
	t := b.typeOf(x, y)
	d := b.Reg(b.wide(t))
	b.emit("mad.wide."+t.String(), Arg{Kind: ArgReg, Reg: d}, b.arg(t, x), b.arg(t, y), b.arg(d.Type, z))
	return d
}

func (b *Builder) wide(t Type) Type {
	switch t {
	case U32, B32:
		return U64
	case S32:
		return S64
	}
	b.Errorf("%v has no product twice as wide", t)
	return U64
}

// Mad is x * y + z: fused for floats, the low half for integers.
func (b *Builder) Mad(x, y, z any) Reg {
	t := b.typeOf(x, y, z)
	if t.Float() {
		return b.def("fma.rn."+t.String(), t, t, x, y, z)
	}
	return b.def("mad.lo."+t.String(), t, t, x, y, z)
}

// MadTo is d = x * y + z; d may be one of them.
func (b *Builder) MadTo(d Reg, x, y, z any) {
	if d.Type.Float() {
		b.into(d, "fma.rn."+d.Type.String(), d.Type, x, y, z)
		return
	}
	b.into(d, "mad.lo."+d.Type.String(), d.Type, x, y, z)
}

// AddTo, SubTo and MulTo are d += y, d -= y and d *= y.
func (b *Builder) AddTo(d Reg, y any) { b.binaryTo(d, "add", y) }
func (b *Builder) SubTo(d Reg, y any) { b.binaryTo(d, "sub", y) }
func (b *Builder) MulTo(d Reg, y any) {
	if d.Type.Float() {
		b.binaryTo(d, "mul", y)
		return
	}
	b.binaryTo(d, "mul.lo", y)
}

// MaxTo and MinTo make d the larger or the smaller of d and y; a NaN loses.
func (b *Builder) MaxTo(d Reg, y any) { b.binaryTo(d, "max", y) }
func (b *Builder) MinTo(d Reg, y any) { b.binaryTo(d, "min", y) }

func (b *Builder) binaryTo(d Reg, op string, y any) {
	b.into(d, b.typed(op, d.Type), d.Type, d, y)
}

// Div is x / y; floats are rounded correctly.
func (b *Builder) Div(x, y any) Reg {
	t := b.typeOf(x, y)
	if half(t) {
		b.Errorf("there is no division of %v", t)
	}
	if t.Float() {
		return b.def("div.rn."+t.String(), t, t, x, y)
	}
	return b.binary("div", x, y)
}

// Rem is the remainder of integers.
func (b *Builder) Rem(x, y any) Reg { return b.binary("rem", x, y) }

// Min is the smaller of x and y; a NaN loses.
func (b *Builder) Min(x, y any) Reg { return b.binary("min", x, y) }

// Max is the larger of x and y; a NaN loses.
func (b *Builder) Max(x, y any) Reg { return b.binary("max", x, y) }

func (b *Builder) binary(op string, x, y any) Reg {
	t := b.typeOf(x, y)
	return b.def(b.typed(op, t), t, t, x, y)
}

// typed is the name of an operation on values of type t.
func (b *Builder) typed(op string, t Type) string {
	if t.Float() && (op == "add" || op == "sub" || op == "mul") {
		op += ".rn" // without it the driver may fuse what the emulator does not
	}
	if t.Bits() == t {
		b.Errorf("%s of %v: bits have no arithmetic, say As", op, t)
	}
	return op + "." + t.String()
}

// Neg is -x.
func (b *Builder) Neg(x Reg) Reg { return b.def("neg."+x.Type.String(), x.Type, x.Type, x) }

// Abs is |x|.
func (b *Builder) Abs(x Reg) Reg { return b.def("abs."+x.Type.String(), x.Type, x.Type, x) }

// Functions of F32, approximate to about 2^-22 relative: 1/x, 1/sqrt(x), 2^x, of
// F16x2 too, log2(x), sin(x), cos(x) (these two for |x| <= pi), tanh(x) (2^-11). The
// square root is rounded correctly. 2^x of F32 is 0 where it would be subnormal: the
// hardware's one instruction does that, and it takes three more to do otherwise.

func (b *Builder) Rcp(x Reg) Reg   { return b.def("rcp.approx.f32", F32, F32, x) }
func (b *Builder) Rsqrt(x Reg) Reg { return b.def("rsqrt.approx.f32", F32, F32, x) }
func (b *Builder) Sqrt(x Reg) Reg  { return b.def("sqrt.rn.f32", F32, F32, x) }
func (b *Builder) Tanh(x Reg) Reg  { return b.def("tanh.approx.f32", F32, F32, x) }
func (b *Builder) Ex2(x Reg) Reg {
	if x.Type == F16x2 {
		return b.def("ex2.approx.f16x2", F16x2, F16x2, x)
	}
	return b.def("ex2.approx.ftz.f32", F32, F32, x)
}
func (b *Builder) Lg2(x Reg) Reg { return b.def("lg2.approx.f32", F32, F32, x) }
func (b *Builder) Sin(x Reg) Reg { return b.def("sin.approx.f32", F32, F32, x) }
func (b *Builder) Cos(x Reg) Reg { return b.def("cos.approx.f32", F32, F32, x) }

// bitwise operations work on the bits of any type.
func (b *Builder) bitwise(op string, x, y any) Reg {
	t := b.typeOf(x, y)
	if t == Pred {
		return b.def(op+".pred", t, t, x, y)
	}
	d := b.Reg(t)
	u := t
	t = t.Bits()
	b.emit(op+"."+t.String(), Arg{Kind: ArgReg, Reg: d}, b.bits(u, x), b.bits(u, y))
	return d
}

// bits is v as the bits of type t.
func (b *Builder) bits(t Type, v any) Arg {
	if r, ok := v.(Reg); ok {
		if r.Type.Bytes() != t.Bytes() || r.Type == Pred {
			b.Errorf("operand of type %v where %d bits are wanted", r.Type, 8*t.Bytes())
		}
		return Arg{Kind: ArgReg, Reg: r}
	}
	return b.Imm(unsigned(t), v)
}

func unsigned(t Type) Type {
	switch t.Bytes() {
	case 2:
		return B16
	case 8:
		return B64
	}
	return B32
}

// And, Or and Xor work on bits and on predicates.
func (b *Builder) And(x, y any) Reg { return b.bitwise("and", x, y) }
func (b *Builder) Or(x, y any) Reg  { return b.bitwise("or", x, y) }
func (b *Builder) Xor(x, y any) Reg { return b.bitwise("xor", x, y) }

// Not inverts bits or a predicate.
func (b *Builder) Not(x Reg) Reg {
	if x.Type == Pred {
		return b.def("not.pred", Pred, Pred, x)
	}
	return b.def("not."+x.Type.Bits().String(), x.Type, x.Type, x)
}

// Shl shifts left by y, a U32 or a number; 0 from the size on.
func (b *Builder) Shl(x Reg, y any) Reg {
	d := b.Reg(x.Type)
	b.emit("shl."+x.Type.Bits().String(), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgReg, Reg: x}, b.arg(U32, y))
	return d
}

// Shr shifts right by y, a U32 or a number, keeping the sign of signed types.
func (b *Builder) Shr(x Reg, y any) Reg {
	d := b.Reg(x.Type)
	op := x.Type.Bits()
	if x.Type.Signed() {
		op = x.Type
	}
	b.emit("shr."+op.String(), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgReg, Reg: x}, b.arg(U32, y))
	return d
}

// Lop3 is the bitwise function of three 32-bit values whose truth table is lut:
// compute it from LutA, LutB, LutC with Go's operators, (a&b)|c as LutA&LutB|LutC.
func (b *Builder) Lop3(x, y, z any, lut uint8) Reg {
	d := b.Reg(b.typeOf(x, y, z))
	b.emit("lop3.b32", Arg{Kind: ArgReg, Reg: d}, b.bits(B32, x), b.bits(B32, y), b.bits(B32, z), b.Imm(U32, int(lut)))
	return d
}

// Truth tables of the operands of Lop3.
const (
	LutA uint8 = 0xF0
	LutB uint8 = 0xCC
	LutC uint8 = 0xAA
)

// Bfe extracts n bits from position pos, extending the sign of signed types.
func (b *Builder) Bfe(x Reg, pos, n any) Reg {
	d := b.Reg(x.Type)
	if x.Type.Float() || x.Type.Bits() == x.Type || x.Type.Bytes() < 4 {
		b.Errorf("Bfe of %v: say which integer with As", x.Type)
	}
	b.emit("bfe."+x.Type.String(), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgReg, Reg: x}, b.arg(U32, pos), b.arg(U32, n))
	return d
}

// Prmt picks 4 bytes of the 8 of y:x (x the low ones) by the nibbles of sel; bit 3
// of a nibble replicates the sign of its byte.
func (b *Builder) Prmt(x, y, sel any) Reg {
	d := b.Reg(b.typeOf(x, y))
	b.emit("prmt.b32", Arg{Kind: ArgReg, Reg: d}, b.bits(B32, x), b.bits(B32, y), b.bits(B32, sel))
	return d
}

// Popc and Clz count the set bits and the leading zeroes of 32 or 64 bits.
func (b *Builder) Popc(x Reg) Reg { return b.countBits("popc", x) }
func (b *Builder) Clz(x Reg) Reg  { return b.countBits("clz", x) }

func (b *Builder) countBits(op string, x Reg) Reg {
	t := x.Type.Bits()
	if t != B32 && t != B64 {
		b.Errorf("%s of %v", op, x.Type)
	}
	return b.def(op+"."+t.String(), U32, t, x)
}

// Dp4a is c plus the dot product of the four signed bytes of x and y.
func (b *Builder) Dp4a(x, y, c Reg) Reg {
	d := b.Reg(S32)
	b.emit("dp4a.s32.s32", Arg{Kind: ArgReg, Reg: d}, b.bits(B32, x), b.bits(B32, y), b.arg(S32, c))
	return d
}

// Cvt converts a value. Floats round to nearest even; floats to integers round
// toward zero and saturate; 32 to 64 bits extends by the sign of x's type.
func (b *Builder) Cvt(to Type, x Reg) Reg {
	from := x.Type
	mod := ""
	switch {
	case to == to.Bits() || from == from.Bits() || to.Bytes() == 1:
		b.Errorf("a conversion of %v to %v: say what the bits are with As", from, to)
	case packed(to) || packed(from) || from != to && from.Bytes() == 2 && to.Bytes() == 2 && from.Float() && to.Float():
		b.Errorf("there is no conversion of %v to %v", from, to)
	case to.Float() && (!from.Float() || to.Bytes() < from.Bytes()):
		mod = ".rn"
	case from.Float() && !to.Float():
		mod = ".rzi"
	}
	d := b.Reg(to)
	b.emit(fmt.Sprintf("cvt%s.%v.%v", mod, to, from), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgReg, Reg: x})
	return d
}

func packed(t Type) bool { return t == F16x2 || t == BF16x2 }

// CvtPair is two F32 rounded to a pair of type F16x2 or BF16x2, lo in the low half.
func (b *Builder) CvtPair(to Type, lo, hi Reg) Reg {
	d := b.Reg(to)
	if !packed(to) {
		b.Errorf("CvtPair to %v", to)
	}
	b.emit("cvt.rn."+to.String()+".f32", Arg{Kind: ArgReg, Reg: d}, b.arg(F32, hi), b.arg(F32, lo))
	return d
}

// Pack makes a 32- or 64-bit register of two halves, Unpack takes it apart.
func (b *Builder) Pack(t Type, lo, hi Reg) Reg {
	d := b.Reg(t)
	b.halves(t, lo, hi)
	list := Arg{Kind: ArgList, List: []Arg{{Kind: ArgReg, Reg: lo}, {Kind: ArgReg, Reg: hi}}}
	b.emit("mov."+t.Bits().String(), Arg{Kind: ArgReg, Reg: d}, list)
	return d
}

// Unpack splits x into a low and a high half of type t.
func (b *Builder) Unpack(t Type, x Reg) (lo, hi Reg) {
	lo, hi = b.Reg(t), b.Reg(t)
	b.halves(x.Type, lo, hi)
	list := Arg{Kind: ArgList, List: []Arg{{Kind: ArgReg, Reg: lo}, {Kind: ArgReg, Reg: hi}}}
	b.emit("mov."+x.Type.Bits().String(), list, Arg{Kind: ArgReg, Reg: x})
	return lo, hi
}

// halves notes a mistake unless lo and hi make up a register of type whole.
func (b *Builder) halves(whole Type, lo, hi Reg) {
	if whole.Bytes() < 4 || 2*lo.Type.Bytes() != whole.Bytes() || 2*hi.Type.Bytes() != whole.Bytes() {
		b.Errorf("%v and %v do not make up %v", lo.Type, hi.Type, whole)
	}
}

// Setp compares.
func (b *Builder) Setp(c Cmp, x, y any) Reg {
	t := b.typeOf(x, y)
	name := string(c)
	if t == Pred || packed(t) || t == t.Bits() && c != Eq && c != Ne {
		b.Errorf("%v of %v", c, t)
	}
	if c == Ne && t.Float() {
		name = "neu"
	}
	return b.def("setp."+name+"."+t.String(), Pred, t, x, y)
}

// Selp is x where p, else y; of two numbers U32, or F32 if one of them is a float.
func (b *Builder) Selp(x, y any, p Reg) Reg {
	t := U32
	switch {
	case isReg(x) || isReg(y):
		t = b.typeOf(x, y)
	case isFloat(x) || isFloat(y):
		t = F32
	}
	d := b.Reg(t)
	b.emit("selp."+t.Bits().String(), Arg{Kind: ArgReg, Reg: d}, b.arg(t, x), b.arg(t, y), b.arg(Pred, p))
	return d
}

func isReg(v any) bool { _, ok := v.(Reg); return ok }

func isFloat(v any) bool {
	switch v.(type) {
	case float32, float64:
		return true
	}
	return false
}
