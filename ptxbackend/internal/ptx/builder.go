package ptx

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
)

// maxErrors is how many mistakes a Builder keeps; the rest follow from them.
const maxErrors = 20

// Builder writes one kernel. Operands are registers or Go numbers, which become
// immediates of the type the instruction works in. A method that meets a mistake
// notes it and returns a register of the type it should have, so that the code
// after it can go on.
type Builder struct {
	Target Target
	k      *Kernel
	errs   []error
	labels int
	guard  Reg
	not    bool
	sites  map[uintptr]string // "file:line" of a program counter, "" within Builder
}

// New begins a kernel.
func New(name string, t Target) *Builder {
	return &Builder{Target: t, k: &Kernel{Name: name}, sites: map[uintptr]string{}}
}

// Kernel ends the kernel with ret and returns it, or every mistake made.
func (b *Builder) Kernel() (*Kernel, error) {
	if n := len(b.k.Body); n == 0 || b.k.Body[n-1].Op != "ret" || !b.k.Body[n-1].Guard.IsZero() {
		b.emit("ret")
	}
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("ptx: kernel %s: %w", b.k.Name, errors.Join(b.errs...))
	}
	return b.k, nil
}

// Threads fixes the threads of a block; minCTAs, if not 0, asks for registers to
// be allocated so that as many blocks fit a multiprocessor.
func (b *Builder) Threads(n, minCTAs int) { b.k.Threads, b.k.MinCTAs = n, minCTAs }

// Errorf notes a mistake of the code that uses the Builder.
func (b *Builder) Errorf(format string, args ...any) {
	if len(b.errs) < maxErrors {
		b.errs = append(b.errs, fmt.Errorf("%s: %s", b.where(), fmt.Sprintf(format, args...)))
	}
}

// where is the nearest caller outside Builder, as file:line.
func (b *Builder) where() string {
	var near [6]uintptr
	if s := b.siteAmong(near[:runtime.Callers(2, near[:])]); s != "" {
		return s
	}
	var all [64]uintptr
	if s := b.siteAmong(all[:runtime.Callers(2, all[:])]); s != "" {
		return s
	}
	return "?"
}

// siteAmong is the first caller outside Builder, or "".
func (b *Builder) siteAmong(callers []uintptr) string {
	for _, pc := range callers {
		s, known := b.sites[pc]
		if !known {
			s = site(pc)
			b.sites[pc] = s
		}
		if s != "" {
			return s
		}
	}
	return ""
}

// site is the place of a return address, or "" within Builder.
func site(pc uintptr) string {
	frames := runtime.CallersFrames([]uintptr{pc})
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.Contains(f.Function, "/ptx.(*Builder)") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// Reg returns a new register without a value.
func (b *Builder) Reg(t Type) Reg {
	if t.Bytes() == 1 || t.Bytes() == 0 && t != Pred {
		b.Errorf("there are no registers of type %v", t)
		t = U32
	}
	b.k.Regs = append(b.k.Regs, t)
	return Reg{Num: int32(len(b.k.Regs)), Type: t}
}

// Regs returns n new registers.
func (b *Builder) Regs(t Type, n int) []Reg {
	r := make([]Reg, n)
	for i := range r {
		r[i] = b.Reg(t)
	}
	return r
}

// As reads r as another type of the same size; it costs nothing.
func (b *Builder) As(t Type, r Reg) Reg {
	if t.Bytes() != r.Type.Bytes() || t.Bytes() == 0 {
		b.Errorf("a register of type %v cannot be read as %v", r.Type, t)
	}
	r.Type = t
	return r
}

// Var returns a new register that holds v.
func (b *Builder) Var(t Type, v any) Reg {
	r := b.Reg(t)
	b.Set(r, v)
	return r
}

// Set assigns v to r.
func (b *Builder) Set(r Reg, v any) {
	op := "mov." + r.Type.Bits().String()
	if r.Type == Pred {
		op = "mov.pred"
	}
	b.want(r.Type, r)
	if _, isReg := v.(Reg); isReg {
		b.emit(op, Arg{Kind: ArgReg, Reg: r}, b.arg(r.Type, v))
		return
	}
	b.emit(op, Arg{Kind: ArgReg, Reg: r}, b.Imm(r.Type, v))
}

// Under makes f's instructions execute only where p is true; in a call within
// another, where both are. What makes labels (If, Loop, MbarWait) is a mistake in f.
// For a few instructions it is cheaper than a branch.
func (b *Builder) Under(p Reg, f func()) { b.under(p, false, f) }

// Unless is Under the opposite of p.
func (b *Builder) Unless(p Reg, f func()) { b.under(p, true, f) }

func (b *Builder) under(p Reg, not bool, f func()) {
	b.want(Pred, p)
	outer, outerNot := b.guard, b.not
	b.guard, b.not = Reg{}, false
	if !outer.IsZero() { // all threads work out where both hold
		both := b.Reg(Pred)
		b.emit("and.pred", Arg{Kind: ArgReg, Reg: both}, Arg{Kind: ArgReg, Reg: outer, Not: outerNot}, Arg{Kind: ArgReg, Reg: p, Not: not})
		p, not = both, false
	}
	b.guard, b.not = p, not
	f()
	b.guard, b.not = outer, outerNot
}

// Emit appends an instruction as it is; the arguments are Regs, Args or, for
// immediates, the result of Imm. The methods of Builder serve most needs.
func (b *Builder) Emit(op string, args ...any) {
	out := make([]Arg, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case Reg:
			out[i] = Arg{Kind: ArgReg, Reg: a}
		case Arg:
			out[i] = a
		default:
			b.Errorf("%s: operand %d is a %T; use Imm for numbers", op, i+1, a)
		}
	}
	b.emit(op, out...)
}

func (b *Builder) emit(op string, args ...Arg) {
	b.k.Body = append(b.k.Body, Instr{Op: op, Args: args, Guard: b.guard, Not: b.not, Where: b.where()})
}

// Imm is an immediate of type t.
func (b *Builder) Imm(t Type, v any) Arg {
	a := Arg{Kind: ArgImm, Type: t}
	if t == Pred {
		if on, ok := v.(bool); ok {
			if a.Type = U32; on {
				a.Imm = 1
			}
			return a
		}
		b.Errorf("a predicate is set from true or false, not from %v", v)
		return a
	}
	f, isFloat := toFloat(v)
	n, isInt := toInt(v)
	switch {
	case t == F32 && isFloat:
		a.Imm = uint64(math.Float32bits(float32(f)))
	case t == F64 && isFloat:
		a.Imm = math.Float64bits(f)
	case !t.Float() && isInt:
		if bits := uint(8 * t.Bytes()); bits < 64 && (n >= 1<<bits || n < -1<<(bits-1)) {
			b.Errorf("%d does not fit %v", n, t)
		}
		a.Imm = uint64(n)
		if bits := uint(8 * t.Bytes()); bits < 64 && !t.Signed() {
			a.Imm &= 1<<bits - 1
		} else if bits < 64 { // keep signed immediates sign-extended
			a.Imm = uint64(int64(a.Imm<<(64-bits)) >> (64 - bits))
		}
	case half(t) && isInt: // given by their bits
		bits := uint(8 * t.Bytes())
		if n < 0 || n >= 1<<bits {
			b.Errorf("%d are no bits of type %v", n, t)
		}
		a.Imm = uint64(n) & (1<<bits - 1)
	default:
		b.Errorf("%v (%T) is no immediate of type %v", v, v, t)
	}
	return a
}

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), true
	}
	return 0, false
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	n, ok := toInt(v)
	return float64(n), ok
}

// half reports whether t is of 16 bits or a pair of them; numbers of such types
// have to be in registers.
func half(t Type) bool { return t.Float() && t != F32 && t != F64 }

// arg is v, a Reg or a number, as an operand of type t.
func (b *Builder) arg(t Type, v any) Arg {
	switch v := v.(type) {
	case Reg:
		b.want(t, v)
		return Arg{Kind: ArgReg, Reg: v}
	case Arg:
		return v
	}
	if half(t) {
		return Arg{Kind: ArgReg, Reg: b.Var(t, v)}
	}
	return b.Imm(t, v)
}

// want notes a mistake unless r is of type t, or one of them is bits of the same
// size.
func (b *Builder) want(t Type, r Reg) {
	switch {
	case r.IsZero():
		b.Errorf("an operand is no register")
	case r.Type == t, t != Pred && r.Type != Pred && t.Bytes() == r.Type.Bytes() && (t == t.Bits() || r.Type == r.Type.Bits()):
	case t.Bytes() == r.Type.Bytes() && !t.Float() && !r.Type.Float() && t != Pred && r.Type != Pred:
		b.Errorf("operand of type %v where %v is wanted: say which with As", r.Type, t)
	default:
		b.Errorf("operand of type %v where %v is wanted", r.Type, t)
	}
}

// typeOf is the type of the first register among vs.
func (b *Builder) typeOf(vs ...any) Type {
	for _, v := range vs {
		if r, ok := v.(Reg); ok {
			return r.Type
		}
	}
	b.Errorf("no operand is a register")
	return U32
}

// def emits op with a new destination of type t, whose sources are of type from.
func (b *Builder) def(op string, t, from Type, srcs ...any) Reg {
	d := b.Reg(t)
	b.into(d, op, from, srcs...)
	return d
}

func (b *Builder) into(d Reg, op string, from Type, srcs ...any) {
	args := []Arg{{Kind: ArgReg, Reg: d}}
	for _, s := range srcs {
		args = append(args, b.arg(from, s))
	}
	b.emit(op, args...)
}
