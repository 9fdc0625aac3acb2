package ptx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kernelParser reads one kernel.
type kernelParser struct {
	*parser
	k      *Kernel
	names  map[string]Reg
	ranges map[string]regRange // by the names' common beginning
	lowest map[string]int64    // of single names, by their beginning: the least number
	vars   map[string]bool     // declared in the kernel
	given  []int32             // the number in each register's name, if it is as String writes it
	odd    bool                // a register's name is not
}

// regRange are the registers prefix0 to prefix(count-1), numbered from first.
type regRange struct {
	first int32
	count int64
	typ   Type
}

// kernel reads an entry point, after .entry.
func (p *parser) kernel(pos int) {
	if len(p.m.Kernels) == maxKernels {
		p.failf(pos, "more than %d kernels", maxKernels)
		return
	}
	kp := &kernelParser{parser: p, k: &Kernel{}, names: map[string]Reg{}, ranges: map[string]regRange{},
		lowest: map[string]int64{}, vars: map[string]bool{}}
	kp.k.Name = p.ident("the name of a kernel")
	kp.params()
	kp.directives()
	p.expect('{', "a kernel")
	for p.err == nil && p.tok.kind != '}' {
		kp.statement()
	}
	p.expect('}', "a kernel")
	if p.err != nil {
		return
	}
	kp.renumber()
	kp.outerVars()
	p.m.Kernels = append(p.m.Kernels, kp.k)
}

// params reads the parameter list, if there is one.
func (p *kernelParser) params() {
	if !p.accept('(') || p.accept(')') {
		return
	}
	for size := 0; p.err == nil; {
		pos := p.tok.pos
		a := p.param()
		p.k.Params = append(p.k.Params, a)
		if size = a.end(size); size > maxParamBytes {
			p.failf(pos, "the parameters have %d bytes, more than %d", size, maxParamBytes)
		}
		if !p.accept(',') {
			break
		}
	}
	p.expect(')', "the parameters")
}

func (p *kernelParser) param() Param {
	if !p.acceptWord(".param") {
		p.failf(p.tok.pos, "expected .param, not %v", p.tok)
		return Param{Type: B32}
	}
	a := Param{Align: p.align()}
	pos := p.tok.pos
	a.Type = p.typ("a parameter")
	if a.Type == Pred {
		p.failf(pos, "there are no parameters of type pred")
	}
	if p.acceptWord(".ptr") { // what the pointer points to: of use to compilers only
		if p.tok.text == ".global" || p.tok.text == ".const" || p.tok.text == ".shared" || p.tok.text == ".local" {
			p.next()
		}
		p.align()
	}
	a.Name = p.ident("the name of a parameter")
	n := p.counts(maxParamBytes)
	if n < 0 {
		p.failf(pos, "expected the length of the parameter %s", a.Name)
	}
	a.Count = int(max(n, 0))
	return a
}

// directives reads what stands between the parameters and the body.
func (p *kernelParser) directives() {
	for p.err == nil && p.tok.kind == 'w' {
		t := p.tok
		p.next()
		switch t.text {
		case ".reqntid":
			p.k.Threads = p.threads()
		case ".maxntid":
			p.k.MaxThreads = p.threads()
		case ".minnctapersm":
			p.k.MinCTAs = int(p.number("the number of blocks", 1, 64))
		default:
			p.failf(t.pos, "expected .reqntid, .maxntid, .minnctapersm or '{', not %v", t)
		}
	}
}

// threads reads the extents of a block; kernels here have blocks of one dimension.
func (p *kernelParser) threads() int {
	n := int(p.number("the number of threads", 1, 1024))
	for p.accept(',') {
		if pos := p.tok.pos; p.number("a block's extent in y or z", 0, 1024) != 1 {
			p.failf(pos, "blocks have one dimension here: expected 1")
		}
	}
	return n
}

// statement reads a declaration, a label or an instruction.
func (p *kernelParser) statement() {
	t := p.tok
	switch {
	case t.kind == '{':
		p.failf(t.pos, "scopes within a kernel are not in the subset read here: declare at the kernel's beginning")
	case t.kind == '@':
		p.instruction()
	case t.kind != 'w':
		p.failf(t.pos, "expected an instruction, a label, a declaration or '}', not %v", t)
	case p.acceptWord(".reg"):
		p.registers(t.pos)
	case t.text == ".shared":
		v := p.variable()
		if p.vars[v.Name] {
			p.failf(t.pos, "%s is declared twice", v.Name)
		}
		p.vars[v.Name] = true
		p.k.Vars = append(p.k.Vars, v)
	case t.text[0] == '.':
		p.failf(t.pos, "expected .reg, .shared, a label or an instruction, not %v", t)
	default:
		p.instruction()
	}
}

// registers reads a declaration after .reg: names and ranges, name<count>.
func (p *kernelParser) registers(start int) {
	t := p.typ("registers")
	if t.Bytes() == 1 {
		p.failf(start, "there are no registers of 8 bits here: use 16 or 32")
	}
	for p.err == nil {
		pos := p.tok.pos
		name := p.ident("the name of a register")
		if p.accept('<') {
			n := p.number("a number of registers", 1, maxRegs)
			p.expect('>', "a range of registers")
			p.declareRange(pos, name, t, n)
		} else {
			p.declare(pos, name, t)
		}
		if !p.accept(',') {
			break
		}
	}
	p.expect(';', "a declaration of registers")
}

// count takes n more registers into account.
func (p *kernelParser) count(pos int, n int64) {
	p.regs += int(n)
	switch {
	case int64(len(p.k.Regs))+n > maxRegs:
		p.failf(pos, "more than %d registers in a kernel", maxRegs)
	case p.regs > maxModuleRegs:
		p.failf(pos, "more than %d registers in all kernels", maxModuleRegs)
	}
}

func (p *kernelParser) declare(pos int, name string, t Type) {
	if _, dup := p.lookup(name); dup {
		p.failf(pos, "register %s is declared twice", name)
	}
	if p.count(pos, 1); p.err != nil {
		return
	}
	p.k.Regs = append(p.k.Regs, t)
	r := Reg{Num: int32(len(p.k.Regs)), Type: t}
	p.names[name] = r
	prefix, digits := splitName(name)
	n, err := strconv.ParseInt(digits, 10, 32)
	if low, ok := p.lowest[prefix]; err == nil && (!ok || n < low) {
		p.lowest[prefix] = n
	}
	if (Reg{Num: int32(n), Type: t}).String() != name {
		p.odd = true
	}
	p.given = append(p.given, int32(n))
}

func (p *kernelParser) declareRange(pos int, prefix string, t Type, n int64) {
	if _, dup := p.ranges[prefix]; dup {
		p.failf(pos, "registers %s<> are declared twice", prefix)
	}
	if low, ok := p.lowest[prefix]; ok && low < n {
		p.failf(pos, "register %s%d is declared twice", prefix, low)
	}
	if p.count(pos, n); p.err != nil {
		return
	}
	p.ranges[prefix] = regRange{first: int32(len(p.k.Regs)) + 1, count: n, typ: t}
	for range n {
		p.k.Regs = append(p.k.Regs, t)
	}
	p.odd = true
}

// splitName cuts the decimal number off the end of a name; it is "" where there is
// none, or one with leading zeroes.
func splitName(name string) (prefix, digits string) {
	prefix = strings.TrimRight(name, "0123456789")
	digits = name[len(prefix):]
	if len(digits) > 1 && digits[0] == '0' {
		return name, ""
	}
	return prefix, digits
}

func inRange(digits string, count int64) bool {
	n, err := strconv.ParseInt(digits, 10, 32)
	return err == nil && n < count
}

func (p *kernelParser) lookup(name string) (Reg, bool) {
	if r, ok := p.names[name]; ok {
		return r, true
	}
	prefix, digits := splitName(name)
	if g, ok := p.ranges[prefix]; ok && inRange(digits, g.count) {
		n, _ := strconv.ParseInt(digits, 10, 32)
		return Reg{Num: g.first + int32(n), Type: g.typ}, true
	}
	return Reg{}, false
}

// instruction reads a label or [@[!]p] op operands ;
func (p *kernelParser) instruction() {
	i := Instr{Where: fmt.Sprintf("%s:%d", p.name, p.lineOf(p.tok.pos))}
	if p.accept('@') {
		i.Not = p.accept('!')
		i.Guard = p.register("a predicate")
	}
	op := p.tok
	if op.kind != 'w' || !isLetter(op.text[0]) {
		p.failf(op.pos, "expected an instruction, not %v", op)
		return
	}
	p.next()
	if p.tok.kind == ':' && i.Guard.IsZero() {
		if strings.ContainsAny(op.text, ".:") {
			p.failf(op.pos, "expected a label, not %v", op)
			return
		}
		p.next()
		i.Label = op.text
		p.append(i)
		return
	}
	i.Op = op.text
	t := opType(i.Op)
	for p.err == nil && p.tok.kind != ';' {
		if len(i.Args) == maxArgs {
			p.failf(p.tok.pos, "more than %d operands", maxArgs)
			return
		}
		i.Args = append(i.Args, p.operand(t))
		if !p.accept(',') {
			break
		}
		if p.tok.kind == ';' {
			p.failf(p.tok.pos, "expected an operand, not \";\"")
		}
	}
	p.expect(';', "an instruction")
	p.append(i)
}

func (p *kernelParser) append(i Instr) {
	p.k.Body = append(p.k.Body, i)
	p.instrs++
	for _, a := range i.Args {
		p.operands += 1 + len(a.List)
	}
	if p.instrs > maxInstrs || p.operands > maxOperands {
		p.failf(p.tok.pos, "more than %d instructions or %d operands in all kernels", maxInstrs, maxOperands)
	}
}

// opType is the last type in an instruction's name.
func opType(op string) Type {
	for op != "" {
		at := strings.LastIndexByte(op, '.')
		if t, ok := ParseType(op[at+1:]); ok {
			return t
		}
		op = op[:max(at, 0)]
	}
	return U32
}

// renumber gives the registers the numbers in their names if all are named as
// String names them.
func (p *kernelParser) renumber() {
	n := int32(len(p.k.Regs))
	if p.odd {
		return
	}
	types := make([]Type, n)
	for i, g := range p.given {
		if g < 1 || g > n || types[g-1] != NoType {
			return
		}
		types[g-1] = p.k.Regs[i]
	}
	p.k.Regs = types
	move := func(r *Reg) {
		if r.Num > 0 {
			r.Num = p.given[r.Num-1]
		}
	}
	for i := range p.k.Body {
		in := &p.k.Body[i]
		move(&in.Guard)
		for j := range in.Args {
			move(&in.Args[j].Reg)
			for l := range in.Args[j].List {
				move(&in.Args[j].List[l].Reg)
			}
		}
	}
}

// outerVars gives the kernel the variables declared since the kernel before, and
// the older ones it uses.
func (p *kernelParser) outerVars() {
	var older []int
	for i := range p.k.Body {
		for _, a := range p.k.Body[i].Args {
			if n, ok := p.outer[a.Sym]; ok && n < p.fresh {
				older = append(older, n)
			}
		}
	}
	slices.Sort(older)
	var vars []Var
	for _, n := range slices.Compact(older) {
		vars = append(vars, p.shared[n])
	}
	vars = append(vars, p.shared[p.fresh:]...)
	p.fresh = len(p.shared)
	p.k.Vars = append(vars, p.k.Vars...)
}
