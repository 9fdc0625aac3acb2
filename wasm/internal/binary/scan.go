package binary

import "bytes"

// Version changes whenever Scan would accept other modules.
const Version = 3

// Scan reads a module, validates it, and checks it against lim. The error is an *Error.
func Scan(b []byte, lim Limits) (*Module, error) {
	m, err := Outline(b, lim)
	if err == nil {
		err = m.CheckCode()
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Outline is Scan of all but the functions' bodies, which CheckCode is to check unless
// it is known how that ends.
func Outline(b []byte, lim Limits) (*Module, error) {
	m := &Module{Bytes: b, Start: -1, lim: lim, dataCount: -1}
	if len(b) > lim.ModuleBytes {
		return nil, &Error{Section: "header", Reason: sizeReason(len(b), lim.ModuleBytes), Unsupported: true}
	}
	if len(b) < 8 || !bytes.Equal(b[:4], []byte("\x00asm")) {
		return nil, &Error{Section: "header", Reason: "not a WebAssembly module: it does not begin with \\0asm"}
	}
	if !bytes.Equal(b[4:8], []byte{1, 0, 0, 0}) {
		return nil, &Error{Section: "header", Offset: 4, Reason: "not a core module of version 1; components are not supported"}
	}
	if err := m.sections(); err != nil {
		return nil, err
	}
	return m, nil
}

// order is the position of each section id; custom sections may stand anywhere.
var order = [13]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10}

func (m *Module) sections() error {
	r := &reader{b: m.Bytes, off: 8, end: len(m.Bytes), section: "header"}
	last := 0
	for r.off < r.end {
		start := r.off
		id := r.byte()
		if int(id) >= len(sectionNames) {
			r.failAt(start, "unknown section %d", id)
			return r.err
		}
		r.section = sectionNames[id]
		n := r.u32()
		if int64(n) > int64(r.remaining()) {
			r.failAt(start, "section of %d bytes, %d remain: the file is truncated or damaged", n, r.remaining())
		}
		if id != 0 && order[id] <= last {
			r.failAt(start, "section is repeated or out of order")
		}
		if r.err != nil {
			return r.err
		}
		s := &reader{b: m.Bytes, off: r.off, end: r.off + int(n), section: sectionNames[id]}
		r.off = s.end
		if id != 0 {
			last = order[id]
			m.Sections[id] = Span{s.off, s.end}
		}
		m.section(id, s)
		if s.err == nil && s.off != s.end {
			s.fail("%d bytes left over", s.remaining())
		}
		if s.err != nil {
			return s.err
		}
	}
	return m.complete()
}

// complete checks what only the whole module shows.
func (m *Module) complete() error {
	switch {
	case m.Sections[codeSection].Start == 0 && len(m.Funcs) > 0:
		return &Error{Section: "code", Offset: len(m.Bytes), Reason: countReason(len(m.Funcs), "functions", 0, "bodies")}
	case m.dataCount >= 0 && m.dataCount != m.datas:
		return &Error{Section: "data", Offset: len(m.Bytes), Reason: countReason(m.dataCount, "segments announced", m.datas, "present")}
	}
	return nil
}

// codeSection is the code section's id.
const codeSection = 10

func (m *Module) section(id byte, r *reader) {
	switch id {
	case 0:
		if len(m.Customs) == m.lim.Segments {
			r.beyond("more than %d custom sections", m.lim.Segments)
			return
		}
		name := r.name()
		m.Customs = append(m.Customs, Custom{name, r.bytes(r.remaining())})
	case 1:
		m.types(r)
	case 2:
		m.imports(r)
	case 3:
		n := r.count("functions", m.lim.Functions)
		m.Funcs = make([]uint32, n)
		for i := range m.Funcs {
			m.Funcs[i] = r.index("type", len(m.Types))
		}
	case 4:
		m.tables(r)
	case 5:
		m.memory(r)
	case 6:
		n := r.count("globals", m.lim.Globals)
		for i := 0; i < n && r.err == nil; i++ {
			g := m.global(r)
			m.constant(r, g.Type)
			m.Globals = append(m.Globals, g)
		}
	case 7:
		m.exports(r)
	case 8:
		m.start(r)
	case 9:
		m.elementSegments(r)
	case codeSection:
		m.bodies(r)
		r.off = r.end
	case 11:
		m.data(r)
	case 12:
		m.dataCount = int(min(r.u32(), uint32(m.lim.Segments)+1))
		if m.dataCount > m.lim.Segments {
			r.beyond("more than %d data segments", m.lim.Segments)
		}
	}
}
