package ptx

import (
	"crypto/sha256"
	"encoding/hex"
)

// Reg is a virtual register of a kernel: Num, from 1, numbers all of them. The
// zero Reg is none.
type Reg struct {
	Num  int32
	Type Type
}

// IsZero reports whether r is no register.
func (r Reg) IsZero() bool { return r.Num == 0 }

// ArgKind says which fields of an Arg count.
type ArgKind uint8

// The kinds of operands.
const (
	ArgReg     ArgKind = iota + 1 // Reg; Not inverts a predicate
	ArgImm                        // Imm: the bits of Type
	ArgAddr                       // [Reg+Off] or [Sym+Off]
	ArgList                       // {List...}, a vector of registers
	ArgSym                        // Sym: a label or the address of a variable
	ArgSpecial                    // Sym: a special register, "%tid.x"
)

// Arg is an operand.
type Arg struct {
	Kind ArgKind
	Not  bool
	Hex  bool // writes an immediate in base 16
	Type Type // of an immediate
	Reg  Reg
	Imm  uint64
	Sym  string
	Off  int64
	List []Arg
}

// Instr is an instruction or, where Label is set, the place a branch goes to.
type Instr struct {
	Label string
	Guard Reg    // predicate under which it executes; zero for always
	Not   bool   // executes where Guard is false
	Op    string // "ld.global.v4.b32"
	Args  []Arg  // in the order of the text, destinations first
	Where string // file:line of the Go (or PTX) that wrote it, for messages
}

// Param is a parameter of a kernel.
type Param struct {
	Name  string
	Type  Type // of an element
	Count int  // 0 for a scalar; elements of an array otherwise
	Align int  // of an array, in bytes; 0 for the natural one
}

// Bytes is the parameter's size.
func (p Param) Bytes() int { return p.Type.Bytes() * max(1, p.Count) }

// end is where a parameter ends that comes after start bytes of others.
func (p Param) end(start int) int {
	align := max(p.Align, p.Type.Bytes(), 1)
	return (start+align-1)/align*align + p.Bytes()
}

// Var is a variable in shared or constant memory.
type Var struct {
	Name  string
	Space Space // Shared or Const
	Align int
	Bytes int    // 0 for shared memory whose size the launch sets (extern)
	Init  []byte // Const only, nil for zeroes
}

// Kernel is an entry point.
type Kernel struct {
	Name    string
	Params  []Param
	Vars    []Var
	Regs    []Type // Regs[n-1] is the type of register n
	Body    []Instr
	Threads int // of a block, exactly (.reqntid); 0 leaves it open
	MinCTAs int // blocks per multiprocessor to allocate registers for (.minnctapersm); 0 leaves it open

	MaxThreads int // at most so many threads of a block (.maxntid); 0 leaves it open
}

// Module is a file of kernels. A variable outside a kernel (Const, or Shared of
// the launch's size) that several kernels have under one name is one variable.
type Module struct {
	Target  Target
	Kernels []*Kernel
}

// ParamOffsets are the offsets of the parameters in the block a launch passes,
// and the block's size.
func (k *Kernel) ParamOffsets() (offsets []int, size int) {
	for _, p := range k.Params {
		size = p.end(size)
		offsets = append(offsets, size-p.Bytes())
	}
	return offsets, size
}

// SharedBytes is the shared memory the kernel declares, without the part whose
// size the launch sets.
func (k *Kernel) SharedBytes() int {
	n := 0
	for _, v := range k.Vars {
		if v.Space == Shared && v.Bytes > 0 {
			align := max(v.Align, 1)
			n = (n+align-1)/align*align + v.Bytes
		}
	}
	return n
}

// Hash is the SHA-256 of the module's text in hexadecimal.
func (m *Module) Hash() string {
	sum := sha256.Sum256([]byte(m.String()))
	return hex.EncodeToString(sum[:])
}
