package ptx

import (
	"errors"
	"fmt"
	"strings"
)

// What a block can have on every target here: shared memory declared with its size
// and in all, threads, and named barriers.
const (
	maxStaticShared = 48 << 10
	maxShared       = 227 << 10
	maxThreads      = 1024
	barriers        = 16
)

// Verify reports what is wrong with a module, all of it at once and each with the
// place that wrote it: instructions its target or version does not have, operands
// that do not fit them, addresses out of bounds or misaligned as far as that can be
// seen, registers that are read and never written, barriers and other instructions
// of whole warps that not all threads reach, asynchronous work that is not waited
// for. What it cannot see it lets pass. Facts: PTX ISA 8.x.
func Verify(m *Module) error {
	v := &verifier{target: m.Target}
	v.checkTarget()
	names := map[string]bool{}
	consts := map[string]Var{}
	for _, k := range m.Kernels {
		if names[k.Name] {
			v.add(nil, "there are two kernels %s", k.Name)
		}
		names[k.Name] = true
		for _, c := range k.Vars {
			if c.Space == Shared && c.Bytes > 0 {
				continue
			}
			if o, ok := consts[c.Name]; ok && !sameVar(o, c) {
				v.add(nil, "kernel %s: %s is declared differently in another kernel", k.Name, c.Name)
			}
			consts[c.Name] = c
		}
		v.kernel(k)
	}
	return errors.Join(v.errs...)
}

func sameVar(a, b Var) bool {
	return a.Space == b.Space && a.Align == b.Align && a.Bytes == b.Bytes && string(a.Init) == string(b.Init)
}

// verifier checks the kernels of a module, one after the other.
type verifier struct {
	target Target
	errs   []error
	read   map[formKey]*form

	k      *Kernel
	vars   map[string]*Var
	params map[string]int // place in k.Params
	labels map[string]int // place in k.Body
	forms  []*form        // of each instruction, nil where unknown
}

// add notes a mistake in an instruction, or nil.
func (v *verifier) add(in *Instr, format string, args ...any) {
	if len(v.errs) >= maxErrors {
		return
	}
	msg := fmt.Sprintf(format, args...)
	if v.k != nil {
		msg = v.k.Name + ": " + msg
	}
	if in != nil {
		msg = in.Where + ": " + msg + " in " + in.String()
	}
	v.errs = append(v.errs, errors.New("ptx: "+msg))
}

// String is the instruction's text.
func (i *Instr) String() string {
	var w text
	w.line(i)
	return strings.TrimSpace(string(w))
}

// architectures maps targets to the first version of PTX that knows them.
var architectures = map[string]int{"sm_70": 60, "sm_72": 61, "sm_75": 63, "sm_80": 70, "sm_86": 71, "sm_87": 74, "sm_89": 78,
	"sm_90": 78, "sm_90a": 80, "sm_100": 86, "sm_100a": 86, "sm_103": 88, "sm_103a": 88, "sm_120": 87, "sm_120a": 87}

func (v *verifier) checkTarget() {
	first, ok := architectures[v.target.Arch]
	if !ok {
		v.add(nil, "target %q is not known", v.target.Arch)
	} else if v.target.Version < first {
		v.add(nil, "target %s needs .version %d.%d, the module says %d.%d", v.target.Arch, first/10, first%10,
			v.target.Version/10, v.target.Version%10)
	}
}

func (v *verifier) kernel(k *Kernel) {
	v.k = k
	before := len(v.errs)
	v.vars, v.params, v.labels = map[string]*Var{}, map[string]int{}, map[string]int{}
	v.declarations()
	v.forms = make([]*form, len(k.Body))
	for i := range k.Body {
		if in := &k.Body[i]; in.Label == "" {
			v.forms[i] = v.instruction(in)
		}
	}
	if len(v.errs) == before {
		v.flow()
	}
	v.k = nil
}

// declarations checks names, parameters, variables, labels and the kernel's size.
func (v *verifier) declarations() {
	k := v.k
	seen := map[string]bool{}
	name := func(what, n string) {
		switch {
		case !isName(n):
			v.add(nil, "%q is no name of a %s", n, what)
		case seen[n]:
			v.add(nil, "%s is declared twice", n)
		}
		seen[n] = true
	}
	name("kernel", k.Name)
	for i, p := range k.Params {
		name("parameter", p.Name)
		v.params[p.Name] = i
		if p.Type.Bytes() == 0 || p.Count < 0 || p.Align < 0 || p.Align&(p.Align-1) != 0 {
			v.add(nil, "parameter %s has type %v, %d elements, alignment %d", p.Name, p.Type, p.Count, p.Align)
		}
	}
	if _, size := k.ParamOffsets(); size > 4096 {
		v.add(nil, "the parameters have %d bytes, more than 4096", size)
	}
	v.variables(name)
	for i := range k.Body {
		if in := &k.Body[i]; in.Label != "" {
			if !isName(in.Label) || seen[in.Label] {
				v.add(nil, "%s: label %s is placed twice, is a variable's name or no name", in.Where, in.Label)
			}
			seen[in.Label] = true
			v.labels[in.Label] = i
		}
	}
	v.blockSize()
}

func (v *verifier) variables(name func(what, n string)) {
	dynamic := ""
	for i := range v.k.Vars {
		x := &v.k.Vars[i]
		name("variable", x.Name)
		v.vars[x.Name] = x
		if x.Align < 1 || x.Align&(x.Align-1) != 0 || x.Bytes < 0 || (x.Space != Shared && x.Space != Const) {
			v.add(nil, "variable %s has space %v, alignment %d, %d bytes", x.Name, x.Space, x.Align, x.Bytes)
			return
		}
		if x.Space == Const && (x.Bytes == 0 || x.Bytes > maxConstBytes || len(x.Init) > x.Bytes) {
			v.add(nil, "variable %s has %d bytes and %d values", x.Name, x.Bytes, len(x.Init))
		}
		if x.Space == Shared && x.Bytes == 0 {
			if dynamic != "" {
				v.add(nil, "%s and %s are both the shared memory whose size the launch sets", dynamic, x.Name)
			}
			dynamic = x.Name
		}
	}
	if n := v.k.SharedBytes(); n > maxStaticShared {
		v.add(nil, "%d bytes of shared memory are declared, more than %d: use DynamicShared, up to %d", n, maxStaticShared, maxShared)
	}
}

func (v *verifier) blockSize() {
	k := v.k
	if k.Threads%32 != 0 || k.Threads < 0 || k.Threads > maxThreads {
		v.add(nil, "blocks of %d threads: wanted a multiple of 32, at most %d", k.Threads, maxThreads)
	}
	if k.MaxThreads < 0 || k.MaxThreads > maxThreads || (k.Threads > 0 && k.MaxThreads > 0) {
		v.add(nil, "at most %d threads beside exactly %d: wanted one of them, at most %d", k.MaxThreads, k.Threads, maxThreads)
	}
	if k.MinCTAs < 0 || k.MinCTAs > 32 || k.MinCTAs*max(k.Threads, k.MaxThreads) > 2048 {
		v.add(nil, "%d blocks of %d threads do not fit a multiprocessor", k.MinCTAs, max(k.Threads, k.MaxThreads))
	}
	if k.MinCTAs > 0 && k.Threads == 0 && k.MaxThreads == 0 {
		v.add(nil, ".minnctapersm without the number of threads")
	}
}

// isName says whether n can name something: a letter and what follows.
func isName(n string) bool {
	if n == "" || len(n) > 1024 || n == "_" || isDigit(n[0]) {
		return false
	}
	for i := range len(n) {
		if !isLetter(n[i]) && !isDigit(n[i]) {
			return false
		}
	}
	return true
}
