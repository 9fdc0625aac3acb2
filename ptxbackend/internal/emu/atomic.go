package emu

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// An atomic operation gives the new value of what was there; y is the second
// operand of cas.
type atomicOp func(old, x, y uint64) uint64

var atomicOps = map[string]atomicOp{
	"add.u32": func(o, x, _ uint64) uint64 { return o + x }, "add.s32": func(o, x, _ uint64) uint64 { return o + x },
	"add.u64": func(o, x, _ uint64) uint64 { return o + x }, "add.s64": func(o, x, _ uint64) uint64 { return o + x },
	"add.f32": func(o, x, _ uint64) uint64 { return uint64(bits32(f32(uint32(o)) + f32(uint32(x)))) },
	"add.f64": func(o, x, _ uint64) uint64 { return bits64(f64(o) + f64(x)) },
	"add.noftz.f16x2": func(o, x, _ uint64) uint64 {
		a, b := uint32(o), uint32(x)
		return uint64(addHalf(a&0xFFFF, b&0xFFFF) | addHalf(a>>16, b>>16)<<16)
	},
	"add.noftz.bf16x2": func(o, x, _ uint64) uint64 {
		a, b := uint32(o), uint32(x)
		return uint64(addBF(a&0xFFFF, b&0xFFFF) | addBF(a>>16, b>>16)<<16)
	},
	"add.noftz.f16": func(o, x, _ uint64) uint64 { return uint64(addHalf(uint32(o), uint32(x))) },
	"min.u32":       func(o, x, _ uint64) uint64 { return min(o, x) }, "max.u32": func(o, x, _ uint64) uint64 { return max(o, x) },
	"min.s32": func(o, x, _ uint64) uint64 { return uint64(uint32(min(int32(o), int32(x)))) },
	"max.s32": func(o, x, _ uint64) uint64 { return uint64(uint32(max(int32(o), int32(x)))) },
	"min.u64": func(o, x, _ uint64) uint64 { return min(o, x) }, "max.u64": func(o, x, _ uint64) uint64 { return max(o, x) },
	"min.s64": func(o, x, _ uint64) uint64 { return uint64(min(int64(o), int64(x))) },
	"max.s64": func(o, x, _ uint64) uint64 { return uint64(max(int64(o), int64(x))) },
	"and.b32": func(o, x, _ uint64) uint64 { return o & x }, "or.b32": func(o, x, _ uint64) uint64 { return o | x },
	"xor.b32": func(o, x, _ uint64) uint64 { return o ^ x },
	"and.b64": func(o, x, _ uint64) uint64 { return o & x }, "or.b64": func(o, x, _ uint64) uint64 { return o | x },
	"xor.b64":  func(o, x, _ uint64) uint64 { return o ^ x },
	"exch.b32": func(_, x, _ uint64) uint64 { return x }, "exch.b64": func(_, x, _ uint64) uint64 { return x },
	"cas.b32": cas, "cas.b64": cas,
	"inc.u32": func(o, x, _ uint64) uint64 {
		if o >= x {
			return 0
		}
		return o + 1
	},
	"dec.u32": func(o, x, _ uint64) uint64 {
		if o == 0 || o > x {
			return x
		}
		return o - 1
	},
}

func cas(o, x, y uint64) uint64 {
	if o == x {
		return y
	}
	return o
}

// decodeAtomic decodes atom and red: op[.sem][.scope].space.op[.noftz].type.
func (c *compiler) decodeAtomic() {
	in, red := c.in, c.op[0] == "red"
	space, name := ptx.Generic, ""
	for _, s := range c.op[1:] {
		switch s {
		case "global":
			space = ptx.Global
		case "shared", "shared::cta":
			space = ptx.Shared
		case "acquire":
			in.hint |= accessAcquire
		case "release":
			in.hint |= accessRelease
		case "acq_rel":
			in.hint |= accessAcquire | accessRelease
		case "relaxed", "gpu", "cta", "sys":
		default:
			if name != "" {
				name += "."
			}
			name += s
		}
	}
	op, ok := atomicOps[name]
	if !ok {
		c.fail("atomic %s is not emulated", name)
		return
	}
	t, _ := ptx.ParseType(c.op[len(c.op)-1])
	in.size, in.n = int32(t.Bytes()), 1
	in.hint |= accessCoherent | accessAtomic
	i := 0
	if !red {
		in.d = c.dst(0, t.Bytes())
		i = 1
	}
	in.a, in.off = c.address(i, space)
	src := c.src32
	if t.Bytes() == 8 {
		src = c.src64
	}
	in.b = src(i + 1)
	if in.c = in.b; len(c.src.Args) > i+2 {
		in.c = src(i + 2)
	}
	if space == ptx.Global {
		in.site = int32(c.p.sites)
		c.p.sites++
	}
	in.run = func(w *warp, in *instr, m uint32) { runAtomic(w, in, m, op, space == ptx.Global, !red) }
}

func runAtomic(w *warp, in *instr, m uint32, op atomicOp, global, result bool) {
	w.blk.dev.atomic.Lock()
	defer w.blk.dev.atomic.Unlock()
	for x := m; x != 0; x &= x - 1 {
		l := lowest(x)
		var b []byte
		if global {
			addr := w.w(in.a)[l] + in.off
			b = w.global(in, l, addr, uint64(in.size), true)
			w.blk.strong(in, addr, result, true)
		} else {
			at := w.sharedAt(l, w.v(in.a)[l]+uint32(in.off), uint32(in.size))
			w.checkAtomic(l, at, int(in.size))
			b = w.blk.shared[at : at+uint32(in.size)]
		}
		w.atomicLane(in, l, b, op, result)
	}
}

func (w *warp) atomicLane(in *instr, l int, b []byte, op atomicOp, result bool) {
	switch in.size {
	case 8:
		old := binary.LittleEndian.Uint64(b)
		binary.LittleEndian.PutUint64(b, op(old, w.w(in.b)[l], w.w(in.c)[l]))
		if result {
			w.r64[in.d][l] = old
		}
	case 4:
		old := binary.LittleEndian.Uint32(b)
		binary.LittleEndian.PutUint32(b, uint32(op(uint64(old), uint64(w.v(in.b)[l]), uint64(w.v(in.c)[l]))))
		if result {
			w.r32[in.d][l] = old
		}
	case 2:
		old := binary.LittleEndian.Uint16(b)
		binary.LittleEndian.PutUint16(b, uint16(op(uint64(old), uint64(w.v(in.b)[l]), uint64(w.v(in.c)[l]))))
		if result {
			w.r32[in.d][l] = uint32(old)
		}
	}
}

// checkAtomic wants an atomic access to shared memory to be ordered with the plain
// ones of other warps; among themselves atomics need no order.
func (w *warp) checkAtomic(l int, at uint32, size int) {
	r := &w.blk.race
	for g := at / 4; g < (at+uint32(size)+3)/4; g++ {
		if r.held[g] != 0 {
			w.heldFault(l, g, r.held[g], "changed")
		}
		e := r.write[g]
		if c, v := uint32(e>>32), int(e&warpBits); c > r.base && v != w.id && c > w.known[v] {
			w.raceFault(l, g, "changes", "%s wrote", w.blk.agentName(v))
		}
	}
}
