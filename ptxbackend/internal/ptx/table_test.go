package ptx

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ptxas returns the assembler, where there is one.
func ptxas(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("SANDWARP_PTXAS"); p != "" {
		return p
	}
	p, err := exec.LookPath("ptxas")
	if err != nil {
		t.Skip("there is no ptxas: set SANDWARP_PTXAS to its path")
	}
	return p
}

// sample writes instructions for all rules of the grammar.
type sample struct {
	k    *Kernel
	seen map[string]bool
	ones map[Type]Reg
}

func (s *sample) reg(t Type) Reg {
	s.k.Regs = append(s.k.Regs, t)
	return Reg{Num: int32(len(s.k.Regs)), Type: t}
}

// one is always the same register of a type.
func (s *sample) one(t Type) Reg {
	if s.ones == nil {
		s.ones = map[Type]Reg{}
	}
	if s.ones[t].IsZero() {
		s.ones[t] = s.reg(t)
	}
	return s.ones[t]
}

func (s *sample) list(t Type, n int) Arg {
	a := Arg{Kind: ArgList}
	for range n {
		a.List = append(a.List, Arg{Kind: ArgReg, Reg: s.reg(t)})
	}
	return a
}

// variants are the names a rule allows: each choice once with the others as they
// are at first, with all that is optional and with none of it.
func (r *rule) variants() []string {
	full, none := []string{r.name}, []string{r.name}
	for _, m := range r.mods {
		full = append(full, m.choice[0])
		if !m.optional {
			none = append(none, m.choice[0])
		}
	}
	out := []string{strings.Join(none, "."), strings.Join(full, ".")}
	at := 1
	for _, m := range r.mods {
		for _, c := range m.choice {
			v := append([]string{}, none[:at]...)
			v = append(v, c)
			if m.optional {
				v = append(v, none[at:]...)
			} else {
				v = append(v, none[at+1:]...)
			}
			out = append(out, strings.Join(v, "."))
		}
		if !m.optional {
			at++
		}
	}
	return out
}

// args are operands that fit; ok is false where the combination of modifiers that
// each fit does not exist.
func (s *sample) args(f *form) (args []Arg, ok bool) {
	reg := func(t Type) Arg { return Arg{Kind: ArgReg, Reg: s.reg(t)} }
	imm := func(n int) Arg { return Arg{Kind: ArgImm, Type: U32, Imm: uint64(n)} }
	for _, r := range f.rule.roles {
		t := r.typ
		if r.nth > 0 {
			t = f.types[min(r.nth, len(f.types))-1]
		}
		if r.wide {
			t = map[Type]Type{U16: U32, S16: S32, U32: U64, S32: S64}[t]
		}
		if t.Bytes() == 1 {
			t = U16
		}
		switch r.kind {
		case "d", "s", "r":
			args = append(args, reg(t))
		case "dp", "p":
			args = append(args, reg(Pred))
		case "D", "L", "l":
			n := r.count
			if n == 0 && f.vec == 1 {
				args = append(args, reg(t))
				break
			}
			if n == 0 {
				n = f.vec
				if n*t.Bytes() > 16 {
					return nil, false
				}
			}
			args = append(args, s.list(t, n))
		case "a":
			space := r.space
			if space == Generic {
				space = f.space
			}
			switch space {
			case ParamSpace:
				args = append(args, Arg{Kind: ArgAddr, Sym: "blob"})
			case Shared:
				args = append(args, Arg{Kind: ArgAddr, Reg: s.reg(U32)})
			default:
				args = append(args, Arg{Kind: ArgAddr, Reg: s.reg(U64)})
			}
		case "label":
			args = append(args, Arg{Kind: ArgSym, Sym: "L"})
		case "i":
			if r.values != nil {
				args = append(args, imm(int(r.values[0])))
			} else {
				args = append(args, imm(int(r.low)))
			}
		case "fill":
			args = append(args, reg(U32))
		case "bar":
			args = append(args, imm(1))
		case "count":
			args = append(args, imm(64))
		case "bulk":
			args = append(args, imm(32))
		case "maxnreg":
			args = append(args, imm(232))
		case "mov":
			args = append(args, reg(f.types[0]), reg(f.types[0]))
		case "wgmma":
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(f.parts[4], "m64n"), "k16"))
			d := s.list(F32, n/2)
			if f.types[0] == F16 {
				d = s.list(B32, n/4)
			}
			args = append(args, d, s.list(B32, 4), reg(U64), reg(Pred), imm(1), imm(1), imm(0))
		}
	}
	return args, true
}

// sampleModule has every form that the target has, or, with missing, every form
// that it does not have.
func sampleModule(target Target, missing bool) *Module {
	s := &sample{k: &Kernel{Name: "k", Params: []Param{{Name: "blob", Type: B8, Count: 64, Align: 16}}}, seen: map[string]bool{}}
	s.k.Body = append(s.k.Body, Instr{Label: "L"})
	for _, line := range strings.Split(strings.TrimSpace(grammar), "\n") {
		for _, name := range strings.Split(strings.Fields(line)[0], ",") {
			for _, r := range rules()[name] {
				for _, op := range r.variants() {
					s.add(r, op, target, missing)
				}
			}
		}
	}
	return &Module{Target: target, Kernels: []*Kernel{s.k}}
}

func (s *sample) add(r *rule, op string, target Target, missing bool) {
	key := fmt.Sprint(op, len(r.roles))
	if _, ok := r.matches(strings.Split(op, ".")); !ok || s.seen[key] {
		return
	}
	s.seen[key] = true
	f := newForm(r, strings.Split(op, "."))
	v := verifier{target: target}
	v.available(&Instr{Op: op}, f)
	if (len(v.errs) > 0) != missing {
		return
	}
	if args, ok := s.args(f); ok {
		s.k.Body = append(s.k.Body, Instr{Op: op, Args: args, Where: op})
	}
}

var errorLine = regexp.MustCompile(`line (\d+); error\s*:(.*)`)

// assembleLines returns what ptxas says against lines of the module.
func assembleLines(t *testing.T, m *Module) (text []string, errs map[int]string) {
	t.Helper()
	asm := ptxas(t)
	file := filepath.Join(t.TempDir(), "sample.ptx")
	if err := os.WriteFile(file, []byte(m.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(asm, "-arch="+m.Target.Arch, file, "-o", os.DevNull).CombinedOutput()
	errs = map[int]string{}
	for _, g := range errorLine.FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(g[1])
		errs[n] = g[2]
	}
	if len(errs) == 0 && strings.Contains(string(out), "fatal") {
		t.Fatalf("%s", out)
	}
	return strings.Split(m.String(), "\n"), errs
}

// What the grammar allows, ptxas reads; what is said to need a newer version or
// target, it refuses.
func TestTableAssembles(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	for _, target := range []Target{SM80, SM90a} {
		m := sampleModule(target, false)
		if n := len(m.Kernels[0].Body); n < 1000 {
			t.Errorf("only %d forms", n)
		}
		text, errs := assembleLines(t, m)
		for n, e := range errs {
			t.Errorf("%s: ptxas refuses %s: %s", target.Arch, strings.TrimSpace(text[n-1]), e)
		}
		m = sampleModule(target, true)
		text, errs = assembleLines(t, m)
		for i, line := range text {
			if _, refused := errs[i+1]; !refused && strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "\t.") && !strings.HasPrefix(line, "\t\t") {
				t.Errorf("%s: ptxas takes %s", target.Arch, strings.TrimSpace(line))
			}
		}
	}
}

// mutations are copies of an instruction with one operand changed: gone, doubled,
// of another size, a number, a predicate, an address.
func (s *sample) mutations(in Instr) (out []Instr) {
	with := func(i int, a ...Arg) {
		c := in
		c.Args = append(append(append([]Arg{}, in.Args[:i]...), a...), in.Args[i+1:]...)
		out = append(out, c)
	}
	reg := func(t Type) Arg { return Arg{Kind: ArgReg, Reg: s.one(t)} }
	for i, a := range in.Args {
		with(i)
		with(i, a, a)
		for _, t := range []Type{Pred, B16, B32, B64} {
			with(i, reg(t))
		}
		with(i, Arg{Kind: ArgImm, Type: U32, Imm: 7})
		with(i, Arg{Kind: ArgImm, Type: S32, Imm: ^uint64(2)})
		with(i, Arg{Kind: ArgImm, Type: F32, Imm: 0x3F800000})
		with(i, Arg{Kind: ArgAddr, Reg: s.one(U64)})
		with(i, Arg{Kind: ArgAddr, Reg: s.one(U32)})
		with(i, Arg{Kind: ArgAddr, Sym: "blob"})
		with(i, Arg{Kind: ArgSym, Sym: "L"})
		with(i, Arg{Kind: ArgSpecial, Sym: "%tid.x"})
		if a.Kind == ArgReg {
			a.Not = true
			with(i, a)
		}
		if a.Kind == ArgList {
			with(i, a.List[0])
			with(i, Arg{Kind: ArgList, List: append(append([]Arg{}, a.List...), a.List[0])})
			with(i, Arg{Kind: ArgList, List: append([]Arg{reg(B64)}, a.List[1:]...)})
			with(i, Arg{Kind: ArgList, List: append([]Arg{{Kind: ArgImm, Type: U32, Imm: 1}}, a.List[1:]...)})
		} else {
			with(i, Arg{Kind: ArgList, List: []Arg{a}})
		}
	}
	return out
}

var allMutations = flag.Bool("mutations", false, "have ptxas judge changed operands of all instructions, not of some")

// What ptxas refuses of the wrong operands, so does the verifier.
func TestMutationsAssemble(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	ptxas(t)
	for _, target := range []Target{SM80, SM90a} {
		m := sampleModule(target, false)
		k := m.Kernels[0]
		s := &sample{k: k}
		body := []Instr{{Label: "L"}}
		v := &verifier{target: target, k: k, params: map[string]int{"blob": 0}, vars: map[string]*Var{}, labels: map[string]int{"L": 0}}
		total := 0
		for i, in := range k.Body[1:] {
			if i%5 != target.Version%5 && !*allMutations {
				continue
			}
			for _, c := range s.mutations(in) {
				total++
				v.errs = nil
				if v.instruction(&c); len(v.errs) == 0 {
					body = append(body, c)
				}
			}
		}
		t.Logf("%s: of %d instructions with a changed operand %d pass", target.Arch, total, len(body)-1)
		k.Body = body
		text, errs := assembleLines(t, m)
		for n, e := range errs {
			t.Errorf("%s: ptxas refuses %s: %s", target.Arch, strings.TrimSpace(text[n-1]), e)
		}
	}
}

func TestEverythingAssembles(t *testing.T) {
	for _, target := range []Target{SM80, SM90a} {
		text, errs := assembleLines(t, everything(t, target))
		for n, e := range errs {
			t.Errorf("%s: ptxas refuses %s: %s", target.Arch, text[n-1], e)
		}
	}
}
