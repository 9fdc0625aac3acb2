package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// scales returns, for the codes of a step in row g (row 0) or g+8 (row 1), factor
// and summand, each twice in a pair. They are made when first asked for.
func (u *Unit) scales(part, step, row int) [2]ptx.Reg {
	key := 2*part + step/2
	if u.f.f == FormatQ6_K {
		key = 4*part + step
	}
	if by, ok := u.factor[row][key]; ok {
		return by
	}
	var by [2]ptx.Reg
	switch u.f.f {
	case FormatMXFP4:
		sel := []int{0x0404, 0x1414}[step/2] + 0x2020*row
		by[0] = u.f.b.As(ptx.F16x2, u.f.b.Prmt(u.scale[0], 0, sel))
	case FormatQ8_0:
		by = u.symmetric(row, step/2, 0x80808080)
	case FormatQ4_0:
		by = u.symmetric(row, step/2, []uint32{0x80088008, 0x80808080}[step/2])
	case FormatQ5_0:
		by = u.symmetric(row, step/2, []uint32{0x80108010, 0x81008100}[step/2])
	case FormatQ4_K, FormatQ5_K:
		by = u.affine(row, key)
	case FormatQ6_K:
		by = u.bytes(row, part, step)
		return by
	}
	u.factor[row][key] = by
	return by
}

// splat is the lower (0) or upper (1) half of x, twice.
func (f *Fragments) splat(x ptx.Reg, half int) ptx.Reg {
	return f.b.As(ptx.F16x2, f.b.Prmt(f.b.As(ptx.B32, x), 0, 0x1010+0x2222*half))
}

// constant is a pair of halves given by its bits.
func (f *Fragments) constant(bits uint32) ptx.Reg {
	r, ok := f.half[bits]
	if !ok {
		r = f.b.Var(ptx.F16x2, bits)
		f.half[bits] = r
	}
	return r
}

// symmetric is a scale and its product with the code in the middle, negated and in
// the units of the codes: the pair middle.
func (u *Unit) symmetric(row, group int, middle uint32) [2]ptx.Reg {
	s := u.f.splat(u.scale[row], group)
	return [2]ptx.Reg{s, u.f.b.Mul(s, u.f.constant(middle))}
}

// superScales are d and -dmin of a row (Q4_K, Q5_K) or d twice (Q6_K), d being 16
// times smaller where the group is odd.
func (u *Unit) superScales(row, odd int) ptx.Reg {
	if r := u.wide[row][odd]; !r.IsZero() {
		return r
	}
	b := u.f.b
	switch {
	case odd == 1 && u.f.f == FormatQ6_K:
		u.wide[row][1] = b.Mul(u.superScales(row, 0), u.f.constant(0x2c002c00)) // 1/16 twice
	case odd == 1:
		u.wide[row][1] = b.Mul(u.superScales(row, 0), u.f.constant(0x3c002c00)) // 1/16 and 1
	case u.f.f == FormatQ6_K:
		u.wide[row][0] = u.f.splat(u.super, row)
	default:
		u.wide[row][0] = b.As(ptx.F16x2, u.scale[4*row])
	}
	return u.wide[row][odd]
}

// affine is scale and minimum of a group: 6 bits each, unpacked to an integral half
// (from 1024 + s) and to m * 2^-24.
func (u *Unit) affine(row, group int) [2]ptx.Reg {
	b, w := u.f.b, u.scale[4*row+1:4*row+4]
	const magic, or = 0x6400, ptx.LutA&ptx.LutB | ptx.LutC
	take := func(x ptx.Reg, shift int, mask uint32, with any) ptx.Reg {
		if shift > 0 {
			x = b.Shr(x, shift)
		}
		return b.Lop3(x, mask, with, or)
	}
	var v ptx.Reg
	switch group {
	case 6:
		v = take(w[2], 8, 0x00300030, take(w[0], 12, 0x000f000f, magic))
	case 7:
		v = take(w[2], 10, 0x00300030, take(w[1], 12, 0x000f000f, magic))
	default:
		v = take(w[group/2], 6*(group%2), 0x003f003f, magic)
	}
	v = b.Mul(b.Add(b.As(ptx.F16x2, v), u.f.constant(0x0000e400)), u.superScales(row, group%2))
	return [2]ptx.Reg{u.f.splat(v, 0), u.f.splat(v, 1)}
}

// bytes makes the scales of two steps of Q6_K from two bytes, 128 more than they
// are, and the products with -32.
func (u *Unit) bytes(row, part, step int) [2]ptx.Reg {
	b, group := u.f.b, step/2
	v := b.Prmt(u.scale[4*row+part], uint32(0x64646464), []int{0x4140, 0x4342}[group])
	s := b.Mul(b.Add(b.As(ptx.F16x2, v), u.f.constant(0xe480e480)), u.superScales(row, group))
	c := b.Mul(s, u.f.constant([]uint32{0x80208020, 0x82008200}[group]))
	for i := range 2 {
		u.factor[row][4*part+2*group+i] = [2]ptx.Reg{u.f.splat(s, i), u.f.splat(c, i)}
	}
	return u.factor[row][4*part+step]
}
