package binary

import "fmt"

// maxTables is how many tables a module may have.
const maxTables = 100

func sizeReason(n, max int) string {
	return fmt.Sprintf("module of %d bytes, at most %d allowed", n, max)
}

func countReason(a int, what string, b int, other string) string {
	return fmt.Sprintf("%d %s but %d %s", a, what, b, other)
}

func (m *Module) types(r *reader) {
	n := r.count("types", m.lim.Types)
	for i := 0; i < n && r.err == nil; i++ {
		if c := r.byte(); c != 0x60 {
			r.failAt(r.off-1, "type form 0x%02x, only functions (0x60) are supported", c)
			return
		}
		p := m.valTypes(r, "parameters")
		m.Types = append(m.Types, FuncType{p, m.valTypes(r, "results")})
	}
}

func (m *Module) valTypes(r *reader, what string) []ValType {
	n := r.count(what, m.lim.Params)
	v := make([]ValType, n)
	for i := range v {
		v[i] = m.valType(r)
	}
	return v
}

func (m *Module) valType(r *reader) ValType {
	t := ValType(r.byte())
	if r.err == nil && !t.valid() {
		r.failAt(r.off-1, "unknown value type 0x%02x", byte(t))
	}
	return t
}

func (m *Module) imports(r *reader) {
	n := r.count("imports", m.lim.Imports)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		im := Import{Module: r.name(), Name: r.name()}
		if kind := r.byte(); r.err == nil && kind != ExportFunc {
			r.beyondAt(start, "import %s.%s is not a function: memories, tables and globals must be the module's own", im.Module, im.Name)
			return
		}
		im.Type = r.index("type", len(m.Types))
		m.Imports = append(m.Imports, im)
	}
}

// limit reads the limits of a table or memory.
func (m *Module) limit(r *reader) Limit {
	start := r.off
	var l Limit
	switch flag := r.byte(); flag {
	case 0:
		l.Min = r.u32()
	case 1:
		l = Limit{Min: r.u32(), Max: r.u32(), HasMax: true}
		if l.Max < l.Min {
			r.failAt(start, "maximum %d below minimum %d", l.Max, l.Min)
		}
	default:
		r.failAt(start, "limits of form 0x%02x: shared and 64-bit memories are not supported", flag)
	}
	return l
}

func (m *Module) tables(r *reader) {
	n := r.count("tables", maxTables)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		t := Table{Elem: m.refType(r)}
		t.Limit = m.limit(r)
		if int64(t.Min) > int64(m.lim.Elements-m.tableEntries) {
			r.beyondAt(start, "table of %d entries, at most %d allowed in all", t.Min, m.lim.Elements)
			return
		}
		m.tableEntries += int(t.Min)
		m.Tables = append(m.Tables, t)
	}
}

func (m *Module) memory(r *reader) {
	if n := r.count("memories", 1); n == 1 {
		start := r.off
		l := m.limit(r)
		if max(l.Min, l.Max) > 1<<16 {
			r.failAt(start, "memory of %d pages of 64 KiB, there are 65536 addresses of pages", max(l.Min, l.Max))
		}
		if l.Min > m.lim.MemoryPages {
			r.beyondAt(start, "memory of %d pages of 64 KiB, at most %d allowed", l.Min, m.lim.MemoryPages)
		}
		m.Memory = &l
	}
}

func (m *Module) global(r *reader) Global {
	g := Global{Type: m.valType(r)}
	switch c := r.byte(); c {
	case 0:
	case 1:
		g.Mutable = true
	default:
		r.failAt(r.off-1, "mutability 0x%02x", c)
	}
	return g
}

// constant reads a constant expression of a type: one instruction and end. It returns
// the bits of an i32. Only imported globals are constants, and there are none.
func (m *Module) constant(r *reader, want ValType) (value uint32) {
	start := r.off
	var t ValType
	switch op := r.byte(); op {
	case OpI32Const:
		t, value = I32, uint32(r.signed(32))
	case OpI64Const:
		t = I64
		r.signed(64)
	case OpF32Const:
		t = F32
		r.bytes(4)
	case OpF64Const:
		t = F64
		r.bytes(8)
	case OpRefNull:
		t = m.refType(r)
	case OpRefFunc:
		t = FuncRef
		m.refer(r.index("function", m.NumFuncs()))
	case OpVector:
		if t = V128; r.second() != vectorConst {
			r.failAt(start, "a vector instruction that is not constant")
		}
		r.bytes(16)
	default:
		r.beyondAt(start, "instruction 0x%02x is not a supported constant", op)
	}
	if t != want && r.err == nil {
		r.failAt(start, "constant of type %s for one of type %s", t, want)
	}
	if c := r.byte(); r.err == nil && c != OpEnd {
		r.beyondAt(r.off-1, "constant expression of more than one instruction")
	}
	return value
}

// refer declares a function to be referred to by code.
func (m *Module) refer(i uint32) {
	if m.declared == nil {
		m.declared = make([]bool, m.NumFuncs())
	}
	if int(i) < len(m.declared) {
		m.declared[i] = true
	}
}

func (m *Module) refType(r *reader) ValType {
	t := ValType(r.byte())
	if r.err == nil && t != FuncRef && t != ExternRef {
		r.failAt(r.off-1, "reference type 0x%02x", byte(t))
	}
	return t
}

// start reads the start function.
func (m *Module) start(r *reader) {
	i := r.index("function", m.NumFuncs())
	if r.err != nil {
		return
	}
	if m.Start = int(i); len(m.FuncTypeOf(i).Params)+len(m.FuncTypeOf(i).Results) > 0 {
		r.fail("start function %d has parameters or results", i)
	}
}

func (m *Module) exports(r *reader) {
	n := r.count("exports", m.lim.Exports)
	seen := make(map[string]bool, min(n, 1000))
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		e := Export{Name: r.name(), Kind: r.byte()}
		switch e.Kind {
		case ExportFunc:
			e.Index = r.index("function", m.NumFuncs())
			m.refer(e.Index)
		case ExportTable:
			e.Index = r.index("table", len(m.Tables))
		case ExportMemory:
			e.Index = r.index("memory", m.memories())
		case ExportGlobal:
			e.Index = r.index("global", len(m.Globals))
		default:
			r.failAt(start, "export %q of kind %d", e.Name, e.Kind)
		}
		if seen[e.Name] {
			r.failAt(start, "export %q appears twice", e.Name)
		}
		seen[e.Name] = true
		m.Exports = append(m.Exports, e)
	}
}

func (m *Module) memories() int {
	if m.Memory != nil {
		return 1
	}
	return 0
}
