package ptx

import (
	"strconv"
	"strings"
)

// instruction checks one instruction; it returns nil where it cannot read it.
func (v *verifier) instruction(in *Instr) *form {
	if in.Op == "" {
		v.add(in, "no instruction")
		return nil
	}
	f := v.form(in)
	if f == nil {
		return nil
	}
	v.available(in, f)
	if !in.Guard.IsZero() {
		v.register(in, in.Guard, Pred, false)
		f.uses = append(f.uses, in.Guard)
	}
	o := operands{verifier: v, in: in, form: f}
	o.check()
	return f
}

// formKey is what the form of an instruction depends on.
type formKey struct {
	op   string
	args int
}

// form reads an instruction's name; equal names are read once.
func (v *verifier) form(in *Instr) *form {
	key := formKey{in.Op, len(in.Args)}
	if v.read == nil {
		v.read = map[formKey]*form{}
	}
	f := v.read[key]
	if f == nil {
		var err error
		if f, err = match(in.Op, len(in.Args)); err != nil {
			v.add(in, "%v", err)
			return nil
		}
		v.read[key] = f
	}
	one := *f
	return &one
}

// available checks the target and version an instruction needs.
func (v *verifier) available(in *Instr, f *form) {
	need := f.rule.gate
	for _, p := range f.parts[1:] {
		g := since[p]
		need.version = max(need.version, g.version)
		need.capability = max(need.capability, g.capability)
	}
	switch {
	case need.arch != "" && need.arch != v.target.Arch:
		v.add(in, "needs .target %s, the module's is %s", need.arch, v.target.Arch)
	case v.target.capability() < need.capability:
		v.add(in, "needs .target sm_%d, the module's is %s", need.capability, v.target.Arch)
	case v.target.Version < need.version:
		v.add(in, "needs .version %d.%d, the module's is %d.%d", need.version/10, need.version%10,
			v.target.Version/10, v.target.Version%10)
	}
}

// register checks that r is of the kernel and can be read as type t, or, with
// atLeast, is one that is wider.
func (v *verifier) register(in *Instr, r Reg, t Type, atLeast bool) {
	switch {
	case r.IsZero():
		v.add(in, "an operand is no register")
		return
	case r.Num < 0 || int(r.Num) > len(v.k.Regs) || r.Type >= numTypes:
		v.add(in, "register %d of %d", r.Num, len(v.k.Regs))
		return
	}
	declared := v.k.Regs[r.Num-1]
	switch {
	case declared.Bytes() != r.Type.Bytes() || (declared == Pred) != (r.Type == Pred):
		v.add(in, "register %d is declared %v and used as %v", r.Num, declared, r.Type)
	case fits(r.Type, t) || atLeast && wider(r.Type, t):
	default:
		v.add(in, "%v is of type %v where %v is wanted", r, r.Type, t)
	}
}

// fits reports whether a register of type r can be read as t: sizes are the same,
// and both are integers, or of the same type, or one of them bits.
func fits(r, t Type) bool {
	if r == Pred || t == Pred || r.Bytes() != t.Bytes() {
		return r == t
	}
	return r == t || r == r.Bits() || t == t.Bits() || !r.Float() && !t.Float()
}

// wider reports whether a register of type r is larger than a value of type t that
// it can hold.
func wider(r, t Type) bool {
	return r != Pred && r.Bytes() > t.Bytes() && (r == r.Bits() || !t.Float() && !r.Float())
}

// operands checks the operands of an instruction against its rule.
type operands struct {
	*verifier
	in   *Instr
	form *form
	args []Arg // left to check
}

func (o *operands) fail(format string, args ...any) { o.add(o.in, format, args...) }

func (o *operands) check() {
	o.args = o.in.Args
	switch kind := o.special(); kind {
	case "mov":
		o.mov()
		return
	case "wgmma":
		o.wgmma()
		return
	}
	for i, r := range o.form.rule.roles {
		left := 0
		for _, later := range o.form.rule.roles[i+1:] {
			if !later.optional {
				left++
			}
		}
		if r.optional && len(o.args) <= left {
			continue
		}
		if len(o.args) == 0 {
			o.fail("%d operands are too few", len(o.in.Args))
			return
		}
		o.operand(r, o.args[0])
		o.args = o.args[1:]
	}
	if len(o.args) > 0 {
		o.fail("%d operands are too many", len(o.in.Args))
	}
}

// special names the rules whose operands have code of their own.
func (o *operands) special() string {
	if roles := o.form.rule.roles; len(roles) == 1 && (roles[0].kind == "mov" || roles[0].kind == "wgmma") {
		return roles[0].kind
	}
	return ""
}

func (o *operands) operand(r role, a Arg) {
	t := r.typ
	if r.nth > 0 {
		t = o.form.types[min(r.nth, len(o.form.types))-1]
	}
	if r.wide {
		t = [...]Type{U16: U32, S16: S32, U32: U64, S32: S64}[t]
	}
	switch r.kind {
	case "d":
		o.dest(a, t, r.atLeast)
	case "dp":
		o.dest(a, Pred, false)
	case "s":
		o.source(a, t, r.atLeast)
		if a.Kind == ArgImm && !r.allows(int64(a.Imm)) {
			o.fail("%d is not within %d to %d", int64(a.Imm), r.low, r.high)
		}
	case "r":
		if a.Kind != ArgReg {
			o.fail("a register is wanted")
			return
		}
		o.source(a, t, false)
	case "p":
		o.source(a, Pred, false)
	case "D", "L", "l":
		o.vector(r, a, t)
	case "a":
		o.address(r.space, a)
	case "label":
		if _, ok := o.labels[a.Sym]; a.Kind != ArgSym || !ok {
			o.fail("%q is no label of the kernel", a.Sym)
		}
	default:
		o.number(r, a)
	}
}

// dest checks a register that is written; _ stands for a result nobody wants where
// the instruction does more than compute it.
func (o *operands) dest(a Arg, t Type, atLeast bool) {
	if a.Kind != ArgReg || a.Not {
		o.fail("the result goes to a register")
		return
	}
	if a.Reg.IsZero() && (o.form.parts[0] == "mbarrier" || o.form.parts[0] == "atom") {
		return
	}
	o.register(o.in, a.Reg, t, atLeast)
	o.form.defs = append(o.form.defs, a.Reg)
}

// source checks a register or a number that is read.
func (o *operands) source(a Arg, t Type, atLeast bool) {
	switch a.Kind {
	case ArgReg:
		if a.Not && t != Pred {
			o.fail("! is for predicates")
		}
		o.register(o.in, a.Reg, t, atLeast)
		o.form.uses = append(o.form.uses, a.Reg)
	case ArgImm:
		o.immediate(a, t)
	default:
		o.fail("an operand is neither a register nor a number")
	}
}

// immediate checks that a number can be one of type t.
func (o *operands) immediate(a Arg, t Type) {
	isFloat := a.Type == F32 || a.Type == F64
	switch {
	case t == Pred && isFloat:
		o.fail("a predicate is not set from a number of type %v", a.Type)
	case t == Pred: // 0 or not
	case t == F32 || t == F64:
		if !isFloat {
			o.fail("a number of type %v where %v is wanted", a.Type, t)
		}
	case t.Float():
		o.fail("numbers of type %v have to be in registers", t)
	case isFloat && (t != t.Bits() || a.Type.Bytes() != t.Bytes()):
		o.fail("a number of type %v where %v is wanted", a.Type, t)
	case isFloat:
	default:
		o.inRange(a, t)
	}
}

// inRange checks an integer: signed and unsigned ones fit alike.
func (o *operands) inRange(a Arg, t Type) {
	bits := uint(8 * t.Bytes())
	if bits >= 64 {
		return
	}
	n := int64(a.Imm)
	if high := n >> (bits - 1); a.Imm>>bits != 0 && high != -1 {
		o.fail("%d does not fit %v", n, t)
	}
}

// vector checks the values of a load or store, and lists of fixed length.
func (o *operands) vector(r role, a Arg, t Type) {
	n := r.count
	memory := n == 0
	if memory {
		if n = o.form.vec; n*t.Bytes() > 16 {
			o.fail("%d values of type %v are more than 16 bytes", n, t)
		}
	}
	if memory && n == 1 {
		if a.Kind == ArgImm && r.kind == "L" { // a number to store
			o.immediate(a, t)
			return
		}
		a = Arg{Kind: ArgList, List: []Arg{a}}
	}
	if a.Kind != ArgList || len(a.List) != n {
		o.fail("a list of %d registers is wanted", n)
		return
	}
	for i, e := range a.List {
		switch {
		case e.Kind != ArgReg || e.Reg.Type.Bytes() != a.List[0].Reg.Type.Bytes():
			o.fail("a list of registers of one size is wanted")
			return
		case r.kind == "D":
			o.dest(e, t, memory)
		default:
			o.source(e, t, memory)
		}
		for _, other := range a.List[:i] {
			if r.kind == "D" && other.Reg.Num == e.Reg.Num && !e.Reg.IsZero() {
				o.fail("%v is given two values", e.Reg)
				return
			}
		}
	}
}

// number checks operands that are numbers or say how many take part.
func (o *operands) number(r role, a Arg) {
	n := int64(a.Imm)
	if a.Kind != ArgImm && r.kind != "i" && r.kind != "maxnreg" {
		o.source(a, U32, false)
		return
	}
	if a.Kind != ArgImm || a.Type.Float() {
		o.fail("an operand has to be an integer")
		return
	}
	switch r.kind {
	case "i":
		if !r.allows(n) {
			o.fail("%d is not among the numbers it takes", n)
		}
	case "fill":
		if n < 0 || n > int64(o.in.Args[2].Imm) {
			o.fail("%d bytes of %d", n, o.in.Args[2].Imm)
		}
	case "bar":
		if n < 0 || n >= barriers {
			o.fail("barrier %d: there are 0 to %d", n, barriers-1)
		}
	case "count":
		if n <= 0 || n%32 != 0 || n > maxThreads || o.k.Threads > 0 && n > int64(o.k.Threads) {
			o.fail("%d threads at a barrier: wanted a multiple of 32, of the block's %d", n, o.k.Threads)
		}
	case "bulk":
		if n <= 0 || n%16 != 0 {
			o.fail("%d bytes: wanted a multiple of 16", n)
		}
	case "maxnreg":
		if n < 24 || n > 256 || n%8 != 0 {
			o.fail("%d registers: wanted a multiple of 8, 24 to 256", n)
		}
	}
}

// mov checks copies, of special registers and addresses too, and the packing of
// registers into one and its reverse.
func (o *operands) mov() {
	if len(o.args) != 2 {
		o.fail("%d operands where 2 are wanted", len(o.args))
		return
	}
	d, s, t := o.args[0], o.args[1], o.form.types[0]
	if d.Kind == ArgList || s.Kind == ArgList {
		o.repack(d, s, t)
		return
	}
	o.dest(d, t, false)
	switch s.Kind {
	case ArgSpecial:
		if st, ok := SpecialType(s.Sym); !ok || !fits(st, t) {
			o.fail("%s is no special register of type %v", s.Sym, t)
		}
	case ArgSym:
		x, ok := o.vars[s.Sym]
		switch {
		case !ok:
			o.fail("%s is no variable of the kernel", s.Sym)
		case t.Float() || t.Bytes() != 8 && (t.Bytes() != 4 || x.Space != Shared):
			o.fail("the address of %s does not fit %v", s.Sym, t)
		}
	case ArgImm:
		o.immediate(s, t)
	default:
		o.source(s, t, false)
	}
}

func (o *operands) repack(d, s Arg, t Type) {
	list, one := d, s
	if s.Kind == ArgList {
		list, one = s, d
	}
	n := len(list.List)
	if one.Kind == ArgList || t != t.Bits() || t == Pred || n != 2 && n != 4 || t.Bytes()/n < 2 {
		o.fail("there is no such packing")
		return
	}
	part := [...]Type{2: B16, 4: B32}[t.Bytes()/n]
	for _, e := range list.List {
		if s.Kind == ArgList {
			o.source(e, part, false)
		} else {
			o.dest(e, part, false)
		}
	}
	if s.Kind == ArgList {
		o.dest(one, t, false)
	} else {
		o.source(one, t, false)
	}
}

// wgmma checks d, a, b, scale-d, imm-scale-a, imm-scale-b [, imm-trans-a], imm-trans-b:
// a is 4 registers or a descriptor, b a descriptor, and a in registers has no
// trans-a.
func (o *operands) wgmma() {
	shape := o.form.parts[4] // m64nNk16
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(shape, "m64n"), "k16"))
	d := o.form.types[0]
	count := n / 2
	if d == F16 {
		count, d = n/4, F16x2
	}
	inRegs := len(o.args) > 1 && o.args[1].Kind == ArgList
	want := 8
	if inRegs {
		want = 7
	}
	if len(o.args) != want {
		o.fail("%d operands where %d are wanted", len(o.args), want)
		return
	}
	o.vector(role{kind: "D", count: count}, o.args[0], d)
	if inRegs {
		o.vector(role{kind: "l", count: 4}, o.args[1], B32)
	} else {
		o.source(o.args[1], B64, false)
	}
	o.source(o.args[2], B64, false)
	if a := o.args[3]; a.Kind == ArgImm && (a.Type.Float() || a.Imm > 1) {
		o.fail("whether to add is 0, 1 or a predicate")
	} else if a.Kind != ArgImm {
		o.source(a, Pred, false)
	}
	for i, a := range o.args[4:] {
		n := int64(a.Imm)
		if scale := i < 2; a.Kind != ArgImm || scale && n != 1 && n != -1 || !scale && n != 0 && n != 1 {
			o.fail("operand %d has to be %s", i+5, map[bool]string{true: "1 or -1", false: "0 or 1"}[scale])
		}
	}
}
