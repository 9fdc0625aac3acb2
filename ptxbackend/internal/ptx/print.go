package ptx

import (
	"fmt"
	"strings"
)

// Registers are declared by size alone: the types of instructions say how the bits
// are read, and those of the Builder have been checked by then.
var classes = []struct {
	prefix, decl string
	has          func(Type) bool
}{
	{"%p", ".pred", func(t Type) bool { return t == Pred }},
	{"%h", ".b16", func(t Type) bool { return t.Bytes() == 2 }},
	{"%r", ".b32", func(t Type) bool { return t.Bytes() == 4 }},
	{"%d", ".b64", func(t Type) bool { return t.Bytes() == 8 }},
}

// String is the text of the module.
func (m *Module) String() string {
	var w strings.Builder
	fmt.Fprintf(&w, ".version %d.%d\n.target %s\n.address_size 64\n", m.Target.Version/10, m.Target.Version%10, m.Target.Arch)
	declared := map[string]bool{}
	for _, k := range m.Kernels {
		w.WriteString("\n")
		k.print(&w, declared)
	}
	return w.String()
}

// print writes a kernel and its variables, but for those outside it that others
// have declared.
func (k *Kernel) print(w *strings.Builder, declared map[string]bool) {
	for _, v := range k.Vars {
		if (v.Space == Const || v.Bytes == 0) && !declared[v.Name] {
			declared[v.Name] = true
			printVar(w, "", v)
		}
	}
	fmt.Fprintf(w, ".visible .entry %s(", k.Name)
	for i, p := range k.Params {
		if i > 0 {
			w.WriteString(",")
		}
		w.WriteString("\n\t.param ")
		if p.Align > 0 {
			fmt.Fprintf(w, ".align %d ", p.Align)
		}
		t := p.Type
		if p.Count > 0 && t.Bytes() == 1 {
			t = B8
		}
		fmt.Fprintf(w, ".%v %s", t, p.Name)
		if p.Count > 0 {
			fmt.Fprintf(w, "[%d]", p.Count)
		}
	}
	w.WriteString("\n)\n")
	if k.Threads > 0 {
		fmt.Fprintf(w, ".reqntid %d, 1, 1\n", k.Threads)
	}
	if k.MaxThreads > 0 {
		fmt.Fprintf(w, ".maxntid %d, 1, 1\n", k.MaxThreads)
	}
	if k.MinCTAs > 0 {
		fmt.Fprintf(w, ".minnctapersm %d\n", k.MinCTAs)
	}
	w.WriteString("{\n")
	for _, c := range classes {
		k.printRegs(w, c.prefix, c.decl, c.has)
	}
	for _, v := range k.Vars {
		if v.Space == Shared && v.Bytes > 0 {
			printVar(w, "\t", v)
		}
	}
	for i := range k.Body {
		k.Body[i].print(w)
	}
	w.WriteString("}\n")
}

func printVar(w *strings.Builder, indent string, v Var) {
	if v.Bytes == 0 {
		fmt.Fprintf(w, "%s.extern .%v .align %d .b8 %s[];\n", indent, v.Space, v.Align, v.Name)
		return
	}
	fmt.Fprintf(w, "%s.%v .align %d .b8 %s[%d]", indent, v.Space, v.Align, v.Name, v.Bytes)
	if v.Init != nil {
		w.WriteString(" = {")
		for i, b := range v.Init {
			if i > 0 {
				w.WriteString(", ")
			}
			fmt.Fprintf(w, "%d", b)
		}
		w.WriteString("}")
	}
	w.WriteString(";\n")
}

func (k *Kernel) printRegs(w *strings.Builder, prefix, decl string, has func(Type) bool) {
	n := 0
	for i, t := range k.Regs {
		if !has(t) {
			continue
		}
		switch {
		case n == 0:
			fmt.Fprintf(w, "\t.reg %s %s%d", decl, prefix, i+1)
		case n%16 == 0:
			fmt.Fprintf(w, ",\n\t\t%s%d", prefix, i+1)
		default:
			fmt.Fprintf(w, ", %s%d", prefix, i+1)
		}
		n++
	}
	if n > 0 {
		w.WriteString(";\n")
	}
}

func (i *Instr) print(w *strings.Builder) {
	if i.Label != "" {
		w.WriteString(i.Label + ":\n")
		return
	}
	w.WriteString("\t")
	if !i.Guard.IsZero() {
		w.WriteString("@")
		if i.Not {
			w.WriteString("!")
		}
		w.WriteString(i.Guard.String() + " ")
	}
	w.WriteString(i.Op)
	for n := range i.Args {
		if n == 0 {
			w.WriteString(" ")
		} else {
			w.WriteString(", ")
		}
		i.Args[n].print(w)
	}
	w.WriteString(";\n")
}

// String is the register's name.
func (r Reg) String() string {
	for _, c := range classes {
		if c.has(r.Type) {
			return fmt.Sprintf("%s%d", c.prefix, r.Num)
		}
	}
	return "_"
}

func (a *Arg) print(w *strings.Builder) {
	switch a.Kind {
	case ArgReg:
		if a.Not {
			w.WriteString("!")
		}
		w.WriteString(a.Reg.String())
	case ArgImm:
		printImm(w, a)
	case ArgSym, ArgSpecial:
		w.WriteString(a.Sym)
	case ArgAddr:
		w.WriteString("[")
		if a.Sym != "" {
			w.WriteString(a.Sym)
		} else {
			w.WriteString(a.Reg.String())
		}
		if a.Off != 0 {
			fmt.Fprintf(w, "+%d", a.Off)
		}
		w.WriteString("]")
	case ArgList:
		w.WriteString("{")
		for i := range a.List {
			if i > 0 {
				w.WriteString(", ")
			}
			a.List[i].print(w)
		}
		w.WriteString("}")
	}
}

// printImm writes floats by their bits, so that nothing is lost, and integers in
// decimal, signed where their type is.
func printImm(w *strings.Builder, a *Arg) {
	switch {
	case a.Type == F32:
		fmt.Fprintf(w, "0f%08X", uint32(a.Imm))
	case a.Type == F64:
		fmt.Fprintf(w, "0d%016X", a.Imm)
	case a.Hex || a.Type.Float():
		fmt.Fprintf(w, "0x%X", a.Imm)
	case a.Type == S64, a.Type == S32, a.Type == S16, a.Type == S8:
		fmt.Fprintf(w, "%d", int64(a.Imm))
	default:
		fmt.Fprintf(w, "%d", a.Imm)
	}
}
