package binary

// next decodes one instruction.
func (r *reader) next() (in Instr) {
	in.Start = r.off
	in.Op = r.byte()
	switch op := in.Op; {
	case op == OpLocalGet || op == OpLocalSet || op == OpLocalTee || op == OpGlobalGet || op == OpGlobalSet ||
		op == OpTableGet || op == OpTableSet || op == OpBr || op == OpBrIf || op == OpCall || op == OpRefFunc:
		in.A = r.u32()
	case op == OpI32Const:
		r.signed(32)
	case op == OpI64Const:
		r.signed(64)
	case op >= 0x28 && op <= 0x3e:
		r.memarg()
	case op == OpBlock || op == OpLoop || op == OpIf:
		in.Block = r.signed(33)
	case op == OpCallIndirect:
		in.A, in.B = r.u32(), r.u32()
	case op == OpBrTable:
		n := r.count("branch targets", r.remaining())
		in.labels.Start = r.off
		for i := 0; i <= n && r.err == nil; i++ {
			in.A = r.u32()
		}
		in.labels.End = r.off
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op == OpSelectT:
		if n := r.u32(); n != 1 {
			r.fail("select of %d types", n)
		}
		in.A = uint32(r.byte())
	case op == OpMemorySize || op == OpMemoryGrow:
		r.zero()
	case op == OpRefNull:
		in.A = uint32(r.byte())
	case op == OpMisc:
		r.misc(&in)
	case op == OpVector:
		r.vector(&in)
	}
	in.End = r.off
	return in
}

func (r *reader) memarg() {
	if a := r.u32(); a > 16 {
		r.fail("alignment 2^%d", a)
	}
	r.u32()
}

func (r *reader) zero() {
	if c := r.byte(); c != 0 {
		r.failAt(r.off-1, "memory %d, there is only memory 0", c)
	}
}

func (r *reader) misc(in *Instr) {
	in.Sub = r.u32()
	switch in.Sub {
	case MiscMemoryInit:
		in.A = r.u32()
		r.zero()
	case MiscMemoryCopy:
		r.zero()
		r.zero()
	case MiscMemoryFill:
		r.zero()
	case MiscTableInit, MiscTableCopy:
		in.A, in.B = r.u32(), r.u32()
	case MiscDataDrop, MiscElemDrop, MiscTableGrow, MiscTableSize, MiscTableFill:
		in.A = r.u32()
	}
}

func (r *reader) vector(in *Instr) {
	in.Sub = r.u32()
	switch s := in.Sub; {
	case s <= 11 || s == 92 || s == 93:
		r.memarg()
	case s == 12 || s == 13:
		r.bytes(16)
	case s >= 21 && s <= 34:
		r.byte()
	case s >= 84 && s <= 91:
		r.memarg()
		r.byte()
	}
}

// Code iterates over a scanned body's instructions, which cannot fail.
type Code struct{ r reader }

// Instructions returns an iterator over b.
func (m *Module) Instructions(b *Body) Code {
	return Code{reader{b: m.Bytes, off: b.Start, end: b.End, section: "code"}}
}

// Next decodes the next instruction; ok is false at the end.
func (c *Code) Next() (in Instr, ok bool) {
	if c.r.off >= c.r.end {
		return Instr{}, false
	}
	return c.r.next(), true
}

// Labels calls f with each target of an OpBrTable, the default last.
func (m *Module) Labels(in *Instr, f func(label uint32)) {
	r := reader{b: m.Bytes, off: in.labels.Start, end: in.labels.End}
	for r.off < r.end {
		f(r.u32())
	}
}
