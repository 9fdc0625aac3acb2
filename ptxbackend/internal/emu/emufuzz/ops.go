package emufuzz

import (
	"math"
	"math/big"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Op is an instruction of one lane.
type Op struct {
	Text   string     // as in PTX
	In     []ptx.Type // of its sources
	Out    ptx.Type
	Hopper bool // needs sm_90
	// Want is the result for the bits of the sources, computed with rationals and
	// not as the emulator does it.
	Want func(a []uint64) uint64
	// Build writes it where it takes more than Text.
	Build func(b *ptx.Builder, a []ptx.Reg) ptx.Reg
	// Bound is how far, relative to the result, it may be off: 0 is exact.
	Bound float64
	// Free says the result is undefined for these sources.
	Free func(a []uint64) bool
}

// Ops are the instructions of lanes that Fuzz tries.
var Ops = table()

func table() (ops []Op) {
	for _, t := range []ptx.Type{ptx.U32, ptx.S32, ptx.U64, ptx.S64} {
		ops = append(ops, integerOps(t)...)
	}
	ops = append(ops, bitOps()...)
	for _, t := range []ptx.Type{ptx.F32, ptx.F16, ptx.F16x2, ptx.BF16, ptx.BF16x2, ptx.F64} {
		ops = append(ops, floatOps(t)...)
	}
	ops = append(ops, comparisons()...)
	ops = append(ops, moves()...)
	ops = append(ops, atomics()...)
	ops = append(ops, approxOps()...)
	return append(ops, conversions()...)
}

func times(t ptx.Type, n int) []ptx.Type {
	out := make([]ptx.Type, n)
	for i := range out {
		out[i] = t
	}
	return out
}

func integerOps(t ptx.Type) []Op {
	size, signed := uint(8*t.Bytes()), t.Signed()
	op := func(name string, n int, f func(x []*big.Int) *big.Int) Op {
		return Op{Text: name + "." + t.String(), In: times(t, n), Out: t, Want: func(a []uint64) uint64 {
			x := make([]*big.Int, len(a))
			for i := range a {
				x[i] = toBig(a[i], size, signed)
			}
			return fromBig(f(x), size)
		}}
	}
	byZero := func(a []uint64) bool {
		return a[1]<<(64-size) == 0 || signed && toBig(a[1], size, true).Int64() == -1 // the latter may overflow
	}
	z := func() *big.Int { return new(big.Int) }
	ops := []Op{
		op("add", 2, func(x []*big.Int) *big.Int { return z().Add(x[0], x[1]) }),
		op("sub", 2, func(x []*big.Int) *big.Int { return z().Sub(x[0], x[1]) }),
		op("mul.lo", 2, func(x []*big.Int) *big.Int { return z().Mul(x[0], x[1]) }),
		op("mad.lo", 3, func(x []*big.Int) *big.Int { return z().Add(z().Mul(x[0], x[1]), x[2]) }),
		op("min", 2, func(x []*big.Int) *big.Int {
			if x[0].Cmp(x[1]) < 0 {
				return x[0]
			}
			return x[1]
		}),
		op("max", 2, func(x []*big.Int) *big.Int {
			if x[0].Cmp(x[1]) > 0 {
				return x[0]
			}
			return x[1]
		}),
		op("div", 2, func(x []*big.Int) *big.Int { return z().Quo(x[0], x[1]) }),
		op("rem", 2, func(x []*big.Int) *big.Int { return z().Rem(x[0], x[1]) }),
	}
	ops[6].Free, ops[7].Free = byZero, byZero
	if size == 32 || !signed {
		ops = append(ops, op("mul.hi", 2, func(x []*big.Int) *big.Int { return z().Rsh(z().Mul(x[0], x[1]), size) }))
	}
	if signed {
		ops = append(ops, op("neg", 1, func(x []*big.Int) *big.Int { return z().Neg(x[0]) }),
			op("abs", 1, func(x []*big.Int) *big.Int { return z().Abs(x[0]) }))
	}
	shr := op("shr", 1, nil)
	shr.In = []ptx.Type{t, ptx.U32}
	shr.Want = func(a []uint64) uint64 {
		return fromBig(z().Rsh(toBig(a[0], size, signed), uint(min(a[1], 64))), size)
	}
	ops = append(ops, shr)
	if size == 32 {
		ops = append(ops, wideOps(t)...)
		ops = append(ops, Op{Text: "bfe." + t.String(), In: []ptx.Type{t, ptx.U32, ptx.U32}, Out: t, Want: func(a []uint64) uint64 { return bfe(a, signed) }})
	}
	return ops
}

func wideOps(t ptx.Type) []Op {
	out := ptx.U64
	if t.Signed() {
		out = ptx.S64
	}
	product := func(a []uint64) *big.Int {
		return new(big.Int).Mul(toBig(a[0], 32, t.Signed()), toBig(a[1], 32, t.Signed()))
	}
	return []Op{
		{Text: "mul.wide." + t.String(), In: times(t, 2), Out: out, Want: func(a []uint64) uint64 { return fromBig(product(a), 64) }},
		{Text: "mad.wide." + t.String(), In: []ptx.Type{t, t, out}, Out: out, Want: func(a []uint64) uint64 {
			return fromBig(product(a), 64) + a[2]
		}},
	}
}

// bfe follows the ISA's description bit by bit.
func bfe(a []uint64, signed bool) uint64 { return bfeBits(a, 32, signed) }

func bfeBits(a []uint64, size uint64, signed bool) uint64 {
	pos, n := a[1]&255, a[2]&255
	sign := uint64(0)
	if signed && n > 0 {
		sign = a[0] >> min(pos+n-1, size-1) & 1
	}
	d := uint64(0)
	for i := range size {
		bit := sign
		if i < n && pos+i < size {
			bit = a[0] >> (pos + i) & 1
		}
		d |= bit << i
	}
	return d
}

func bitOps() []Op {
	b32 := func(text string, n int, f func(a []uint64) uint64) Op {
		return Op{Text: text, In: times(ptx.B32, n), Out: ptx.B32, Want: func(a []uint64) uint64 { return f(a) & 0xFFFFFFFF }}
	}
	ops := []Op{
		b32("and.b32", 2, func(a []uint64) uint64 { return a[0] & a[1] }),
		b32("or.b32", 2, func(a []uint64) uint64 { return a[0] | a[1] }),
		b32("xor.b32", 2, func(a []uint64) uint64 { return a[0] ^ a[1] }),
		b32("not.b32", 1, func(a []uint64) uint64 { return ^a[0] }),
		{Text: "shl.b32", In: []ptx.Type{ptx.B32, ptx.U32}, Out: ptx.B32, Want: func(a []uint64) uint64 { return a[0] << a[1] & 0xFFFFFFFF }},
		{Text: "shl.b64", In: []ptx.Type{ptx.B64, ptx.U32}, Out: ptx.B64, Want: func(a []uint64) uint64 { return a[0] << a[1] }},
		{Text: "and.b64", In: times(ptx.B64, 2), Out: ptx.B64, Want: func(a []uint64) uint64 { return a[0] & a[1] }},
		b32("popc.b32", 1, func(a []uint64) uint64 { return popcount(a[0]) }),
		b32("clz.b32", 1, func(a []uint64) uint64 { return 32 - uint64(new(big.Int).SetUint64(a[0]).BitLen()) }),
		{Text: "bfi.b32", In: []ptx.Type{ptx.B32, ptx.B32, ptx.U32, ptx.U32}, Out: ptx.B32, Want: bfi},
		b32("dp4a.s32.s32", 3, func(a []uint64) uint64 {
			s := int64(int32(a[2]))
			for i := 0; i < 32; i += 8 {
				s += toBig(a[0]>>i, 8, true).Int64() * toBig(a[1]>>i, 8, true).Int64()
			}
			return uint64(s)
		}),
		b32("shf.l.wrap.b32", 3, func(a []uint64) uint64 { return (a[1]<<32 | a[0]) << (a[2] % 32) >> 32 }),
		b32("shf.r.wrap.b32", 3, func(a []uint64) uint64 { return (a[1]<<32 | a[0]) >> (a[2] % 32) }),
	}
	for _, lut := range []uint64{0x01, 0x96, 0xE8, 0xEA, 0x6A, 0xA8, 0xCA, 0x80, 0xFE, 0x7D} {
		ops = append(ops, b32("lop3.b32/"+string(rune('0'+lut/100))+string(rune('0'+lut/10%10))+string(rune('0'+lut%10)), 3,
			func(a []uint64) uint64 {
				d := uint64(0)
				for i := range 32 {
					d |= lut >> (a[0]>>i&1<<2 | a[1]>>i&1<<1 | a[2]>>i&1) & 1 << i
				}
				return d
			}))
	}
	for _, mode := range []string{"", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16"} {
		ops = append(ops, b32("prmt.b32"+mode, 3, func(a []uint64) uint64 { return prmt(mode, a) }))
	}
	return ops
}

func bfi(a []uint64) uint64 {
	pos, n, d := a[2]&255, a[3]&255, a[1]
	for i := uint64(0); i < n && pos+i < 32; i++ {
		d = d&^(1<<(pos+i)) | a[0]>>i&1<<(pos+i)
	}
	return d
}

// selectors of prmt's modes, from the ISA's tables, most significant byte first.
var selectors = map[string][4]string{
	".f4e": {"3210", "4321", "5432", "6543"}, ".b4e": {"5670", "6701", "7012", "0123"},
	".rc8": {"0000", "1111", "2222", "3333"}, ".ecl": {"3210", "3211", "3222", "3333"},
	".ecr": {"0000", "1110", "2210", "3210"}, ".rc16": {"1010", "3232", "1010", "3232"},
}

func prmt(mode string, a []uint64) uint64 {
	all := a[1]<<32 | a[0]
	d := uint64(0)
	for i := range uint64(4) {
		n := a[2] >> (4 * i) & 15
		if mode != "" {
			n = uint64(selectors[mode][a[2]&3][3-i] - '0')
		}
		x := all >> (8 * (n & 7)) & 255
		if n > 7 {
			x = x >> 7 * 255
		}
		d |= x << (8 * i)
	}
	return d
}

// halves applies f to each half of packed types.
func halves(t ptx.Type, f func(x []number) number) func(a []uint64) uint64 {
	fm := formats[t]
	one := func(a []uint64, shift int) uint64 {
		x := make([]number, len(a))
		for i := range a {
			x[i] = fm.value(a[i] >> shift & (1<<fm.bits - 1))
		}
		return fm.round(f(x))
	}
	if t == ptx.F16x2 || t == ptx.BF16x2 {
		return func(a []uint64) uint64 { return one(a, 0) | one(a, 16)<<16 }
	}
	return func(a []uint64) uint64 { return one(a, 0) }
}

func floatOps(t ptx.Type) []Op {
	bf := t == ptx.BF16 || t == ptx.BF16x2
	op := func(name string, n int, f func(x []number) number) Op {
		return Op{Text: name + "." + t.String(), In: times(t, n), Out: t, Want: halves(t, f)}
	}
	ops := []Op{
		op("fma.rn", 3, func(x []number) number { return add(mul(x[0], x[1]), x[2]) }),
		op("min", 2, func(x []number) number { return pick(x[0], x[1], false) }),
		op("max", 2, func(x []number) number { return pick(x[0], x[1], true) }),
		op("neg", 1, func(x []number) number { return x[0].minus() }),
		op("abs", 1, func(x []number) number { x[0].neg = false; return x[0] }),
		op("add.rn", 2, func(x []number) number { return add(x[0], x[1]) }),
		op("sub.rn", 2, func(x []number) number { return add(x[0], x[1].minus()) }),
		op("mul.rn", 2, func(x []number) number { return mul(x[0], x[1]) }),
	}
	for i := 5; i < 8; i++ {
		ops[i].Hopper = bf
	}
	if t == ptx.F32 || t == ptx.F64 {
		ops = append(ops, op("div.rn", 2, func(x []number) number { return div(x[0], x[1]) }))
	}
	if t == ptx.F32 {
		for _, cmp := range []string{"eq", "neu", "lt", "le", "gt", "ge", "ltu"} {
			ops = append(ops, setp(cmp))
		}
	}
	return ops
}

// setp gives 1 or 0.
func setp(cmp string) Op {
	return Op{Text: "setp." + cmp + ".f32", In: times(ptx.F32, 2), Out: ptx.B32, Want: func(a []uint64) uint64 {
		x, y := math.Float32frombits(uint32(a[0])), math.Float32frombits(uint32(a[1]))
		nan := x != x || y != y
		ok := map[string]bool{"eq": x == y, "neu": nan || x != y, "lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "ltu": nan || x < y}[cmp]
		if ok {
			return 1
		}
		return 0
	}}
}

// approxOps may differ by what the ISA allows; its bounds, doubled where they are
// of the last place, as relative ones.
func approxOps() (ops []Op) {
	for _, o := range []struct {
		name  string
		bound float64
		f     func(float64) float64
		free  func(float64) bool
	}{
		{"rcp.approx", 0x1p-22, func(x float64) float64 { return 1 / x }, subnormal},
		{"rsqrt.approx", 0x1p-22, func(x float64) float64 { return 1 / math.Sqrt(x) }, subnormal},
		{"sqrt.rn", 0x1p-24, math.Sqrt, nil},
		{"ex2.approx", 0x1p-21, math.Exp2, func(x float64) bool { return math.Abs(x) > 126 }},
		{"ex2.approx.ftz", 0x1p-21, math.Exp2, func(x float64) bool { return math.Abs(x) >= 126 }},
		{"ex2.approx.ftz", 0x1p-21, math.Exp2, func(x float64) bool { return math.Abs(x) > 125 }},
		{"lg2.approx", 0x1p-20, math.Log2, func(x float64) bool { return subnormal(x) || x > 0.5 && x < 2 }},
		{"sin.approx", 0x1p-15, math.Sin, func(x float64) bool { return !(math.Abs(x) <= 3) || math.Abs(x) < 0x1p-4 }},
		{"cos.approx", 0x1p-15, math.Cos, func(x float64) bool { return !(math.Abs(x) <= 1.4) }},
		{"tanh.approx", 0x1p-10, math.Tanh, nil},
	} {
		ops = append(ops, Op{Text: o.name + ".f32", In: times(ptx.F32, 1), Out: ptx.F32, Bound: o.bound,
			Want: func(a []uint64) uint64 {
				return uint64(math.Float32bits(float32(o.f(float64(math.Float32frombits(uint32(a[0])))))))
			},
			Free: func(a []uint64) bool {
				return o.free != nil && o.free(float64(math.Float32frombits(uint32(a[0]))))
			}})
	}
	small := func(a []uint64) bool {
		for _, h := range []uint64{a[0] & 0xFFFF, a[0] >> 16} {
			if n := formats[ptx.F16].value(h); n.nan || n.inf || math.Abs(approximate(n)) > 13 {
				return true
			}
		}
		return false
	}
	return append(ops, Op{Text: "ex2.approx.f16x2", In: times(ptx.F16x2, 1), Out: ptx.F16x2, Bound: 0x1p-9, Free: small,
		Want: halves(ptx.F16x2, func(x []number) number {
			if x[0].nan || x[0].inf {
				return x[0]
			}
			y := math.Exp2(approximate(x[0]))
			if math.IsInf(y, 0) {
				return number{inf: true}
			}
			return fromRat(new(big.Rat).SetFloat64(y))
		})})
}

func approximate(n number) float64 {
	x, _ := n.rat().Float64()
	return x
}

func subnormal(x float64) bool {
	return x != 0 && math.Abs(x) < 0x1p-125 || math.Abs(x) > 0x1p125 && !math.IsInf(x, 0)
}

func conversions() (ops []Op) {
	ints := []ptx.Type{ptx.U32, ptx.S32, ptx.U64, ptx.S64}
	floats := []ptx.Type{ptx.F32, ptx.F16}
	for _, f := range floats {
		fm := formats[f]
		for _, i := range ints {
			size := uint(8 * i.Bytes())
			lo, hi := limits(size, i.Signed())
			ops = append(ops, Op{Text: "cvt.rzi." + i.String() + "." + f.String(), In: []ptx.Type{f}, Out: i, Want: func(a []uint64) uint64 {
				return fromBig(fm.value(a[0]).integer(lo, hi), size)
			}, Free: func(a []uint64) bool { return size == 64 && fm.value(a[0]).nan }},
				Op{Text: "cvt.rn." + f.String() + "." + i.String(), In: []ptx.Type{i}, Out: f, Want: func(a []uint64) uint64 {
					return fm.round(fromRat(new(big.Rat).SetInt(toBig(a[0], size, i.Signed()))))
				}})
		}
	}
	between := func(text string, to, from ptx.Type) Op {
		return Op{Text: text, In: []ptx.Type{from}, Out: to, Want: func(a []uint64) uint64 { return formats[to].round(formats[from].value(a[0])) }}
	}
	ops = append(ops, between("cvt.f32.f16", ptx.F32, ptx.F16), between("cvt.rn.f16.f32", ptx.F16, ptx.F32),
		between("cvt.rn.bf16.f32", ptx.BF16, ptx.F32), between("cvt.f32.bf16", ptx.F32, ptx.BF16))
	for _, t := range []ptx.Type{ptx.F16x2, ptx.BF16x2} {
		ops = append(ops, Op{Text: "cvt.rn." + t.String() + ".f32", In: times(ptx.F32, 2), Out: t, Want: func(a []uint64) uint64 {
			return formats[t].round(formats[ptx.F32].value(a[0]))<<16 | formats[t].round(formats[ptx.F32].value(a[1]))
		}})
	}
	for _, x := range [][2]ptx.Type{{ptx.U64, ptx.U32}, {ptx.S64, ptx.S32}, {ptx.U32, ptx.U64}, {ptx.U32, ptx.U16}, {ptx.S32, ptx.S16}, {ptx.U16, ptx.U32}, {ptx.S16, ptx.S32}, {ptx.S64, ptx.S16}} {
		to, from := x[0], x[1]
		ops = append(ops, Op{Text: "cvt." + to.String() + "." + from.String(), In: []ptx.Type{from}, Out: to, Want: func(a []uint64) uint64 {
			return fromBig(toBig(a[0], uint(8*from.Bytes()), from.Signed()), uint(8*to.Bytes()))
		}})
	}
	return ops
}

func limits(size uint, signed bool) (lo, hi *big.Int) {
	one := big.NewInt(1)
	if !signed {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, size), one)
	}
	top := new(big.Int).Lsh(one, size-1)
	return new(big.Int).Neg(top), new(big.Int).Sub(top, one)
}

// emit appends the instruction.
func (o *Op) emit(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
	if o.Build != nil {
		return o.Build(b, a)
	}
	args := make([]any, 0, len(a)+2)
	text, lut, isLop := strings.Cut(o.Text, "/")
	d := b.Reg(o.Out)
	if strings.HasPrefix(text, "setp") {
		d = b.Reg(ptx.Pred)
	}
	args = append(args, d)
	for _, r := range a {
		args = append(args, r)
	}
	if isLop {
		n := 0
		for _, c := range lut {
			n = 10*n + int(c-'0')
		}
		args = append(args, b.Imm(ptx.U32, n))
	}
	b.Emit(text, args...)
	if d.Type == ptx.Pred {
		return b.As(ptx.B32, b.Selp(b.Var(ptx.U32, 1), 0, d))
	}
	return d
}
