package emu

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// What an instruction does to the flow of a warp.
type flow uint8

const (
	flowNext    flow = iota // goes on with the next
	flowBranch              // bra
	flowExit                // ret, exit
	flowAligned             // all lanes of the warp execute it together, none has ended
	flowBarrier             // likewise, but some may have ended
	flowSync                // those it names do
)

// instr is a decoded instruction. Its operands are numbers of the warp's registers
// of their width, or, where negative, the complement of a constant's.
type instr struct {
	run        func(w *warp, in *instr, m uint32)
	f          alu
	fw         aluWide
	test       func(a, b *vec) uint32
	testWide   func(a, b *wide) uint32
	flow       flow
	guard      int32 // predicate, noGuard
	not        bool
	d, a, b, c int32
	e          int32
	target     int32 // of a branch
	off        uint64
	imm        uint64
	size       int32   // bytes of an element in memory
	n          int32   // elements
	hint       uint32  // access... of memory.go
	mbar       uint32  // offset of a bulk copy's mbarrier
	list       []int32 // registers of a vector: all of them in the order of the text
	uses       []int32 // registers (by their PTX number) that are read
	defs       []int32 // and written
	sums       []int32 // of a wgmma, which are both, but later
	src        *ptx.Instr
	mayDirty   []int32 // those of defs that a wgmma uses
	site       int32   // number among the accesses to global memory
}

const noGuard = -1 << 30

// Constants of predicates, in place of a register.
const (
	predTrue  = -1
	predFalse = -2
)

// program is a kernel made ready to run.
type program struct {
	kernel   *ptx.Kernel
	code     []instr
	n32      int // registers a warp has of each width
	n64      int
	np       int
	c32      []vec // constants
	c64      []wide
	special  []special
	offsets  []int // of the parameters
	params   int   // bytes of them
	shared   int   // bytes declared
	constant []byte
	dynamic  int // where dynamic shared memory begins, from sharedBase
	dynName  string
	sites    int
	wgmma    map[int32]bool // PTX registers wgmma works on
	live     int            // see liveness, 0 until it is asked for
}

// special is a register filled when the warp starts.
type special struct {
	slot  int32
	bits  int
	value func(w *warp, lane, x, y, z uint32) uint32
}

// sharedBase is the address of a block's first byte of shared memory: not 0, as on
// hardware, which keeps the first KiB for itself.
const sharedBase = 1024

// constBase is where a kernel's constant memory begins.
const constBase = 1 << 20

// compiler turns the instructions of a kernel into a program.
type compiler struct {
	p      *program
	slot   []int32 // of register n, among those of its width
	labels map[string]int32
	vars   map[string]uint32
	params map[string]int
	consts map[uint64]int32
	wides  map[uint64]int32
	spec   map[string]int32
	in     *instr
	src    *ptx.Instr
	op     []string // the parts of src.Op
	err    error
}

// compile makes k ready.
func compile(k *ptx.Kernel) (*program, error) {
	c := &compiler{p: &program{kernel: k, wgmma: map[int32]bool{}}, labels: map[string]int32{}, vars: map[string]uint32{},
		params: map[string]int{}, consts: map[uint64]int32{}, wides: map[uint64]int32{}, spec: map[string]int32{}}
	c.p.offsets, c.p.params = k.ParamOffsets()
	for i, p := range k.Params {
		c.params[p.Name] = c.p.offsets[i]
	}
	c.registers(k)
	if err := c.variables(k); err != nil {
		return nil, err
	}
	n := int32(0)
	for i := range k.Body {
		if l := k.Body[i].Label; l != "" {
			c.labels[l] = n
		} else {
			n++
		}
	}
	c.p.code = make([]instr, 0, n+1)
	for i := range k.Body {
		if k.Body[i].Label == "" {
			c.instr(&k.Body[i])
			if c.err != nil {
				return nil, fmt.Errorf("kernel %s: %s: %s: %w", k.Name, k.Body[i].Where, text(&k.Body[i]), c.err)
			}
		}
	}
	end := &ptx.Instr{Op: "ret", Where: "end of kernel"} // a kernel may run off its end
	c.instr(end)
	c.finish()
	return c.p, nil
}

func (c *compiler) registers(k *ptx.Kernel) {
	c.slot = make([]int32, len(k.Regs)+1)
	p := c.p
	p.n32, p.n64, p.np = 1, 1, 1 // number 0 is for results nobody wants
	for i, t := range k.Regs {
		switch {
		case t == ptx.Pred:
			c.slot[i+1] = int32(p.np)
			p.np++
		case t.Bytes() == 8:
			c.slot[i+1] = int32(p.n64)
			p.n64++
		default:
			c.slot[i+1] = int32(p.n32)
			p.n32++
		}
	}
}

// variables lays out shared memory: what is declared, then what the launch adds.
func (c *compiler) variables(k *ptx.Kernel) error {
	at := sharedBase
	for _, v := range k.Vars {
		align := max(1, v.Align)
		if v.Space == ptx.Const {
			n := (len(c.p.constant) + align - 1) / align * align
			c.vars[v.Name] = uint32(constBase + n)
			c.p.constant = append(c.p.constant, make([]byte, n+v.Bytes-len(c.p.constant))...)
			copy(c.p.constant[n:], v.Init)
			continue
		}
		if v.Space != ptx.Shared {
			return fmt.Errorf("kernel %s: variable %s in %v memory is not emulated", k.Name, v.Name, v.Space)
		}
		if v.Bytes == 0 {
			continue
		}
		at = (at + align - 1) / align * align
		c.vars[v.Name] = uint32(at)
		at += v.Bytes
	}
	c.p.shared = at - sharedBase
	for _, v := range k.Vars {
		if v.Space == ptx.Shared && v.Bytes == 0 {
			align := max(16, v.Align)
			at = (at + align - 1) / align * align
			c.vars[v.Name] = uint32(at)
			c.p.dynName = v.Name
		}
	}
	c.p.dynamic = at - sharedBase
	return nil
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// instr decodes one instruction.
func (c *compiler) instr(s *ptx.Instr) {
	c.p.code = append(c.p.code, instr{guard: noGuard, src: s, site: -1})
	c.in = &c.p.code[len(c.p.code)-1]
	c.src, c.op = s, strings.Split(s.Op, ".")
	if !s.Guard.IsZero() {
		c.in.guard, c.in.not = c.slot[s.Guard.Num], s.Not
		c.use(s.Guard)
	}
	c.decode()
	if c.in.run == nil && c.in.flow != flowBranch && c.in.flow != flowExit {
		c.fail("this instruction is not emulated")
	}
}

// finish notes, once all is decoded, who writes what wgmma works on.
func (c *compiler) finish() {
	for i := range c.p.code {
		in := &c.p.code[i]
		if in.src.Op == "" || strings.HasPrefix(in.src.Op, "wgmma.mma_async") {
			continue
		}
		for _, r := range in.defs {
			if c.p.wgmma[r] {
				in.mayDirty = append(in.mayDirty, r)
			}
		}
	}
}

func (c *compiler) use(r ptx.Reg) { c.in.uses = append(c.in.uses, r.Num) }

func (c *compiler) arg(i int) *ptx.Arg {
	if i >= len(c.src.Args) {
		c.fail("operand %d is missing", i+1)
		return &ptx.Arg{}
	}
	return &c.src.Args[i]
}

// src32 is operand i as a source of at most 32 bits.
func (c *compiler) src32(i int) int32 { return c.source32(c.arg(i)) }

func (c *compiler) source32(a *ptx.Arg) int32 {
	switch a.Kind {
	case ptx.ArgReg:
		if n := a.Reg.Type.Bytes(); n != 4 && n != 2 {
			c.fail("%v where 32 bits are wanted", a.Reg)
			return 0
		}
		c.use(a.Reg)
		return c.slot[a.Reg.Num]
	case ptx.ArgImm:
		return c.const32(uint32(a.Imm))
	case ptx.ArgSpecial:
		return c.special(a.Sym, 32)
	case ptx.ArgSym:
		if v, ok := c.vars[a.Sym]; ok {
			return c.const32(v)
		}
	}
	c.fail("no such operand %q", a.Sym)
	return 0
}

func (c *compiler) const32(v uint32) int32 {
	i, ok := c.consts[uint64(v)]
	if !ok {
		var x vec
		for l := range x {
			x[l] = v
		}
		c.p.c32 = append(c.p.c32, x)
		i = ^int32(len(c.p.c32) - 1)
		c.consts[uint64(v)] = i
	}
	return i
}

func (c *compiler) src64(i int) int32 { return c.source64(c.arg(i)) }

func (c *compiler) source64(a *ptx.Arg) int32 {
	switch a.Kind {
	case ptx.ArgReg:
		if a.Reg.Type.Bytes() != 8 {
			c.fail("%v where 64 bits are wanted", a.Reg)
			return 0
		}
		c.use(a.Reg)
		return c.slot[a.Reg.Num]
	case ptx.ArgImm:
		return c.const64(a.Imm)
	case ptx.ArgSpecial:
		return c.special(a.Sym, 64)
	case ptx.ArgSym:
		if v, ok := c.vars[a.Sym]; ok {
			return c.const64(uint64(v))
		}
	}
	c.fail("no such operand %q", a.Sym)
	return 0
}

func (c *compiler) const64(v uint64) int32 {
	i, ok := c.wides[v]
	if !ok {
		var x wide
		for l := range x {
			x[l] = v
		}
		c.p.c64 = append(c.p.c64, x)
		i = ^int32(len(c.p.c64) - 1)
		c.wides[v] = i
	}
	return i
}

// special is the register that holds a special register's value.
func (c *compiler) special(name string, bits int) int32 {
	value, ok := specials[name]
	if !ok {
		c.fail("special register %s is not emulated", name)
		return 0
	}
	key := fmt.Sprintf("%s/%d", name, bits)
	if s, ok := c.spec[key]; ok {
		return s
	}
	s := int32(c.p.n32)
	if bits == 64 {
		s = int32(c.p.n64)
		c.p.n64++
	} else {
		c.p.n32++
	}
	c.p.special = append(c.p.special, special{slot: s, bits: bits, value: value})
	c.spec[key] = s
	return s
}

// srcPred is operand i as a predicate; not says that it is inverted.
func (c *compiler) srcPred(i int) (p int32, not bool) {
	a := c.arg(i)
	switch {
	case a.Kind == ptx.ArgReg && a.Reg.Type == ptx.Pred:
		c.use(a.Reg)
		return c.slot[a.Reg.Num], a.Not
	case a.Kind == ptx.ArgImm && a.Imm != 0:
		return predTrue, false
	case a.Kind == ptx.ArgImm:
		return predFalse, false
	}
	c.fail("operand %d is no predicate", i+1)
	return predTrue, false
}

// dst is operand i, a register that is written, of bytes bytes (0: a predicate).
func (c *compiler) dst(i int, bytes ...int) int32 { return c.dest(c.arg(i), bytes...) }

func (c *compiler) dest(a *ptx.Arg, bytes ...int) int32 {
	if a.Kind == ptx.ArgReg && a.Reg.IsZero() {
		return 0 // "_"
	}
	ok := false
	for _, n := range bytes {
		ok = ok || a.Kind == ptx.ArgReg && n == a.Reg.Type.Bytes()
	}
	if !ok {
		c.fail("a result goes to a register of %v bytes", bytes)
		return 0
	}
	c.in.defs = append(c.in.defs, a.Reg.Num)
	return c.slot[a.Reg.Num]
}

// regs is operand i, a list of n registers or, where n is 1, one.
func (c *compiler) regs(i, n int) []ptx.Arg {
	a := c.arg(i)
	l := a.List
	if a.Kind != ptx.ArgList {
		l = []ptx.Arg{*a}
	}
	if len(l) != n {
		c.fail("operand %d has %d registers, not %d", i+1, len(l), n)
		return make([]ptx.Arg, n)
	}
	return l
}

// part is part i of the operation's name, "" if it has no so many.
func (c *compiler) part(i int) string {
	if i < len(c.op) {
		return c.op[i]
	}
	return ""
}

// sources calls f for each operand after the first, of which there are at most n.
func (c *compiler) sources(n int, f func(i int)) {
	if k := len(c.src.Args); k < 2 || k > n+1 {
		c.fail("%d operands", k)
		return
	}
	for i := 1; i < len(c.src.Args); i++ {
		f(i)
	}
}

// address is operand i, [reg+off]: its register or constant, and in.off.
func (c *compiler) address(i int, s ptx.Space) (reg int32, off uint64) {
	a := c.arg(i)
	if a.Kind != ptx.ArgAddr {
		c.fail("operand %d is no address", i+1)
		return 0, 0
	}
	if a.Sym != "" {
		v, ok := c.vars[a.Sym]
		if !ok || s != ptx.Shared && s != ptx.Const || (s == ptx.Const) != (v >= constBase) {
			c.fail("no variable %q", a.Sym)
		}
		if s == ptx.Const {
			return c.const64(uint64(v)), uint64(a.Off)
		}
		return c.const32(v), uint64(a.Off)
	}
	r := ptx.Arg{Kind: ptx.ArgReg, Reg: a.Reg}
	if s == ptx.Shared && a.Reg.Type.Bytes() == 4 {
		return c.source32(&r), uint64(a.Off)
	}
	if s == ptx.Shared {
		c.fail("addresses of shared memory are 32 bits wide")
	}
	return c.source64(&r), uint64(a.Off)
}
