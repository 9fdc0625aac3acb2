package binary

// unknown is the type of a value that dead code takes from an empty stack: any.
const unknown ValType = 0

// take removes the last value and tells its type.
func (c *checker) take() ValType {
	n, f := len(c.stack)-1, c.top()
	if n < f.height {
		if !f.dead {
			c.fail("stack is empty")
		}
		return unknown
	}
	t := c.stack[n]
	c.stack = c.stack[:n]
	return t
}

// pop removes a value of a type.
func (c *checker) pop(want ValType) {
	if t := c.take(); t != want && t != unknown && c.r.err == nil {
		c.fail("wants %s, the stack has %s", want, t)
	}
}

// popAll removes values of types, the last first.
func (c *checker) popAll(types []ValType) {
	for i := len(types) - 1; i >= 0; i-- {
		c.pop(types[i])
	}
}

func (c *checker) push(t ValType) {
	c.stack = append(c.stack, t)
	c.grown(len(c.stack))
}

func (c *checker) pushAll(types []ValType) {
	c.stack = append(c.stack, types...)
	c.grown(len(c.stack))
}

// grown takes note of the stack's height.
func (c *checker) grown(n int) {
	if n > c.body.MaxStack {
		if c.body.MaxStack = n; n > c.m.lim.Stack {
			c.r.beyond("more than %d values on the stack", c.m.lim.Stack)
		}
	}
}

// fits checks that values of types could be taken, and leaves the stack.
func (c *checker) fits(types []ValType) {
	f := c.top()
	for i := range types {
		at, want := len(c.stack)-1-i, types[len(types)-1-i]
		switch {
		case at < f.height && !f.dead:
			c.fail("stack is empty")
		case at < f.height: // whatever is wanted
		case c.stack[at] != want && c.stack[at] != unknown:
			c.fail("wants %s, the stack has %s", want, c.stack[at])
		}
	}
	c.grown(f.height + len(types))
}

// simple checks instructions that leave control where it is.
func (c *checker) simple(in *Instr) {
	s := &plain[in.Op]
	switch in.Op {
	case OpMisc:
		if s = &missing; in.Sub < uint32(len(misc)) {
			s = &misc[in.Sub]
		}
	case OpVector:
		c.body.Vector = true
		if s = &missing; in.Sub < uint32(len(vector)) {
			s = &vector[in.Sub]
		}
	}
	switch {
	case s.special:
		c.special(in)
		return
	case !s.known:
		c.fail("unknown or unsupported, %d", in.Sub)
		return
	case s.memory && c.m.Memory == nil:
		c.fail("there is no memory")
		return
	case in.Op == OpMisc:
		c.bulk(in)
	}
	for _, t := range s.params[:s.n] {
		c.pop(t)
	}
	if s.result != unknown {
		c.push(s.result)
	}
}

// special checks instructions whose types depend on the module or the stack.
func (c *checker) special(in *Instr) {
	switch in.Op {
	case OpDrop:
		c.take()
	case OpSelect, OpSelectT:
		c.choose(in)
	case OpLocalGet, OpLocalSet, OpLocalTee:
		c.local(in)
	case OpGlobalGet, OpGlobalSet:
		c.global(in)
	case OpTableGet, OpTableSet, OpMisc:
		c.tableOp(in)
	case OpRefNull:
		if t := ValType(in.A); t == FuncRef || t == ExternRef {
			c.push(t)
		} else {
			c.fail("a reference of type 0x%02x", in.A)
		}
	case OpRefIsNull:
		if t := c.take(); t != FuncRef && t != ExternRef && t != unknown {
			c.fail("wants a reference, the stack has %s", t)
		}
		c.push(I32)
	case OpRefFunc:
		if c.below("function", in.A, c.m.NumFuncs()) && (c.m.declared == nil || !c.m.declared[in.A]) {
			c.fail("function %d is not declared to be referred to", in.A)
		}
		c.push(FuncRef)
	}
}

// choose is select: of numbers and vectors, or of the type it names.
func (c *checker) choose(in *Instr) {
	c.pop(I32)
	if in.Op == OpSelectT {
		t := ValType(in.A)
		if !t.valid() {
			c.fail("a value of type 0x%02x", in.A)
		}
		c.pop(t)
		c.pop(t)
		c.push(t)
		return
	}
	a, b := c.take(), c.take()
	switch {
	case a == FuncRef || a == ExternRef || b == FuncRef || b == ExternRef:
		c.fail("select of references must name their type")
	case a != b && a != unknown && b != unknown:
		c.fail("select of %s and %s", a, b)
	case a == unknown:
		a = b
	}
	c.push(a)
}

func (c *checker) local(in *Instr) {
	if !c.below("local", in.A, c.body.NLocals) {
		return
	}
	t := c.locals[in.A]
	if in.Op != OpLocalGet {
		c.pop(t)
	}
	if in.Op != OpLocalSet {
		c.push(t)
	}
}

func (c *checker) global(in *Instr) {
	if !c.below("global", in.A, len(c.m.Globals)) {
		return
	}
	switch g := c.m.Globals[in.A]; {
	case in.Op == OpGlobalGet:
		c.push(g.Type)
	case !g.Mutable:
		c.fail("global %d cannot be set", in.A)
	default:
		c.pop(g.Type)
	}
}

// bulk checks the indices of bulk instructions on memory, and takes note of what
// they mean for the instance's state.
func (c *checker) bulk(in *Instr) {
	switch in.Sub {
	case MiscMemoryInit, MiscDataDrop:
		if c.m.dataCount < 0 {
			c.fail("a data count section is missing")
			return
		}
		c.below("data segment", in.A, c.m.dataCount)
	}
	c.body.Bulk = c.body.Bulk || in.Sub >= MiscMemoryInit
	c.m.TableMutated = c.m.TableMutated || in.Sub == MiscDataDrop
}

// tableOp checks instructions on tables.
func (c *checker) tableOp(in *Instr) {
	switch {
	case in.Op == OpTableGet:
		t := c.tableType(in.A)
		c.pop(I32)
		c.push(t)
	case in.Op == OpTableSet:
		c.pop(c.tableType(in.A))
		c.pop(I32)
		c.m.TableMutated = true
	default:
		c.bulkTable(in)
		c.body.Bulk = true
		c.m.TableMutated = c.m.TableMutated || in.Sub != MiscTableSize
	}
}

// bulkTable checks those behind 0xfc.
func (c *checker) bulkTable(in *Instr) {
	switch in.Sub {
	case MiscTableInit:
		c.fill(c.tableType(in.B), c.segmentType(in.A))
	case MiscTableCopy:
		c.fill(c.tableType(in.A), c.tableType(in.B))
	case MiscElemDrop:
		c.segmentType(in.A)
	case MiscTableSize:
		c.tableType(in.A)
		c.push(I32)
	case MiscTableGrow:
		c.pop(I32)
		c.pop(c.tableType(in.A))
		c.push(I32)
	case MiscTableFill:
		c.pop(I32)
		c.pop(c.tableType(in.A))
		c.pop(I32)
	}
}

// fill copies values of a type to a table of another, by three numbers.
func (c *checker) fill(table, values ValType) {
	if table != values {
		c.fail("%s into a table of %s", values, table)
	}
	c.pop(I32)
	c.pop(I32)
	c.pop(I32)
}

func (c *checker) tableType(i uint32) ValType {
	if !c.below("table", i, len(c.m.Tables)) {
		return unknown
	}
	return c.m.Tables[i].Elem
}

func (c *checker) segmentType(i uint32) ValType {
	if !c.below("element segment", i, len(c.m.Elems)) {
		return unknown
	}
	return c.m.Elems[i]
}
