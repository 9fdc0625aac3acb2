package binary

// bodies reads the number of functions with code.
func (m *Module) bodies(r *reader) int {
	n := r.count("bodies", m.lim.Functions)
	if r.err == nil && n != len(m.Funcs) {
		r.fail("%s", countReason(len(m.Funcs), "functions", n, "bodies"))
	}
	return n
}

// CheckCode validates the bodies of a module's functions and fills in m.Bodies. The
// error is an *Error.
func (m *Module) CheckCode() error {
	s := m.Sections[codeSection]
	if s.Start == 0 || len(m.Bodies) > 0 {
		return nil
	}
	r := &reader{b: m.Bytes, off: s.Start, end: s.End, section: sectionNames[codeSection]}
	n := m.bodies(r)
	m.Bodies = make([]Body, 0, n)
	c := &checker{m: m}
	for i := 0; i < n && r.err == nil; i++ {
		m.body(c, r, i)
	}
	if r.err == nil && r.off != r.end {
		r.fail("%d bytes left over", r.remaining())
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// body checks a body of its own size.
func (m *Module) body(c *checker, r *reader, i int) {
	start := r.off
	size := r.u32()
	if int64(size) > int64(r.remaining()) {
		r.failAt(start, "body of %d bytes, %d remain", size, r.remaining())
		return
	}
	if int64(size) > int64(m.lim.BodyBytes) {
		r.beyondAt(start, "body of function %d is %d bytes, at most %d allowed", len(m.Imports)+i, size, m.lim.BodyBytes)
		return
	}
	b := &reader{b: r.b, off: r.off, end: r.off + int(size), section: r.section}
	r.off = b.end
	c.check(b, i)
	if b.err != nil {
		r.err = b.err
	}
}
