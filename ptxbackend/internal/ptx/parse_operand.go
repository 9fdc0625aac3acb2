package ptx

import "strings"

// operand reads what an instruction of type t works on.
func (p *kernelParser) operand(t Type) Arg {
	switch {
	case p.tok.kind == '[':
		return p.address()
	case p.tok.kind == '{':
		return p.list(t)
	case p.tok.kind == 'n' || p.tok.kind == '-':
		return p.immediate(t)
	case p.accept('!'):
		return Arg{Kind: ArgReg, Not: true, Reg: p.register("a predicate")}
	}
	return p.named()
}

// named reads an operand that is a word: a register, a special register, a label or
// a variable, or _ for a result nobody wants.
func (p *kernelParser) named() Arg {
	t := p.tok
	if t.kind != 'w' || t.text[0] == '.' || strings.ContainsRune(t.text, ':') {
		p.failf(t.pos, "expected an operand, not %v", t)
		return Arg{}
	}
	p.next()
	if r, ok := p.lookup(t.text); ok {
		return Arg{Kind: ArgReg, Reg: r}
	}
	if t.text == "_" {
		return Arg{Kind: ArgReg}
	}
	if _, ok := SpecialType(t.text); ok {
		return Arg{Kind: ArgSpecial, Sym: t.text}
	}
	if t.text[0] == '%' || strings.ContainsRune(t.text, '.') {
		p.failf(t.pos, "%v is neither a declared register nor a special one known here", t)
	}
	return Arg{Kind: ArgSym, Sym: t.text}
}

// register reads a declared register.
func (p *kernelParser) register(what string) Reg {
	t := p.tok
	r, ok := p.lookup(t.text)
	if t.kind != 'w' || !ok {
		p.failf(t.pos, "expected %s, not %v: no register is declared by that name", what, t)
		return Reg{}
	}
	p.next()
	return r
}

// address reads [register], [symbol] or either with an offset.
func (p *kernelParser) address() Arg {
	p.expect('[', "an address")
	t := p.tok
	a := Arg{Kind: ArgAddr}
	switch n := p.named(); n.Kind {
	case ArgReg:
		a.Reg = n.Reg
		if n.Reg.IsZero() {
			p.failf(t.pos, "expected a register or a variable, not %v", t)
		}
	case ArgSym:
		a.Sym = n.Sym
	default:
		p.failf(t.pos, "expected a register or a variable, not %v", t)
	}
	if p.tok.kind == '-' {
		a.Off = p.offset()
	} else if p.accept('+') {
		a.Off = p.offset()
	}
	p.expect(']', "an address")
	return a
}

func (p *kernelParser) offset() int64 {
	if p.accept('-') {
		return -p.number("an offset", 0, 1<<31)
	}
	return p.number("an offset", 0, 1<<31-1)
}

func (p *kernelParser) list(t Type) Arg {
	p.expect('{', "a list")
	a := Arg{Kind: ArgList}
	for p.err == nil {
		pos := p.tok.pos
		if p.tok.kind == '{' || p.tok.kind == '[' || len(a.List) == maxList {
			p.failf(pos, "expected a register, not %v", p.tok)
			break
		}
		e := p.operand(t)
		if e.Kind != ArgReg && e.Kind != ArgImm {
			p.failf(pos, "expected a register in the list")
		}
		a.List = append(a.List, e)
		if !p.accept(',') {
			break
		}
	}
	p.expect('}', "a list")
	return a
}
