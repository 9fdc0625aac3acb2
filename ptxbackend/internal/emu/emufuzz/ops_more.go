package emufuzz

import (
	"math/big"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// comparisons are setp of integers and halves, alone and combined with a predicate.
func comparisons() (ops []Op) {
	order := map[string]func(c int) bool{"eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
		"lt": func(c int) bool { return c < 0 }, "le": func(c int) bool { return c <= 0 },
		"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 }}
	for _, t := range []ptx.Type{ptx.U16, ptx.S16, ptx.U32, ptx.S32, ptx.U64, ptx.S64} {
		for _, cmp := range []string{"eq", "ne", "lt", "le", "gt", "ge"} {
			size := uint(8 * t.Bytes())
			ops = append(ops, Op{Text: "setp." + cmp + "." + t.String(), In: times(t, 2), Out: ptx.B32, Want: func(a []uint64) uint64 {
				return truth(order[cmp](toBig(a[0], size, t.Signed()).Cmp(toBig(a[1], size, t.Signed()))))
			}})
		}
	}
	for _, cmp := range []string{"eq", "lt", "ge"} {
		ops = append(ops, Op{Text: "setp." + cmp + ".f16", In: times(ptx.F16, 2), Out: ptx.B32, Want: func(a []uint64) uint64 {
			x, y := formats[ptx.F16].value(a[0]), formats[ptx.F16].value(a[1])
			if x.nan || y.nan {
				return 0
			}
			c := 0
			if less(x, y) {
				c = -1
			} else if less(y, x) {
				c = 1
			}
			if !x.inf && !y.inf && x.abs.Sign() == 0 && y.abs.Sign() == 0 {
				c = 0
			}
			return truth(order[cmp](c))
		}})
	}
	for _, and := range []string{"and", "or", "xor"} {
		ops = append(ops, Op{Text: "setp.lt." + and + ".u32", In: times(ptx.U32, 4), Out: ptx.B32,
			Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
				q, p := b.Setp(ptx.Ge, a[2], a[3]), b.Reg(ptx.Pred)
				b.Emit("setp.lt."+and+".u32", p, a[0], a[1], q)
				return b.As(ptx.B32, b.Selp(b.Var(ptx.U32, 1), 0, p))
			}, Want: func(a []uint64) uint64 {
				p, q := a[0] < a[1], a[2] >= a[3]
				return truth(map[string]bool{"and": p && q, "or": p || q, "xor": p != q}[and])
			}},
			Op{Text: and + ".pred", In: times(ptx.U32, 4), Out: ptx.B32, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
				p, q := b.Setp(ptx.Lt, a[0], a[1]), b.Not(b.Setp(ptx.Lt, a[2], a[3]))
				r := map[string]func(x, y any) ptx.Reg{"and": b.And, "or": b.Or, "xor": b.Xor}[and](p, q)
				return b.As(ptx.B32, b.Selp(b.Var(ptx.U32, 1), 0, r))
			}, Want: func(a []uint64) uint64 {
				p, q := a[0] < a[1], a[2] >= a[3]
				return truth(map[string]bool{"and": p && q, "or": p || q, "xor": p != q}[and])
			}})
	}
	return ops
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// moves take registers apart, put them together, choose, and go through memory in
// narrow pieces.
func moves() []Op {
	return []Op{
		{Text: "mov.b64 {}", In: times(ptx.B32, 2), Out: ptx.B64, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			return b.Pack(ptx.B64, a[0], a[1])
		}, Want: func(a []uint64) uint64 { return a[0] | a[1]<<32 }},
		{Text: "mov.b32 {}", In: times(ptx.B16, 2), Out: ptx.B32, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			return b.Pack(ptx.B32, a[0], a[1])
		}, Want: func(a []uint64) uint64 { return a[0] | a[1]<<16 }},
		{Text: "mov {}, b64", In: times(ptx.B64, 1), Out: ptx.B64, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			lo, hi := b.Unpack(ptx.B32, a[0])
			return b.Pack(ptx.B64, hi, lo)
		}, Want: func(a []uint64) uint64 { return a[0]>>32 | a[0]<<32 }},
		{Text: "mov {}, b32", In: times(ptx.B32, 1), Out: ptx.B32, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			lo, hi := b.Unpack(ptx.B16, a[0])
			return b.Pack(ptx.B32, hi, lo)
		}, Want: func(a []uint64) uint64 { return a[0]>>16 | a[0]<<16&0xFFFFFFFF }},
		{Text: "selp.b64", In: []ptx.Type{ptx.U64, ptx.U64, ptx.U32}, Out: ptx.U64, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			return b.Selp(a[0], a[1], b.Setp(ptx.Lt, a[2], 1000))
		}, Want: func(a []uint64) uint64 {
			if a[2] < 1000 {
				return a[0]
			}
			return a[1]
		}},
		{Text: "st.shared.u8, ld.shared.s8", In: times(ptx.U32, 1), Out: ptx.S32, Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			s := b.Add(b.Shared("bytes", 16, 256), b.Mul(b.Tid(0), 4))
			b.StNarrow(ptx.Shared, ptx.U8, s, 1, a[0])
			return b.Ld(ptx.Shared, ptx.S8, s, 1)
		}, Want: func(a []uint64) uint64 { return fromBig(toBig(a[0], 8, true), 32) }},
		{Text: "popc.b64", In: times(ptx.B64, 1), Out: ptx.U32, Want: func(a []uint64) uint64 { return popcount(a[0]) }},
		{Text: "clz.b64", In: times(ptx.B64, 1), Out: ptx.U32, Want: func(a []uint64) uint64 {
			return uint64(64 - new(big.Int).SetUint64(a[0]).BitLen())
		}},
		{Text: "bfe.u64", In: []ptx.Type{ptx.U64, ptx.U32, ptx.U32}, Out: ptx.U64, Want: func(a []uint64) uint64 { return bfeBits(a, 64, false) }},
		{Text: "bfe.s64", In: []ptx.Type{ptx.S64, ptx.U32, ptx.U32}, Out: ptx.S64, Want: func(a []uint64) uint64 { return bfeBits(a, 64, true) }},
	}
}

// atomics are done by each thread on a place of its own; the result is what is there
// afterwards, inverted if atom has not returned what was there before.
func atomics() (ops []Op) {
	wrap := func(t ptx.Type, f func(x, y *big.Int) *big.Int) func(a []uint64) uint64 {
		size := uint(8 * t.Bytes())
		return func(a []uint64) uint64 {
			return fromBig(f(toBig(a[0], size, t.Signed()), toBig(a[1], size, t.Signed())), size)
		}
	}
	z := func() *big.Int { return new(big.Int) }
	for _, t := range []ptx.Type{ptx.U32, ptx.S32, ptx.U64} {
		ops = append(ops, atomic("add", t, 2, wrap(t, func(x, y *big.Int) *big.Int { return z().Add(x, y) })))
	}
	for _, t := range []ptx.Type{ptx.U32, ptx.S32, ptx.U64, ptx.S64} {
		ops = append(ops, atomic("min", t, 2, wrap(t, func(x, y *big.Int) *big.Int {
			if x.Cmp(y) < 0 {
				return x
			}
			return y
		})), atomic("max", t, 2, wrap(t, func(x, y *big.Int) *big.Int {
			if x.Cmp(y) > 0 {
				return x
			}
			return y
		})))
	}
	for _, t := range []ptx.Type{ptx.B32, ptx.B64} {
		ops = append(ops, atomic("and", t, 2, func(a []uint64) uint64 { return a[0] & a[1] }),
			atomic("or", t, 2, func(a []uint64) uint64 { return a[0] | a[1] }), atomic("xor", t, 2, func(a []uint64) uint64 { return a[0] ^ a[1] }),
			atomic("exch", t, 2, func(a []uint64) uint64 { return a[1] }), atomic("cas", t, 3, func(a []uint64) uint64 {
				if a[0] == a[1] {
					return a[2]
				}
				return a[0]
			}))
	}
	ops = append(ops, atomic("inc", ptx.U32, 2, func(a []uint64) uint64 {
		if a[0] >= a[1] {
			return 0
		}
		return a[0] + 1
	}), atomic("dec", ptx.U32, 2, func(a []uint64) uint64 {
		if a[0] == 0 || a[0] > a[1] {
			return a[1]
		}
		return a[0] - 1
	}))
	f32add := atomic("add", ptx.F32, 2, halves(ptx.F32, func(x []number) number { return add(x[0], x[1]) }))
	f32add.Free = func(a []uint64) bool { // hardware takes subnormals for 0 here, in global memory at least
		for _, u := range a {
			if n := formats[ptx.F32].value(u); !n.nan && !n.inf && n.abs.Cmp(pow2(-100)) < 0 || n.nan {
				return true
			}
		}
		return false
	}
	return append(ops, f32add)
}

func atomic(op string, t ptx.Type, n int, want func(a []uint64) uint64) Op {
	return Op{Text: "atom.shared." + op + "." + t.String(), In: times(t, n), Out: t, Want: want,
		Build: func(b *ptx.Builder, a []ptx.Reg) ptx.Reg {
			at := b.Add(b.Shared("place", 16, 512), b.Mul(b.Tid(0), 8))
			b.St(ptx.Shared, at, 0, a[0])
			old := b.Atom(ptx.Shared, "", op, at, 0, a[1:]...)
			now := b.Ld(ptx.Shared, t, at, 0)
			bits := t.Bits()
			u := map[ptx.Type]ptx.Type{ptx.B32: ptx.U32, ptx.B64: ptx.U64}[bits]
			same := b.Setp(ptx.Eq, b.As(u, old), b.As(u, a[0]))
			return b.As(t, b.Selp(b.As(u, now), b.Not(b.As(u, now)), same))
		}}
}
