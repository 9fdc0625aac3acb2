package emu

import (
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

type number interface {
	~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

func compare[T number](op string) func(x, y T) bool {
	switch op {
	case "eq":
		return func(x, y T) bool { return x == y }
	case "ne":
		return func(x, y T) bool { return x != y && x == x && y == y }
	case "neu":
		return func(x, y T) bool { return x != y }
	case "lt", "lo":
		return func(x, y T) bool { return x < y }
	case "le", "ls":
		return func(x, y T) bool { return x <= y }
	case "gt", "hi":
		return func(x, y T) bool { return x > y }
	case "ge", "hs":
		return func(x, y T) bool { return x >= y }
	case "equ":
		return func(x, y T) bool { return !(x < y || x > y) }
	case "ltu":
		return func(x, y T) bool { return !(x >= y) }
	case "leu":
		return func(x, y T) bool { return !(x > y) }
	case "gtu":
		return func(x, y T) bool { return !(x <= y) }
	case "geu":
		return func(x, y T) bool { return !(x < y) }
	case "num":
		return func(x, y T) bool { return x == x && y == y }
	case "nan":
		return func(x, y T) bool { return x != x || y != y }
	}
	return nil
}

// lanesBy is the lanes where op holds between a and b seen as T.
func lanesBy[T number](op string, as func(uint32) T) func(a, b *vec) uint32 {
	f := compare[T](op)
	if f == nil {
		return nil
	}
	return func(a, b *vec) (m uint32) {
		for l := range a {
			if f(as(a[l]), as(b[l])) {
				m |= 1 << l
			}
		}
		return m
	}
}

func wideBy[T number](op string, as func(uint64) T) func(a, b *wide) uint32 {
	f := compare[T](op)
	if f == nil {
		return nil
	}
	return func(a, b *wide) (m uint32) {
		for l := range a {
			if f(as(a[l]), as(b[l])) {
				m |= 1 << l
			}
		}
		return m
	}
}

// decodeSetp decodes setp.cmp[.and|.or|.xor].type p[|q], a, b[, [!]c].
func (c *compiler) decodeSetp() {
	in := c.in
	cmp, typ := c.part(1), c.op[len(c.op)-1]
	t, _ := ptx.ParseType(typ)
	in.d = c.dst(0, 0)
	if t.Bytes() == 8 {
		in.a, in.b = c.src64(1), c.src64(2)
		c.setpWide(cmp, t)
	} else {
		in.a, in.b = c.src32(1), c.src32(2)
		c.setpNarrow(cmp, t)
	}
	if in.test == nil && in.testWide == nil {
		c.fail("comparison %s of %v is not emulated", cmp, t)
		return
	}
	combine, third, not := "", int32(predTrue), false
	if len(c.op) == 4 {
		combine = c.part(2)
		third, not = c.srcPred(3)
	}
	in.run = func(w *warp, in *instr, m uint32) {
		var r uint32
		if in.test != nil {
			r = in.test(w.v(in.a), w.v(in.b))
		} else {
			r = in.testWide(w.w(in.a), w.w(in.b))
		}
		switch combine {
		case "and":
			r &= w.pred(third, not)
		case "or":
			r |= w.pred(third, not)
		case "xor":
			r ^= w.pred(third, not)
		}
		w.setPred(in.d, m, r)
	}
}

func (c *compiler) setpNarrow(cmp string, t ptx.Type) {
	if !t.Float() && t.Bytes() == 2 && c.arg(2).Kind == ptx.ArgImm {
		c.in.b = c.const32(uint32(c.arg(2).Imm) & 0xFFFF)
	}
	switch t {
	case ptx.U32, ptx.B32, ptx.U16, ptx.B16:
		c.in.test = lanesBy(cmp, func(x uint32) uint32 { return x })
		c.usualCompare(cmp)
	case ptx.S32:
		c.in.test = lanesBy(cmp, func(x uint32) int32 { return int32(x) })
	case ptx.S16:
		c.in.test = lanesBy(cmp, func(x uint32) int32 { return int32(int16(x)) })
	case ptx.F32:
		c.in.test = lanesBy(cmp, f32)
	case ptx.F16:
		c.in.test = lanesBy(cmp, halfTo32)
	case ptx.BF16:
		c.in.test = lanesBy(cmp, bfTo32)
	}
}

// usualCompare has loops for the comparisons loops are made of.
func (c *compiler) usualCompare(cmp string) {
	switch {
	case strings.HasPrefix(cmp, "lt") || cmp == "lo":
		c.in.test = func(a, b *vec) (m uint32) {
			for l := range a {
				if a[l] < b[l] {
					m |= 1 << l
				}
			}
			return m
		}
	case cmp == "eq":
		c.in.test = func(a, b *vec) (m uint32) {
			for l := range a {
				if a[l] == b[l] {
					m |= 1 << l
				}
			}
			return m
		}
	}
}

func (c *compiler) setpWide(cmp string, t ptx.Type) {
	switch t {
	case ptx.U64, ptx.B64:
		c.in.testWide = wideBy(cmp, func(x uint64) uint64 { return x })
	case ptx.S64:
		c.in.testWide = wideBy(cmp, func(x uint64) int64 { return int64(x) })
	case ptx.F64:
		c.in.testWide = wideBy(cmp, f64)
	}
}
