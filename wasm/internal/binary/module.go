package binary

// ValType is a value type's byte.
type ValType byte

// The value types of WebAssembly 2.0.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

func (v ValType) valid() bool {
	return v >= V128 && v <= I32 || v == FuncRef || v == ExternRef
}

func (v ValType) String() string {
	switch v {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "any"
}

// FuncType is a function's signature.
type FuncType struct{ Params, Results []ValType }

// Import is an imported function; other kinds are refused.
type Import struct {
	Module, Name string
	Type         uint32
}

// Limit is a table's or memory's size.
type Limit struct {
	Min, Max uint32
	HasMax   bool
}

// Table is a table of references.
type Table struct {
	Elem ValType
	Limit
}

// Global is a global's type.
type Global struct {
	Type    ValType
	Mutable bool
}

// Kinds of exports.
const (
	ExportFunc   = 0
	ExportTable  = 1
	ExportMemory = 2
	ExportGlobal = 3
)

// Export is an export.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// LocalGroup is a run of locals of one type.
type LocalGroup struct {
	N    uint32
	Type ValType
}

// Body is a function's code.
type Body struct {
	Start, End int // of the instructions, end opcode included, in Module.Bytes
	Type       uint32
	Locals     []LocalGroup
	NLocals    int // parameters included
	MaxStack   int // highest operand stack, in values
	Calls      bool
	Vector     bool // uses vector instructions
	Bulk       bool // uses instructions whose work depends on an operand
}

// Span is a section's content in Module.Bytes.
type Span struct{ Start, End int }

// Custom is a custom section.
type Custom struct {
	Name string
	Data []byte
}

// Module is a scanned module. It keeps the module's bytes and points into them.
type Module struct {
	Bytes    []byte
	Sections [13]Span // by section id; Start 0 where absent
	Types    []FuncType
	Imports  []Import
	Funcs    []uint32 // type of each defined function
	Tables   []Table
	Memory   *Limit
	Globals  []Global
	Exports  []Export
	Elems    []ValType // of each element segment
	Start    int       // function index, -1 for none
	Bodies   []Body
	Customs  []Custom

	// TableMutated says that code changes tables or drops segments, so that
	// memory and globals alone do not capture an instance's state.
	TableMutated bool

	lim          Limits
	tableEntries int    // table entries declared at the start
	declared     []bool // functions that ref.func may name
	datas        int
	dataCount    int // -1 if the section is absent
	allLocals    int
	allBlocks    int
	allLoops     int
	allDepths    int
	allEdges     int
}

// NumFuncs counts imported and defined functions.
func (m *Module) NumFuncs() int { return len(m.Imports) + len(m.Funcs) }

// FuncTypeOf is the signature of a function by index.
func (m *Module) FuncTypeOf(i uint32) FuncType { return m.Types[m.funcType(i)] }

func (m *Module) funcType(i uint32) uint32 {
	if int(i) < len(m.Imports) {
		return m.Imports[i].Type
	}
	return m.Funcs[int(i)-len(m.Imports)]
}

// Export finds an export by name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// Custom finds a custom section; of several the first.
func (m *Module) Custom(name string) ([]byte, bool) {
	for _, c := range m.Customs {
		if c.Name == name {
			return c.Data, true
		}
	}
	return nil, false
}
