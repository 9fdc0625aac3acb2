// Package ptx writes, prints, reads and checks programs for NVIDIA GPUs in PTX,
// the assembly language the driver compiles ("Parallel Thread Execution ISA").
//
// A kernel is written with a Builder, one call per instruction; the calls return
// the registers they define, so that kernel code reads like arithmetic:
//
//	b := ptx.New("scale", ptx.SM80)
//	x, n, a := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "n"), b.Param(ptx.F32, "a")
//	i := b.Mad(b.Ctaid(0), b.Ntid(0), b.Tid(0))
//	b.If(b.Setp(ptx.Lt, i, n), func() {
//		p := b.Add(x, b.MulWide(i, 4))
//		b.St(ptx.Global, p, 0, b.Mul(b.Ld(ptx.Global, ptx.F32, p, 0), a))
//	})
//	k, err := b.Kernel()
//
// Registers have types and there is no end of them; the driver allocates the real
// ones. Mistakes are collected and come back from Kernel, each with the line of Go
// that made it. A Builder is for one goroutine; a Kernel is not changed once built.
package ptx

import "fmt"

// Type is the type of a register, a parameter or a memory access.
type Type uint8

// The types. A register of one type can be read as another of its size with As.
const (
	NoType Type = iota
	Pred
	U8 // 8-bit types exist in memory only; a register that holds one is 16 or 32 bits wide
	S8
	U16
	S16
	F16
	BF16
	U32
	S32
	F32
	F16x2  // two halves, the first in the low bits
	BF16x2 // likewise
	U64
	S64
	F64
	B16 // bits without a meaning
	B32
	B64
	B8
	numTypes
)

var typeNames = [numTypes]string{Pred: "pred", U8: "u8", S8: "s8", U16: "u16", S16: "s16", F16: "f16", BF16: "bf16",
	U32: "u32", S32: "s32", F32: "f32", F16x2: "f16x2", BF16x2: "bf16x2", U64: "u64", S64: "s64", F64: "f64",
	B16: "b16", B32: "b32", B64: "b64", B8: "b8"}

var typeBytes = [numTypes]int{U8: 1, S8: 1, B8: 1, U16: 2, S16: 2, F16: 2, BF16: 2, B16: 2,
	U32: 4, S32: 4, F32: 4, F16x2: 4, BF16x2: 4, B32: 4, U64: 8, S64: 8, F64: 8, B64: 8}

func (t Type) String() string {
	if t > NoType && t < numTypes {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Bytes is the size in memory; 0 for predicates.
func (t Type) Bytes() int { return typeBytes[t] }

// Float reports whether t is a floating-point type, packed pairs included.
func (t Type) Float() bool {
	switch t {
	case F16, BF16, F32, F64, F16x2, BF16x2:
		return true
	}
	return false
}

// Signed reports whether t is a signed integer.
func (t Type) Signed() bool { return t == S8 || t == S16 || t == S32 || t == S64 }

// Bits is the untyped form of t's size.
func (t Type) Bits() Type {
	switch t.Bytes() {
	case 1:
		return B8
	case 2:
		return B16
	case 4:
		return B32
	case 8:
		return B64
	}
	return t
}

// ParseType returns the type called name in PTX, without the dot.
func ParseType(name string) (Type, bool) {
	for t, n := range typeNames {
		if n == name && n != "" {
			return Type(t), true
		}
	}
	return NoType, false
}

// Space is where an address points.
type Space uint8

// The state spaces.
const (
	Generic Space = iota
	Global
	Shared
	Const
	ParamSpace
	Local
)

var spaceNames = [...]string{Generic: "", Global: "global", Shared: "shared", Const: "const", ParamSpace: "param", Local: "local"}

func (s Space) String() string { return spaceNames[s] }

// Target is the hardware and language a module is written for.
type Target struct {
	Arch    string // "sm_80", "sm_90a"
	Version int    // of the PTX ISA, major*10+minor: 80 is 8.0
}

// The targets kernels are built for: every GPU since 2020, and Hopper with what
// only Hopper has (sm_90a code runs on nothing else).
var (
	SM80  = Target{Arch: "sm_80", Version: 74}
	SM90a = Target{Arch: "sm_90a", Version: 80}
)

// Hopper reports whether wgmma, bulk copies and programmatic launch are there.
func (t Target) Hopper() bool { return t.Arch == "sm_90a" }
