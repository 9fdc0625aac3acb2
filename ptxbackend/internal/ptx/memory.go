package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// Hint modifies a load or a store.
type Hint string

// The hints.
const (
	NC          Hint = "nc"              // data nobody writes while the kernel runs (global loads)
	NoAllocate  Hint = "L1::no_allocate" // read once: stay out of the L1 cache
	EvictFirst  Hint = "L1::evict_first" // likewise
	Prefetch    Hint = "L2::256B"        // fetch the 256 bytes around it into L2
	Volatile    Hint = "volatile"        // every access counts
	Relaxed     Hint = "relaxed.gpu"     // coherent between blocks
	Acquire     Hint = "acquire.gpu"     // loads only
	Release     Hint = "release.gpu"     // stores only
	CacheGlobal Hint = "cg"              // cache in L2 only
)

// Param declares the next parameter and loads it into a register.
func (b *Builder) Param(t Type, name string) Reg {
	b.k.Params = append(b.k.Params, Param{Name: name, Type: t})
	d := b.Reg(t)
	b.emit(loadOp("ld", ParamSpace, 1, t, nil), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgAddr, Sym: name})
	return d
}

// Shared declares shared memory and returns its address (U32).
func (b *Builder) Shared(name string, align, bytes int) Reg {
	if align < 1 || align&(align-1) != 0 || bytes < 0 {
		b.Errorf("shared memory %s of %d bytes, aligned to %d", name, bytes, align)
		align, bytes = 16, max(bytes, 0)
	}
	b.k.Vars = append(b.k.Vars, Var{Name: name, Space: Shared, Align: align, Bytes: bytes})
	d := b.Reg(U32)
	b.emit("mov.u32", Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgSym, Sym: name})
	return d
}

// Const declares constant memory that holds data and returns its address (U64), for
// Ld of space Const. Kernels of a module that name it alike share it.
func (b *Builder) Const(name string, align int, data []byte) Reg {
	if align < 1 || align&(align-1) != 0 || len(data) == 0 || len(data) > maxConstBytes {
		b.Errorf("constant memory %s of %d bytes, aligned to %d", name, len(data), align)
		align = 16
	}
	b.k.Vars = append(b.k.Vars, Var{Name: name, Space: Const, Align: align, Bytes: len(data), Init: slices.Clone(data)})
	d := b.Reg(U64)
	b.emit("mov.u64", Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgSym, Sym: name})
	return d
}

// DynamicShared is the shared memory whose size the launch sets; once per kernel.
func (b *Builder) DynamicShared(name string, align int) Reg { return b.Shared(name, align, 0) }

// Ld loads from [addr+off]. Addresses of shared memory are U32, others U64. 8-bit
// types load into a register of type U32 or S32, extended.
func (b *Builder) Ld(s Space, t Type, addr Reg, off int, h ...Hint) Reg {
	rt := t
	if t.Bytes() == 1 {
		if rt = U32; t == S8 {
			rt = S32
		}
	}
	d := b.Reg(rt)
	b.emit(loadOp("ld", s, 1, t, h), Arg{Kind: ArgReg, Reg: d}, b.addr(s, addr, off))
	return d
}

// LdV loads n (2 or 4) values from consecutive places, aligned to their total.
func (b *Builder) LdV(s Space, t Type, n int, addr Reg, off int, h ...Hint) []Reg {
	b.vector(n, t)
	d := b.Regs(t, n)
	b.emit(loadOp("ld", s, n, t, h), list(d), b.addr(s, addr, off))
	return d
}

// LdTo is Ld or LdV into registers that exist.
func (b *Builder) LdTo(d []Reg, s Space, addr Reg, off int, h ...Hint) {
	if !b.alike("LdTo", d) {
		return
	}
	if len(d) == 1 {
		b.emit(loadOp("ld", s, 1, d[0].Type, h), Arg{Kind: ArgReg, Reg: d[0]}, b.addr(s, addr, off))
		return
	}
	b.vector(len(d), d[0].Type)
	b.emit(loadOp("ld", s, len(d), d[0].Type, h), list(d), b.addr(s, addr, off))
}

// St stores v at [addr+off].
func (b *Builder) St(s Space, addr Reg, off int, v Reg, h ...Hint) {
	if v.Type.Bytes() == 0 {
		b.Errorf("St of %v: there are none in memory", v.Type)
	}
	b.emit(loadOp("st", s, 1, v.Type, h), b.addr(s, addr, off), Arg{Kind: ArgReg, Reg: v})
}

// StNarrow stores the low bits of v, a 32-bit integer, as an 8- or 16-bit integer,
// or v, an F32, rounded to F16 or BF16.
func (b *Builder) StNarrow(s Space, t Type, addr Reg, off int, v Reg, h ...Hint) {
	switch {
	case v.Type == F32 && (t == F16 || t == BF16):
		v = b.Cvt(t, v)
	case t.Bytes() < 1 || t.Bytes() > 2 || v.Type.Bytes() != 4 || v.Type.Float() || t.Float():
		b.Errorf("StNarrow of %v as %v", v.Type, t)
	case t.Bytes() == 2:
		v = b.Cvt(U16, b.As(U32, v))
		t = U16
	}
	b.emit(loadOp("st", s, 1, t, h), b.addr(s, addr, off), Arg{Kind: ArgReg, Reg: v})
}

// StV stores 2 or 4 values at consecutive places, aligned to their total.
func (b *Builder) StV(s Space, addr Reg, off int, v []Reg, h ...Hint) {
	if !b.alike("StV", v) {
		return
	}
	b.vector(len(v), v[0].Type)
	b.emit(loadOp("st", s, len(v), v[0].Type, h), b.addr(s, addr, off), list(v))
}

// alike notes a mistake unless there are registers, all of one size.
func (b *Builder) alike(what string, v []Reg) bool {
	if len(v) == 0 {
		b.Errorf("%s of no registers", what)
		return false
	}
	for _, r := range v {
		if r.Type.Bytes() != v[0].Type.Bytes() || r.Type.Bytes() == 0 {
			b.Errorf("%s of %v beside %v", what, r.Type, v[0].Type)
			return false
		}
	}
	return true
}

func (b *Builder) vector(n int, t Type) {
	if (n != 2 && n != 4) || n*t.Bytes() > 16 {
		b.Errorf("there is no vector of %d %v", n, t)
	}
}

// loadOp spells an access: ld[.sem].space[.cop|.nc][.hints][.vN].type.
func loadOp(op string, s Space, n int, t Type, hints []Hint) string {
	parts := []string{op}
	for _, h := range hints {
		if h == Volatile || h == Relaxed || h == Acquire || h == Release {
			parts = append(parts, string(h))
		}
	}
	if s != Generic {
		parts = append(parts, s.String())
	}
	for _, wanted := range []Hint{CacheGlobal, NC} { // in this order
		for _, h := range hints {
			if h == wanted {
				parts = append(parts, string(h))
			}
		}
	}
	for _, level := range []string{"L1::", "L2::"} {
		for _, h := range hints {
			if strings.HasPrefix(string(h), level) {
				parts = append(parts, string(h))
			}
		}
	}
	if n > 1 {
		parts = append(parts, fmt.Sprintf("v%d", n))
	}
	if t == F16x2 || t == BF16x2 || t == F16 || t == BF16 {
		t = t.Bits()
	}
	return strings.Join(append(parts, t.String()), ".")
}

func (b *Builder) addr(s Space, r Reg, off int) Arg {
	t := U64
	if s == Shared {
		t = U32
	}
	b.want(t, r)
	return Arg{Kind: ArgAddr, Reg: r, Off: int64(off)}
}

func list(regs []Reg) Arg {
	a := Arg{Kind: ArgList}
	for _, r := range regs {
		a.List = append(a.List, Arg{Kind: ArgReg, Reg: r})
	}
	return a
}

// PrefetchL2 has the line at [addr+off] of global memory brought into L2.
func (b *Builder) PrefetchL2(addr Reg, off int) {
	b.emit("prefetch.global.L2", b.addr(Global, addr, off))
}

// Atom performs op (add, min, max, exch, inc, and, or, cas with two values)
// atomically at [addr+off] and returns what was there. sem is "" (relaxed.gpu) or
// one of relaxed, acquire, release, acq_rel.
func (b *Builder) Atom(s Space, sem, op string, addr Reg, off int, v ...Reg) Reg {
	if !b.operandsOf(op, v) {
		return b.Reg(U32)
	}
	d := b.Reg(v[0].Type)
	b.emit(atomOp("atom", s, sem, op, d.Type), append([]Arg{{Kind: ArgReg, Reg: d}, b.addr(s, addr, off)}, b.regs(v)...)...)
	return d
}

// Red is Atom without the result.
func (b *Builder) Red(s Space, sem, op string, addr Reg, off int, v ...Reg) {
	if !b.operandsOf(op, v) {
		return
	}
	b.emit(atomOp("red", s, sem, op, v[0].Type), append([]Arg{b.addr(s, addr, off)}, b.regs(v)...)...)
}

// operandsOf notes a mistake unless v are as many as op takes.
func (b *Builder) operandsOf(op string, v []Reg) bool {
	want := 1
	if op == "cas" {
		want = 2
	}
	if len(v) != want {
		b.Errorf("atomic %s of %d values, not %d", op, len(v), want)
		return false
	}
	return b.alike(op, v)
}

func (b *Builder) regs(v []Reg) (args []Arg) {
	for _, r := range v {
		args = append(args, Arg{Kind: ArgReg, Reg: r})
	}
	return args
}

func atomOp(name string, s Space, sem, op string, t Type) string {
	if sem == "" {
		sem = "relaxed"
	}
	parts := []string{name, sem, "gpu", s.String(), op, t.String()}
	switch s {
	case Shared:
		parts[2] = "cta"
	case Generic:
		parts = append(parts[:3], op, t.String())
	}
	last := &parts[len(parts)-1]
	switch {
	case op == "exch" || op == "cas" || op == "and" || op == "or" || op == "xor":
		*last = t.Bits().String()
	case op == "add" && half(t):
		*last = "noftz." + t.String()
	case op == "add" && t == S64: // the sum is the same
		*last = "u64"
	}
	return strings.Join(parts, ".")
}

// Fence orders this thread's accesses around it: "cta" or "gpu" is how far that
// is seen.
func (b *Builder) Fence(scope string) { b.emit("fence.acq_rel." + scope) }

// CpAsync copies 16 bytes from global to shared memory without passing through
// registers; where fill is a U32 register, only that many of the 16 are read and
// the rest become zero. It is complete after a CpAsyncWait.
func (b *Builder) CpAsync(dst Reg, dstOff int, src Reg, srcOff int, fill ...Reg) {
	args := []Arg{b.addr(Shared, dst, dstOff), b.addr(Global, src, srcOff), b.Imm(U32, 16)}
	for _, f := range fill {
		args = append(args, b.arg(U32, f))
	}
	b.emit("cp.async.cg.shared.global", args...)
}

// CpAsyncCommit closes a group of copies; CpAsyncWait waits until at most n of
// this thread's groups are under way.
func (b *Builder) CpAsyncCommit()    { b.emit("cp.async.commit_group") }
func (b *Builder) CpAsyncWait(n int) { b.emit("cp.async.wait_group", b.Imm(U32, n)) }
