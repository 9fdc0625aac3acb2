package binary

// elementSegments reads element segments; the low bits of the form say: 1 passive or
// declarative, 2 explicit table (or declarative), 4 expressions.
func (m *Module) elementSegments(r *reader) {
	n := r.count("element segments", m.lim.Segments)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		form := r.u32()
		if form > 7 {
			r.failAt(start, "element segment of form %d", form)
			return
		}
		var table, offset uint32
		active := form&1 == 0
		if active {
			if form&2 != 0 {
				table = r.u32()
			}
			offset = m.constant(r, I32)
		}
		t := m.elementType(r, form)
		k := r.count("elements", m.lim.Elements)
		for j := 0; j < k && r.err == nil; j++ {
			if form&4 != 0 {
				m.constant(r, t)
			} else {
				m.refer(r.index("function", m.NumFuncs()))
			}
		}
		if active && r.err == nil {
			m.place(r, start, table, t, uint64(offset)+uint64(k))
		}
		m.Elems = append(m.Elems, t)
	}
}

// elementType reads the type of a segment's elements, or their kind.
func (m *Module) elementType(r *reader, form uint32) ValType {
	switch {
	case form&3 == 0:
	case form&4 != 0:
		return m.refType(r)
	default:
		if kind := r.byte(); kind != 0 && r.err == nil {
			r.failAt(r.off-1, "elements of kind 0x%02x", kind)
		}
	}
	return FuncRef
}

// place checks that an active element segment, which ends at an entry, fits its table.
func (m *Module) place(r *reader, start int, table uint32, t ValType, end uint64) {
	switch {
	case int64(table) >= int64(len(m.Tables)):
		r.failAt(start, "table %d, there are %d", table, len(m.Tables))
	case m.Tables[table].Elem != t:
		r.failAt(start, "elements of type %s for a table of %s", t, m.Tables[table].Elem)
	case end > uint64(m.Tables[table].Min): // no instance could start
		r.beyondAt(start, "elements up to entry %d of a table of %d", end, m.Tables[table].Min)
	}
}

// data reads data segments: active, passive, and active with an explicit memory.
func (m *Module) data(r *reader) {
	n := r.count("data segments", m.lim.Segments)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		form := r.u32()
		if form > 2 {
			r.failAt(start, "data segment of form %d", form)
			return
		}
		if form == 2 {
			r.index("memory", m.memories())
		}
		offset := uint32(0)
		if form != 1 {
			if m.Memory == nil {
				r.failAt(start, "data segment without a memory")
			}
			offset = m.constant(r, I32)
		}
		k := r.count("bytes of data", r.remaining())
		r.bytes(k)
		if end := uint64(offset) + uint64(k); form != 1 && r.err == nil && end > uint64(m.Memory.Min)<<16 { // no instance could start
			r.beyondAt(start, "data up to address %d of a memory of %d pages of 64 KiB", end, m.Memory.Min)
		}
	}
	m.datas = n
}
