package binary

import "fmt"

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
			r.failAt(start, "import %s.%s is not a function: memories, tables and globals must be the module's own", im.Module, im.Name)
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
	n := r.count("tables", 100)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		t := Table{Elem: ValType(r.byte())}
		if r.err == nil && t.Elem != FuncRef && t.Elem != ExternRef {
			r.failAt(start, "table of type 0x%02x", byte(t.Elem))
			return
		}
		t.Limit = m.limit(r)
		if int64(t.Min) > int64(m.lim.Elements-m.tableEntries) {
			r.failAt(start, "table of %d entries, at most %d allowed in all", t.Min, m.lim.Elements)
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
		if l.Min > m.lim.MemoryPages {
			r.failAt(start, "memory of %d pages of 64 KiB, at most %d allowed", l.Min, m.lim.MemoryPages)
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

// constant reads a constant expression: one instruction and end.
func (m *Module) constant(r *reader) {
	switch op := r.byte(); op {
	case 0x41:
		r.signed(32)
	case 0x42:
		r.signed(64)
	case 0x43:
		r.bytes(4)
	case 0x44:
		r.bytes(8)
	case 0x23:
		r.index("global", len(m.Globals))
	case 0xd0:
		m.valType(r)
	case 0xd2:
		r.index("function", m.NumFuncs())
	case 0xfd:
		if sub := r.u32(); sub != 12 {
			r.fail("vector instruction %d is not constant", sub)
		}
		r.bytes(16)
	default:
		r.failAt(r.off-1, "instruction 0x%02x is not a supported constant", op)
	}
	if c := r.byte(); r.err == nil && c != 0x0b {
		r.failAt(r.off-1, "constant expression does not end")
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

// elementSegments reads element segments; the low bits of the form say: 1 passive or
// declarative, 2 explicit table (or declarative), 4 expressions.
func (m *Module) elementSegments(r *reader) {
	n := r.count("element segments", m.lim.Segments)
	for i := 0; i < n && r.err == nil; i++ {
		form := r.u32()
		if form > 7 {
			r.fail("element segment of form %d", form)
			return
		}
		if form&1 == 0 {
			table := uint32(0)
			if form&2 != 0 {
				table = r.u32()
			}
			if r.err == nil && int64(table) >= int64(len(m.Tables)) {
				r.fail("table %d, there are %d", table, len(m.Tables))
			}
			m.constant(r)
		}
		if form&3 != 0 {
			r.byte() // element kind or type; the engine checks it
		}
		k := r.count("elements", m.lim.Elements)
		for j := 0; j < k && r.err == nil; j++ {
			if form&4 != 0 {
				m.constant(r)
			} else {
				r.index("function", m.NumFuncs())
			}
		}
	}
	m.elems = n
}

func (m *Module) data(r *reader) {
	n := r.count("data segments", m.lim.Segments)
	for i := 0; i < n && r.err == nil; i++ {
		form := r.u32()
		if form > 2 {
			r.fail("data segment of form %d", form)
			return
		}
		if form == 2 {
			r.index("memory", m.memories())
		}
		if form != 1 {
			if m.Memory == nil {
				r.fail("data segment without a memory")
			}
			m.constant(r)
		}
		r.bytes(r.count("bytes of data", r.remaining()))
	}
	m.datas = n
}

func (m *Module) code(r *reader) {
	n := r.count("bodies", m.lim.Functions)
	if r.err == nil && n != len(m.Funcs) {
		r.fail("%s", countReason(len(m.Funcs), "functions", n, "bodies"))
		return
	}
	m.Bodies = make([]Body, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		size := r.u32()
		if int64(size) > int64(r.remaining()) {
			r.failAt(start, "body of %d bytes, %d remain", size, r.remaining())
			return
		}
		if int64(size) > int64(m.lim.BodyBytes) {
			r.failAt(start, "body of function %d is %d bytes, at most %d allowed", i, size, m.lim.BodyBytes)
			return
		}
		b := &reader{b: r.b, off: r.off, end: r.off + int(size), section: r.section}
		r.off = b.end
		m.body(b, m.Funcs[i])
		if b.err != nil {
			r.err = b.err
		}
	}
}
