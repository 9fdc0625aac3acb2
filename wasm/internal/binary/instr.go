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
		r.memarg(alignments[op-0x28])
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
	case op == OpF32Const:
		r.bytes(4)
	case op == OpF64Const:
		r.bytes(8)
	case op == OpSelectT:
		if n := r.second(); n != 1 && r.err == nil {
			r.failAt(in.Start, "select of %d types", n)
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

// alignments are the most that loads and stores may state: as powers of two, what
// they touch.
const alignments = "\x02\x03\x02\x03\x00\x00\x01\x01\x00\x00\x01\x01\x02\x02\x02\x03\x02\x03\x00\x01\x00\x01\x02"

func (r *reader) memarg(most byte) {
	start := r.off
	if a := r.u32(); a > uint32(most) && r.err == nil {
		r.failAt(start, "alignment 2^%d, at most 2^%d", a, most)
	}
	r.u32()
}

func (r *reader) zero() {
	if c := r.byte(); c != 0 {
		r.failAt(r.off-1, "memory %d, there is only memory 0", c)
	}
}

// second reads the part of an opcode behind a prefix, in no more bytes than it needs.
// The specification allows more, but an engine that takes just one byte for the opcode
// (wazero, of vector instructions) would take the rest, and the bytes of immediates, for
// instructions: ones that are not metered.
func (r *reader) second() uint32 {
	start := r.off
	v := r.u32()
	if n := r.off - start; r.err == nil && n > 1 && v>>(7*(n-1)) == 0 {
		r.beyondAt(start, "opcode %d in more bytes than it needs", v)
	}
	return v
}

func (r *reader) misc(in *Instr) {
	in.Sub = r.second()
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

// Of vector instructions: the alignments of loads and stores from 0, and the lanes of
// what takes one out or puts one in, from 21.
const (
	vectorAlignments = "\x04\x03\x03\x03\x03\x03\x03\x00\x01\x02\x03\x04"
	lanes            = "\x10\x10\x10\x08\x08\x08\x04\x04\x02\x02\x04\x04\x02\x02"
)

func (r *reader) vector(in *Instr) {
	in.Sub = r.second()
	switch s := in.Sub; {
	case s <= 11:
		r.memarg(vectorAlignments[s])
	case s == 12:
		r.bytes(16)
	case s == 13:
		for range 16 {
			r.lane(32)
		}
	case s >= 21 && s <= 34:
		r.lane(lanes[s-21])
	case s >= 84 && s <= 91: // of 8, 16, 32 and 64 bits
		size := byte(s) % 4
		r.memarg(size)
		r.lane(16 >> size)
	case s == 92 || s == 93:
		r.memarg(byte(s) - 90)
	}
}

func (r *reader) lane(n byte) {
	if i := r.byte(); i >= n && r.err == nil {
		r.failAt(r.off-1, "lane %d, there are %d", i, n)
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
