package ptx

import (
	"fmt"
	"strconv"
)

// Registers are declared by size alone: the types of instructions say how the bits
// are read, and those of the Builder have been checked by then.
var classes = [...]struct{ prefix, decl string }{{"%p", ".pred"}, {"%h", ".b16"}, {"%r", ".b32"}, {"%d", ".b64"}}

// class is the place of a type's registers in classes, -1 for types without.
func class(t Type) int {
	switch {
	case t == Pred:
		return 0
	case t.Bytes() == 2:
		return 1
	case t.Bytes() == 4:
		return 2
	case t.Bytes() == 8:
		return 3
	}
	return -1
}

// String is the text of the module.
func (m *Module) String() string {
	w := make(text, 0, 1<<16)
	w.printf(".version %d.%d\n.target %s\n.address_size 64\n", m.Target.Version/10, m.Target.Version%10, m.Target.Arch)
	declared := map[string]bool{}
	for _, k := range m.Kernels {
		w.add("\n")
		w.kernel(k, declared)
	}
	return string(w)
}

// text grows as it is written.
type text []byte

func (w *text) add(s string)                { *w = append(*w, s...) }
func (w *text) printf(f string, arg ...any) { *w = fmt.Appendf(*w, f, arg...) }
func (w *text) int(n int64)                 { *w = strconv.AppendInt(*w, n, 10) }

// kernel writes a kernel and its variables, but for those outside it that others
// have declared.
func (w *text) kernel(k *Kernel, declared map[string]bool) {
	for _, v := range k.Vars {
		if (v.Space == Const || v.Bytes == 0) && !declared[v.Name] {
			declared[v.Name] = true
			w.variable("", v)
		}
	}
	w.printf(".visible .entry %s(", k.Name)
	for i, p := range k.Params {
		if i > 0 {
			w.add(",")
		}
		w.param(p)
	}
	w.add("\n)\n")
	if k.Threads > 0 {
		w.printf(".reqntid %d, 1, 1\n", k.Threads)
	}
	if k.MaxThreads > 0 {
		w.printf(".maxntid %d, 1, 1\n", k.MaxThreads)
	}
	if k.MinCTAs > 0 {
		w.printf(".minnctapersm %d\n", k.MinCTAs)
	}
	w.add("{\n")
	for c := range classes {
		w.registers(k, c)
	}
	for _, v := range k.Vars {
		if v.Space == Shared && v.Bytes > 0 {
			w.variable("\t", v)
		}
	}
	for i := range k.Body {
		w.line(&k.Body[i])
	}
	w.add("}\n")
}

func (w *text) param(p Param) {
	w.add("\n\t.param ")
	if p.Align > 0 {
		w.printf(".align %d ", p.Align)
	}
	t := p.Type
	if p.Count > 0 && t.Bytes() == 1 {
		t = B8
	}
	w.printf(".%v %s", t, p.Name)
	if p.Count > 0 {
		w.printf("[%d]", p.Count)
	}
}

func (w *text) variable(indent string, v Var) {
	if v.Bytes == 0 {
		w.printf("%s.extern .%v .align %d .b8 %s[];\n", indent, v.Space, v.Align, v.Name)
		return
	}
	w.printf("%s.%v .align %d .b8 %s[%d]", indent, v.Space, v.Align, v.Name, v.Bytes)
	if v.Init != nil {
		w.add(" = {")
		for i, b := range v.Init {
			if i > 0 {
				w.add(", ")
			}
			w.int(int64(b))
		}
		w.add("}")
	}
	w.add(";\n")
}

// registers declares the registers of a class, 16 to a line.
func (w *text) registers(k *Kernel, c int) {
	n := 0
	for i, t := range k.Regs {
		if class(t) != c {
			continue
		}
		switch {
		case n == 0:
			w.printf("\t.reg %s ", classes[c].decl)
		case n%16 == 0:
			w.add(",\n\t\t")
		default:
			w.add(", ")
		}
		w.reg(Reg{Num: int32(i + 1), Type: t})
		n++
	}
	if n > 0 {
		w.add(";\n")
	}
}

func (w *text) line(i *Instr) {
	if i.Label != "" {
		w.add(i.Label)
		w.add(":\n")
		return
	}
	w.add("\t")
	if !i.Guard.IsZero() {
		w.add("@")
		if i.Not {
			w.add("!")
		}
		w.reg(i.Guard)
		w.add(" ")
	}
	w.add(i.Op)
	for n := range i.Args {
		if n == 0 {
			w.add(" ")
		} else {
			w.add(", ")
		}
		w.arg(&i.Args[n])
	}
	w.add(";\n")
}

// String is the register's name.
func (r Reg) String() string {
	var w text
	w.reg(r)
	return string(w)
}

func (w *text) reg(r Reg) {
	c := class(r.Type)
	if c < 0 {
		w.add("_")
		return
	}
	w.add(classes[c].prefix)
	w.int(int64(r.Num))
}

func (w *text) arg(a *Arg) {
	switch a.Kind {
	case ArgReg:
		if a.Not {
			w.add("!")
		}
		w.reg(a.Reg)
	case ArgImm:
		w.immediate(a)
	case ArgSym, ArgSpecial:
		w.add(a.Sym)
	case ArgAddr:
		w.add("[")
		if a.Sym != "" {
			w.add(a.Sym)
		} else {
			w.reg(a.Reg)
		}
		if a.Off != 0 {
			w.add("+")
			w.int(a.Off)
		}
		w.add("]")
	case ArgList:
		w.add("{")
		for i := range a.List {
			if i > 0 {
				w.add(", ")
			}
			w.arg(&a.List[i])
		}
		w.add("}")
	}
}

// immediate writes floats by their bits, so that nothing is lost, and integers in
// decimal, signed where their type is.
func (w *text) immediate(a *Arg) {
	switch {
	case a.Type == F32:
		w.printf("0f%08X", uint32(a.Imm))
	case a.Type == F64:
		w.printf("0d%016X", a.Imm)
	case a.Hex || a.Type.Float():
		w.printf("0x%X", a.Imm)
	case a.Type.Signed():
		w.int(int64(a.Imm))
	default:
		*w = strconv.AppendUint(*w, a.Imm, 10)
	}
}
