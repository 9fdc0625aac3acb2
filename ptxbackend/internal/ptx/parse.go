package ptx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bounds of what Parse reads: beyond what any kernel needs, and what foreign text
// can make it allocate.
const (
	maxText       = 16 << 20
	maxKernels    = 1 << 14
	maxRegs       = 1 << 20 // of a kernel
	maxModuleRegs = 1 << 22
	maxVarBytes   = 1 << 20
	maxConstBytes = 64 << 10
	maxParamBytes = 32764
	maxInstrs     = 1 << 20 // of all kernels
	maxOperands   = 1 << 22 // of all kernels
	maxArgs       = 16
	maxList       = 256
)

// Parse reads the text of a module: what String writes, and what people write in
// the same subset of PTX. Functions, scopes within a kernel, variables in global
// memory and vector registers are not in it. name stands for the text in messages,
// which give the line and the column. The names of registers are kept if they are
// as String would write them, else given anew; types of registers are those they
// are declared with. Method: the grammar of the PTX ISA, sections 4 and 5.
func Parse(name, text string) (*Module, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("ptx: %s: the text has %d bytes, more than %d", name, len(text), maxText)
	}
	p := &parser{scanner: newScanner(name, text), outer: map[string]int{}}
	p.header()
	for p.err == nil && p.tok.kind != 0 {
		p.declaration()
	}
	if p.err != nil {
		return nil, p.err
	}
	return &p.m, nil
}

type parser struct {
	*scanner
	m      Module
	shared []Var          // variables declared outside kernels
	outer  map[string]int // their places there
	fresh  int            // those from here on have been declared since the last kernel

	regs, instrs, operands int // of all kernels
}

// header reads .version, .target and .address_size.
func (p *parser) header() {
	if !p.acceptWord(".version") {
		p.failf(p.tok.pos, "expected .version, not %v", p.tok)
		return
	}
	major, minor, ok := strings.Cut(p.tok.text, ".")
	a, err1 := strconv.ParseUint(major, 10, 8)
	b, err2 := strconv.ParseUint(minor, 10, 8)
	if p.tok.kind != 'n' || !ok || err1 != nil || err2 != nil || b > 9 {
		p.failf(p.tok.pos, "expected a version like 8.0, not %v", p.tok)
		return
	}
	p.m.Target.Version = int(a*10 + b)
	p.next()
	if !p.acceptWord(".target") {
		p.failf(p.tok.pos, "expected .target, not %v", p.tok)
		return
	}
	pos := p.tok.pos
	p.m.Target.Arch = p.ident("an architecture like sm_80")
	if p.err == nil && (!strings.HasPrefix(p.m.Target.Arch, "sm_") || p.m.Target.capability() == 0) {
		p.failf(pos, "expected an architecture like sm_80, not %q", p.m.Target.Arch)
	}
	if p.acceptWord(".address_size") {
		if p.number("the size of addresses", 0, 64) != 64 {
			p.failf(p.tok.pos, "addresses have 64 bits here")
		}
	}
}

// declaration reads a variable or a kernel.
func (p *parser) declaration() {
	start := p.tok
	linked := false
	for p.acceptWord(".visible") || p.acceptWord(".weak") {
		linked = true
	}
	switch {
	case p.acceptWord(".entry"):
		p.kernel(start.pos)
	case linked:
		p.failf(p.tok.pos, "expected .entry, not %v", p.tok)
	case start.kind == 'w' && (start.text == ".const" || start.text == ".shared" || start.text == ".extern"):
		v := p.variable()
		if _, dup := p.outer[v.Name]; dup {
			p.failf(start.pos, "%s is declared twice", v.Name)
		}
		p.outer[v.Name] = len(p.shared)
		p.shared = append(p.shared, v)
	case start.text == ".func" || start.text == ".global":
		p.failf(start.pos, "%s is not in the subset read here: expected .entry, .const, .shared or .extern .shared", start.text)
	default:
		p.failf(start.pos, "expected .entry, .const, .shared or .extern, not %v", start)
	}
}

// number reads an unsigned integer from low to high.
func (p *parser) number(what string, low, high int64) int64 {
	t := p.tok
	n, err := strconv.ParseUint(strings.TrimSuffix(t.text, "U"), 0, 63)
	if t.kind != 'n' || err != nil || strings.ContainsRune(t.text, '_') {
		p.failf(t.pos, "expected %s, a number, not %v", what, t)
		return 0
	}
	if int64(n) < low || int64(n) > high {
		p.failf(t.pos, "%s is %d, not within %d to %d", what, n, low, high)
		return 0
	}
	p.next()
	return int64(n)
}

// typ reads a type with its dot.
func (p *parser) typ(what string) Type {
	if p.tok.kind == 'w' && strings.HasPrefix(p.tok.text, ".") {
		if t, ok := ParseType(p.tok.text[1:]); ok {
			p.next()
			return t
		}
	}
	p.failf(p.tok.pos, "expected the type of %s, not %v", what, p.tok)
	return B32
}

// align reads .align n if it is next.
func (p *parser) align() int {
	if !p.acceptWord(".align") {
		return 0
	}
	pos := p.tok.pos
	n := int(p.number("an alignment", 1, 1024))
	if n&(n-1) != 0 {
		p.failf(pos, "an alignment is a power of two, not %d", n)
	}
	return n
}

// counts reads the dimensions of an array and returns their product, 0 where there
// are none, -1 for [].
func (p *parser) counts(high int64) int64 {
	if p.tok.kind != '[' {
		return 0
	}
	n := int64(1)
	for p.tok.kind == '[' {
		pos := p.tok.pos
		p.next()
		if p.tok.kind == ']' && n == 1 {
			p.next()
			return -1
		}
		n *= p.number("the length of an array", 1, high)
		if n > high {
			p.failf(pos, "the array has %d elements, more than %d", n, high)
		}
		p.expect(']', "an array")
	}
	return n
}

// variable reads [.extern] .shared or .const, its type, name, size and values.
func (p *parser) variable() Var {
	pos := p.tok.pos
	extern := p.acceptWord(".extern")
	v := Var{Space: Shared}
	switch {
	case p.acceptWord(".shared"):
	case !extern && p.acceptWord(".const"):
		v.Space = Const
	default:
		p.failf(p.tok.pos, "expected .shared, not %v", p.tok)
	}
	v.Align = p.align()
	t := p.typ("a variable")
	if t == Pred {
		p.failf(pos, "there are no predicates in memory")
	}
	v.Align = max(v.Align, t.Bytes())
	namePos := p.tok.pos
	v.Name = p.ident("the name of a variable")
	limit := int64(maxVarBytes)
	if v.Space == Const {
		limit = maxConstBytes
	}
	n := p.counts(limit)
	switch {
	case extern && n >= 0:
		p.failf(namePos, "the size of extern memory is the launch's: expected []")
	case !extern && n < 0:
		p.failf(namePos, "expected the length of the array %s", v.Name)
	case !extern:
		v.Bytes = int(max(n, 1)) * t.Bytes()
	}
	if int64(v.Bytes) > limit {
		p.failf(namePos, "%s has %d bytes, more than %d", v.Name, v.Bytes, limit)
	}
	if p.tok.kind == '=' && v.Space == Const {
		p.next()
		v.Init = p.initial(t, v.Bytes)
	}
	p.expect(';', "a declaration")
	return v
}

// initial reads the values of a variable, one or a list.
func (p *parser) initial(t Type, bytes int) []byte {
	init := []byte{}
	one := !p.accept('{')
	for p.err == nil {
		pos := p.tok.pos
		a := p.immediate(t)
		for i := 0; i < t.Bytes(); i++ {
			init = append(init, byte(a.Imm>>(8*i)))
		}
		if len(init) > bytes {
			p.failf(pos, "more values than the variable's %d bytes", bytes)
		}
		if one || !p.accept(',') {
			break
		}
	}
	if !one {
		p.expect('}', "a list of values")
	}
	return init
}

// immediate reads a number as an operand of an instruction of type t: integers,
// floats by their bits (0f, 0d) or in decimal.
func (p *parser) immediate(t Type) Arg {
	tok := p.tok
	neg := p.accept('-')
	text := p.tok.text
	if p.tok.kind != 'n' {
		p.failf(tok.pos, "expected a number, not %v", p.tok)
		return Arg{}
	}
	a := Arg{Kind: ArgImm, Type: t}
	lower := strings.ToLower(text)
	var err error
	switch {
	case strings.HasPrefix(lower, "0f") && len(text) == 10 && !neg:
		a.Type = F32
		a.Imm, err = strconv.ParseUint(text[2:], 16, 32)
	case strings.HasPrefix(lower, "0d") && len(text) == 18 && !neg:
		a.Type = F64
		a.Imm, err = strconv.ParseUint(text[2:], 16, 64)
	case strings.Contains(text, ".") || strings.Contains(lower, "e") && !strings.HasPrefix(lower, "0x"):
		a, err = decimalFloat(text, neg, t)
	default:
		a, err = integer(text, neg, t)
	}
	if err != nil {
		p.failf(tok.pos, "%q is no number of type %v", text, t)
	}
	p.next()
	return a
}

func decimalFloat(text string, neg bool, t Type) (Arg, error) {
	f, err := strconv.ParseFloat(text, 64)
	if strings.ContainsAny(text, "_xXpP") || (t != F32 && t != F64) {
		err = strconv.ErrSyntax
	}
	if neg {
		f = -f
	}
	if t == F32 {
		return Arg{Kind: ArgImm, Type: F32, Imm: uint64(math.Float32bits(float32(f)))}, err
	}
	return Arg{Kind: ArgImm, Type: F64, Imm: math.Float64bits(f)}, err
}

// integer gives a number the type of the instruction, or, where that does not hold
// it, one that does: Verify says whether it fits.
func integer(text string, neg bool, t Type) (Arg, error) {
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "U"), 0, 64)
	if strings.ContainsRune(text, '_') {
		err = strconv.ErrSyntax
	}
	size := t.Bytes()
	if size == 0 {
		size = 4
	}
	a := Arg{Kind: ArgImm, Imm: n, Hex: strings.HasPrefix(strings.ToLower(text), "0x")}
	if neg {
		if n > 1<<63 {
			err = strconv.ErrRange
		}
		a.Imm = -n
		a.Hex = false
		for size < 8 && n > 1<<(8*size-1) {
			size *= 2
		}
		a.Type = [...]Type{1: S8, 2: S16, 4: S32, 8: S64}[size]
		return a, err
	}
	if bits := 8 * size; t.Signed() && n < 1<<(bits-1) || t.Bytes() == size && !t.Signed() && !t.Float() && n>>bits == 0 {
		a.Type = t
		return a, err
	}
	for size < 8 && n>>(8*size) != 0 {
		size *= 2
	}
	a.Type = [...]Type{1: U8, 2: U16, 4: U32, 8: U64}[size]
	return a, err
}
