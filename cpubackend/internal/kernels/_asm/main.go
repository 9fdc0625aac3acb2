//go:generate go run . ..

// Command _asm writes the assembly of the kernels package and its Go stubs. Run
// it through go generate (see doc.go there); the output is committed.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// A source is one pair of files, stem_amd64.s and stem_amd64.go.
type source struct {
	stem string
	emit func(*asm)
}

var sources = []source{
	{"act", emitQuantize},
	{"tile", emitTile},
	{"pair", emitPair},
	{"panel", emitPanel},
	{"dot_q8_0", emitQ8_0},
	{"dot_q4_0", emitQ4_0},
	{"dot_q4_1", emitQ4_1},
	{"dot_q5_0", emitQ5_0},
	{"dot_q5_1", emitQ5_1},
	{"dot_q2_k", emitQ2K},
	{"dot_q3_k", emitQ3K},
	{"dot_q4_k", emitQ4K},
	{"dot_q5_k", emitQ5K},
	{"dot_q6_k", emitQ6K},
	{"dot_iq4", emitIQ4},
	{"dot_mxfp4", emitMXFP4},
	{"dot_plain", emitPlain},
	{"vector", emitVector},
	{"softmax", emitSoftmax},
	{"rope", emitRope},
	{"half", emitHalf},
	{"attention", emitAttention},
	{"attention_q8", emitAttentionQ8},
	{"attention_tile", emitAttentionTile},
	{"probe", emitProbe},
}

func main() {
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, s := range sources {
		if err := s.write(dir); err != nil {
			log.Fatalf("%s: %v", s.stem, err)
		}
	}
}

func (s source) write(dir string) error {
	a := &asm{Context: build.NewContext(), consts: map[string]operand.Mem{}}
	a.ConstraintExpr("!noasm")
	s.emit(a)
	file, err := a.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	for _, f := range file.Functions() {
		encodeVEX(f)
		if err := checkVEX(f); err != nil {
			return err
		}
	}
	cfg := printer.Config{Argv: []string{"_asm"}, Name: "_asm", Pkg: "kernels"}
	for _, out := range []struct {
		printer.Printer
		suffix string
	}{{printer.NewGoAsm(cfg), ".s"}, {printer.NewStubs(cfg), ".go"}} {
		text, err := out.Print(file)
		if err != nil {
			return err
		}
		// A generated line ends no file with blanks.
		text = append(bytes.TrimRight(text, "\n"), '\n')
		if err := os.WriteFile(filepath.Join(dir, s.stem+"_amd64"+out.suffix), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// asm is avo's context with the few things kernels need beside it.
type asm struct {
	*build.Context
	consts map[string]operand.Mem
	labels int
}

// function begins an assembly function that keeps no pointer it is given.
func (a *asm) function(name, args, doc string) {
	a.Function(name)
	a.Pragma("noescape")
	a.Doc(doc)
	a.SignatureExpr("func(" + args + ")")
}

// returning is function with a result.
func (a *asm) returning(name, args, result, doc string) {
	a.Function(name)
	a.Pragma("noescape")
	a.Doc(doc)
	a.SignatureExpr("func(" + args + ") " + result)
}

// arg loads a 64-bit argument.
func (a *asm) arg(name string) reg.GPVirtual {
	r := a.GP64()
	a.Load(a.Param(name), r)
	return r
}

// label makes a name unique within the file.
func (a *asm) label(name string) string {
	a.labels++
	return fmt.Sprintf("%s%d", name, a.labels)
}

// loop runs body n times, n > 0, counting the register down to 0.
func (a *asm) loop(n reg.Register, body func()) {
	l := a.label("loop")
	a.Label(l)
	body()
	a.DECQ(n)
	a.JNZ(operand.LabelRef(l))
}

// bytes is read-only data, up to 64 bytes, padded with zeros to a multiple of 8.
func (a *asm) bytes(b []byte) operand.Mem {
	key := string(b)
	if m, ok := a.consts[key]; ok {
		return m
	}
	m := a.StaticGlobal(fmt.Sprintf("data%d", len(a.consts)))
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := 0; i < len(b); i += 8 {
		var v uint64
		for j := range min(8, len(b)-i) {
			v |= uint64(b[i+j]) << (8 * j)
		}
		a.AddDatum(i, operand.U64(v))
	}
	a.consts[key] = m
	return m
}

func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// dwords is bytes of little-endian 32-bit values.
func (a *asm) dwords(v ...uint32) operand.Mem {
	var b []byte
	for _, x := range v {
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
	return a.bytes(b)
}

// dp adds to each 32-bit lane of acc the four products of unsigned bytes of u
// with signed bytes of s (VPDPBUSD, EVEX; avo has no name for it). s may be
// memory.
func (a *asm) dp(s, u operand.Op, acc reg.Register) {
	a.Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Operands: []operand.Op{s, u, acc},
		Inputs: []operand.Op{s, u, acc}, Outputs: []operand.Op{acc}})
}

// dpBroadcast is dp with one 32-bit value of memory for all lanes.
func (a *asm) dpBroadcast(s operand.Mem, u operand.Op, acc reg.Register) {
	a.Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Suffixes: []string{"BCST"}, Operands: []operand.Op{s, u, acc},
		Inputs: []operand.Op{s, u, acc}, Outputs: []operand.Op{acc}})
}

const vexDP = "VPDPBUSD_VEX"

// dpVEX is dp for processors with AVX-VNNI, on 256-bit registers only; Go's
// assembler knows only the AVX-512 encoding.
func (a *asm) dpVEX(s, u, acc reg.Register) {
	a.Instruction(&ir.Instruction{Opcode: vexDP, Operands: []operand.Op{s, u, acc},
		Inputs: []operand.Op{s, u, acc}, Outputs: []operand.Op{acc}})
}

// encodeVEX replaces each dpVEX, whose registers are known by now, by its bytes:
// VEX.256.66.0F38.W0 50 /r.
func encodeVEX(f *ir.Function) {
	var nodes []ir.Node
	for _, n := range f.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok || i.Opcode != vexDP {
			nodes = append(nodes, n)
			continue
		}
		s, u, acc := number(i.Operands[0]), number(i.Operands[1]), number(i.Operands[2])
		code := []byte{0xc4, (^(acc>>3)&1)<<7 | 1<<6 | (^(s>>3)&1)<<5 | 2, (^u&15)<<3 | 1<<2 | 1, 0x50, 3<<6 | acc&7<<3 | s&7}
		nodes = append(nodes, &ir.Comment{Lines: []string{fmt.Sprintf("VPDPBUSD %v, %v, %v", i.Operands[0].Asm(), i.Operands[1].Asm(), i.Operands[2].Asm())}})
		for _, b := range code {
			nodes = append(nodes, &ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
		}
	}
	f.Nodes = nodes
}

// checkVEX makes sure that a function for processors without AVX-512 uses none of
// its instructions or registers.
func checkVEX(f *ir.Function) error {
	if strings.HasSuffix(f.Name, "AVX512") {
		return nil
	}
	for _, isa := range f.ISA {
		if strings.HasPrefix(isa, "AVX512") {
			return fmt.Errorf("%s needs %s", f.Name, isa)
		}
	}
	for _, i := range f.Instructions() {
		for _, r := range i.Registers() {
			if p, ok := r.(reg.Physical); ok && r.Kind() == reg.KindVector && p.PhysicalIndex() > 15 {
				return fmt.Errorf("%s uses %s", f.Name, r.Asm())
			}
		}
	}
	return nil
}

func number(op operand.Op) byte {
	n := op.(reg.Physical).PhysicalIndex()
	if n > 15 {
		log.Fatalf("register %s is out of VEX's reach", op.Asm())
	}
	return byte(n)
}

// at is memory at a base, with an optional index register.
func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

func atIndex(base, index reg.Register, scale uint8, disp int) operand.Mem {
	if index == nil {
		return at(base, disp)
	}
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// imm is the number n, 0 <= n, in the smallest encoding of an addition.
func imm(n int) operand.Constant {
	if n < 128 {
		return operand.U8(n)
	}
	return operand.U32(n)
}

// zero clears registers. avo takes the instruction for a read of what they held
// and would keep them reserved since the beginning; here it only writes.
func (a *asm) zero(v ...reg.VecVirtual) {
	for _, r := range v {
		opcode := "VPXOR"
		if r.Size() == 64 {
			opcode = "VPXORD"
		}
		a.Instruction(&ir.Instruction{Opcode: opcode, Operands: []operand.Op{r, r, r}, Outputs: []operand.Op{r}})
	}
}

// lowX loads the lowest 128 bits of a register and clears the rest, which avo
// would take for a write of 128 bits alone.
func (a *asm) lowX(from operand.Mem, r reg.VecVirtual) { a.low(from, r, r.AsX()) }

// lowY does it with 256 bits.
func (a *asm) lowY(from operand.Mem, r reg.VecVirtual) { a.low(from, r, r.AsY()) }

func (a *asm) low(from operand.Mem, whole, part operand.Op) { a.lowOf("VMOVUPS", from, whole, part) }

func (a *asm) lowOf(opcode string, from operand.Mem, whole, part operand.Op) {
	a.Instruction(&ir.Instruction{Opcode: opcode, Operands: []operand.Op{from, part}, Inputs: []operand.Op{from}, Outputs: []operand.Op{whole}})
}
