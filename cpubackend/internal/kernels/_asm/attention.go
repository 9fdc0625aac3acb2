package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Attention over one page: the cache is F16 or F32, heads come in groups of up
// to 4.

var cacheTypes = []plain{{"F16", 2}, {"F32", 4}}

func emitAttention(a *asm) {
	a.widths(func(v vec) {
		for _, t := range cacheTypes {
			for _, heads := range []int{4, 3, 2, 1} {
				scores(v, t, heads)
				for _, columns := range []int{4, 2, 1} {
					if heads*columns <= v.lanes {
						weightedSum(v, t, heads, columns)
					}
				}
			}
		}
	})
}

// widenCache loads a register's worth of the cache.
func (v vec) widenCache(t plain, from Mem, r reg.VecVirtual) {
	if t.size == 2 {
		v.VCVTPH2PS(from, r)
	} else {
		v.VMOVUPS(from, r)
	}
}

// scores: four keys at a time.
func scores(v vec, t plain, heads int) {
	keys := 4
	name := fmt.Sprintf("scores%sx%d%s", t.name, heads, v.isa)
	v.function(name, "dst *float32, stride int, q, k *byte, d, groups, ahead int, scale float32",
		fmt.Sprintf("%s sets dst[i*stride+j] = scale * q[i] . k[j] for %d heads and groups of 4 keys of d columns.", name, heads))
	dst, stride, k, d, groups := v.arg("dst"), v.arg("stride"), v.arg("k"), v.arg("d"), v.arg("groups")
	scale := v.XMM()
	v.Load(v.Param("scale"), scale)
	v.VBROADCASTSS(scale, scale)
	v.SHLQ(Imm(2), stride)
	qs, ks, ks3 := v.GP64(), v.GP64(), v.GP64() // bytes of a row
	v.MOVQ(d, qs)
	v.SHLQ(Imm(2), qs)
	v.MOVQ(d, ks)
	v.SHLQ(Imm(uint64(t.size/2)), ks)
	v.LEAQ(atIndex(ks, ks, 2, 0), ks3)
	qs3 := v.GP64()
	v.LEAQ(atIndex(qs, qs, 2, 0), qs3)
	rowOf := func(base, s, s3 reg.Register, i, disp int) Mem {
		switch i {
		case 0:
			return at(base, disp)
		case 3:
			return atIndex(base, s3, 1, disp)
		}
		return atIndex(base, s, uint8(i), disp)
	}
	v.loop(groups, func() {
		// With sixteen registers two heads are done at a time.
		together := heads
		if v.lanes == 8 {
			together = min(heads, 2)
		}
		out := v.GP64()
		v.MOVQ(dst, out)
		q0, next := v.arg("q"), v.GP64()
		for h0 := 0; h0 < heads; h0 += together {
			together := min(together, heads-h0)
			q, kp, n := v.GP64(), v.GP64(), v.GP64()
			v.MOVQ(q0, q)
			v.MOVQ(k, kp)
			v.MOVQ(d, n)
			if h0 == 0 {
				v.MOVQ(v.arg("ahead"), next)
				v.ADDQ(k, next)
			}
			acc := v.regs(together * keys)
			v.zero(acc...)
			v.SHRQ(Imm(map[int]uint64{16: 4, 8: 3}[v.lanes]), n)
			v.loop(n, func() {
				x := v.regs(together)
				for h := range x {
					v.VMOVUPS(rowOf(q, qs, qs3, h, 0), x[h])
				}
				for j := range keys {
					w := v.reg()
					v.widenCache(t, rowOf(kp, ks, ks3, j, 0), w)
					for h := range x {
						v.VFMADD231PS(w, x[h], acc[h*keys+j])
					}
				}
				if h0 == 0 {
					for i := range keys * t.size * v.lanes / 64 {
						v.PREFETCHT0(at(next, 64*i))
					}
					v.ADDQ(imm(keys*t.size*v.lanes), next)
				}
				v.ADDQ(imm(v.bytes()), q)
				v.ADDQ(imm(t.size*v.lanes), kp)
			})
			for h := range together {
				s := v.fourSums(acc[h*keys : h*keys+4])
				v.VMULPS(scale, s, s)
				v.VMOVUPS(s, at(out, 0))
				v.ADDQ(stride, out)
			}
			v.LEAQ(rowOf(q0, qs, qs3, together, 0), q0)
		}
		v.ADDQ(imm(16), dst)
		v.LEAQ(atIndex(k, ks, 4, 0), k)
	})
	v.finish()
}

// fourSums adds up the lanes of four registers into one of 128 bits.
func (v vec) fourSums(acc []reg.VecVirtual) reg.Register {
	if v.lanes == 16 {
		s := v.joinRows(acc)
		v.sumLanes(s)
		return s.AsX()
	}
	u, w := v.YMM(), v.YMM()
	v.VHADDPS(acc[1], acc[0], u)
	v.VHADDPS(acc[3], acc[2], w)
	v.VHADDPS(w, u, u)
	x := v.XMM()
	v.VEXTRACTF128(Imm(1), u, x)
	v.VADDPS(x, u.AsX(), x)
	return x
}

func weightedSum(v vec, t plain, heads, columns int) {
	name := fmt.Sprintf("weightedSum%sx%dx%d%s", t.name, heads, columns, v.isa)
	v.function(name, "acc *float32, stride int, p *float32, pstride int, v *byte, vstride, n, ahead int",
		fmt.Sprintf("%s adds p[i*pstride+j] * v[j] to %d rows of acc, %d columns, over n positions.", name, heads, columns*v.lanes))
	acc, stride, p, pstride, from, vstride, n := v.arg("acc"), v.arg("stride"), v.arg("p"), v.arg("pstride"), v.arg("v"), v.arg("vstride"), v.arg("n")
	ahead := v.arg("ahead")
	v.SHLQ(Imm(2), stride)
	v.SHLQ(Imm(2), pstride)
	p3 := v.GP64()
	if heads == 4 {
		v.LEAQ(atIndex(pstride, pstride, 2, 0), p3)
	}
	sums := v.regs(heads * columns)
	row := v.GP64()
	v.MOVQ(acc, row)
	for h := range heads {
		for c := range columns {
			v.VMOVUPS(at(row, c*v.bytes()), sums[h*columns+c])
		}
		if h+1 < heads {
			v.ADDQ(stride, row)
		}
	}
	v.loop(n, func() {
		w := v.regs(columns)
		for c := range w {
			v.widenCache(t, at(from, c*t.size*v.lanes), w[c])
		}
		for h := range heads {
			var m Mem
			switch h {
			case 0:
				m = at(p, 0)
			case 3:
				m = atIndex(p, p3, 1, 0)
			default:
				m = atIndex(p, pstride, uint8(h), 0)
			}
			weight := v.reg()
			v.VBROADCASTSS(m, weight)
			for c := range w {
				v.VFMADD231PS(w[c], weight, sums[h*columns+c])
			}
		}
		for c := 0; c < columns*t.size*v.lanes; c += 64 {
			v.PREFETCHT0(atIndex(from, ahead, 1, c))
		}
		v.ADDQ(imm(4), p)
		v.ADDQ(vstride, from)
	})
	for h := range heads {
		for c := range columns {
			v.VMOVUPS(sums[h*columns+c], at(acc, c*v.bytes()))
		}
		if h+1 < heads {
			v.ADDQ(stride, acc)
		}
	}
	v.finish()
}
