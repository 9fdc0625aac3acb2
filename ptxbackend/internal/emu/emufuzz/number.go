package emufuzz

import (
	"math/big"
	"math/bits"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// number is the value of a float of any type, exactly.
type number struct {
	nan, inf, neg bool     // neg is the sign, of zero too
	abs           *big.Rat // of a finite number
}

// format is a binary floating-point format: bits of the significand with the one
// not stored, and the exponent of the smallest normal number.
type format struct {
	bits, precision, minExp int
}

var formats = map[ptx.Type]format{
	ptx.F16: {16, 11, -14}, ptx.BF16: {16, 8, -126}, ptx.F32: {32, 24, -126}, ptx.F64: {64, 53, -1022},
	ptx.F16x2: {16, 11, -14}, ptx.BF16x2: {16, 8, -126},
}

func pow2(n int) *big.Rat {
	x := new(big.Int).Lsh(big.NewInt(1), uint(max(n, -n)))
	if n < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), x)
	}
	return new(big.Rat).SetInt(x)
}

// value is what the bits u of a format mean.
func (f format) value(u uint64) number {
	stored := f.precision - 1
	frac := u & (1<<stored - 1)
	exp := int(u >> stored & (1<<(f.bits-f.precision) - 1))
	n := number{neg: u>>(f.bits-1)&1 != 0}
	switch {
	case exp == 1<<(f.bits-f.precision)-1:
		n.nan, n.inf = frac != 0, frac == 0
		return n
	case exp == 0:
		exp = 1
	default:
		frac |= 1 << stored
	}
	n.abs = new(big.Rat).SetInt(new(big.Int).SetUint64(frac))
	n.abs.Mul(n.abs, pow2(f.minExp+exp-1-stored))
	return n
}

// round is the bits of the number nearest to n, ties to even.
func (f format) round(n number) uint64 {
	stored := f.precision - 1
	sign := uint64(0)
	if n.neg {
		sign = 1 << (f.bits - 1)
	}
	infinite := uint64(1<<(f.bits-f.precision)-1) << stored
	switch {
	case n.nan:
		return 1<<(f.bits-1) - 1
	case n.inf:
		return sign | infinite
	case n.abs.Sign() == 0:
		return sign
	}
	e := n.abs.Num().BitLen() - n.abs.Denom().BitLen()
	if n.abs.Cmp(pow2(e)) < 0 {
		e--
	}
	e = max(e, f.minExp)
	q := new(big.Rat).Mul(n.abs, pow2(stored-e)) // in units of the last place
	whole, rest := new(big.Int).QuoRem(q.Num(), q.Denom(), new(big.Int))
	u := whole.Uint64()
	if c := rest.Lsh(rest, 1).Cmp(q.Denom()); c > 0 || c == 0 && u&1 != 0 {
		u++
	}
	u += uint64(e-f.minExp) << stored // carries the hidden bit into the exponent
	if e == f.minExp && u < 1<<stored {
		return sign | u
	}
	return sign | min(u, infinite)
}

func (n number) minus() number {
	n.neg = !n.neg
	return n
}

func zero(neg bool) number { return number{neg: neg, abs: new(big.Rat)} }

func fromRat(x *big.Rat) number { return number{neg: x.Sign() < 0, abs: new(big.Rat).Abs(x)} }

func (n number) rat() *big.Rat {
	x := new(big.Rat).Set(n.abs)
	if n.neg {
		x.Neg(x)
	}
	return x
}

func mul(a, b number) number {
	neg := a.neg != b.neg
	switch {
	case a.nan || b.nan, a.inf && !b.inf && b.abs.Sign() == 0, b.inf && !a.inf && a.abs.Sign() == 0:
		return number{nan: true}
	case a.inf || b.inf:
		return number{inf: true, neg: neg}
	}
	return number{neg: neg, abs: new(big.Rat).Mul(a.abs, b.abs)}
}

func add(a, b number) number {
	switch {
	case a.nan || b.nan, a.inf && b.inf && a.neg != b.neg:
		return number{nan: true}
	case a.inf:
		return a
	case b.inf:
		return b
	case a.abs.Sign() == 0 && b.abs.Sign() == 0:
		return zero(a.neg && b.neg)
	}
	return fromRat(new(big.Rat).Add(a.rat(), b.rat()))
}

func div(a, b number) number {
	neg := a.neg != b.neg
	switch {
	case a.nan || b.nan, a.inf && b.inf:
		return number{nan: true}
	case a.inf:
		return number{inf: true, neg: neg}
	case b.inf:
		return zero(neg)
	case b.abs.Sign() == 0 && a.abs.Sign() == 0:
		return number{nan: true}
	case b.abs.Sign() == 0:
		return number{inf: true, neg: neg}
	}
	return number{neg: neg, abs: new(big.Rat).Quo(a.abs, b.abs)}
}

// less orders numbers, -0 before +0.
func less(a, b number) bool {
	key := func(n number) *big.Rat {
		if n.inf {
			x := pow2(5000)
			if n.neg {
				x.Neg(x)
			}
			return x
		}
		return n.rat()
	}
	if c := key(a).Cmp(key(b)); c != 0 {
		return c < 0
	}
	return a.neg && !b.neg
}

// pick is the smaller, or larger, of two; a NaN loses.
func pick(a, b number, larger bool) number {
	switch {
	case a.nan:
		return b
	case b.nan:
		return a
	case less(a, b) != larger:
		return a
	}
	return b
}

// integer is x toward zero, within [lo, hi].
func (n number) integer(lo, hi *big.Int) *big.Int {
	switch {
	case n.nan:
		return new(big.Int)
	case n.inf && n.neg:
		return lo
	case n.inf:
		return hi
	}
	q := new(big.Int).Quo(n.abs.Num(), n.abs.Denom())
	if n.neg {
		q.Neg(q)
	}
	if q.Cmp(lo) < 0 {
		return lo
	}
	if q.Cmp(hi) > 0 {
		return hi
	}
	return q
}

// integers: a register's bits as a number of size bits, and back.

func toBig(u uint64, size uint, signed bool) *big.Int {
	u = u << (64 - size) >> (64 - size)
	x := new(big.Int).SetUint64(u)
	if signed && u>>(size-1) != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), size))
	}
	return x
}

func fromBig(x *big.Int, size uint) uint64 {
	m := new(big.Int).Lsh(big.NewInt(1), size)
	return new(big.Int).Mod(x, m).Uint64()
}

func popcount(u uint64) uint64 { return uint64(bits.OnesCount64(u)) }
