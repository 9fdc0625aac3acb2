package binary

import "slices"

// frame is an open block while a body is checked.
type frame struct {
	op              byte
	params, results []ValType
	height          int  // of the stack below the block's parameters
	dead            bool // the rest of the block is unreachable
}

// label is what a jump to the block carries.
func (f *frame) label() []ValType {
	if f.op == OpLoop {
		return f.params
	}
	return f.results
}

func (c *checker) top() *frame { return &c.frames[len(c.frames)-1] }

// step checks an instruction: those that lead elsewhere here, others by their
// signatures.
func (c *checker) step(in *Instr) {
	switch in.Op {
	case OpUnreachable:
		c.unreachable()
	case OpBlock, OpLoop, OpIf:
		c.enter(in)
	case OpElse:
		c.block()
		c.otherwise()
	case OpEnd:
		c.end()
	case OpBr:
		c.popAll(c.target(in.A))
		c.unreachable()
	case OpBrIf:
		c.block()
		c.pop(I32)
		carried := c.target(in.A)
		c.popAll(carried)
		c.pushAll(carried)
	case OpBrTable:
		c.table(in)
		c.unreachable()
	case OpReturn:
		c.popAll(c.target(uint32(len(c.frames) - 1)))
		c.unreachable()
	case OpCall:
		c.body.Calls = true
		if c.below("function", in.A, c.m.NumFuncs()) {
			c.call(c.m.FuncTypeOf(in.A))
		}
	case OpCallIndirect:
		c.body.Calls = true
		c.indirect(in)
	default:
		c.simple(in)
	}
}

// enter opens the block of an instruction.
func (c *checker) enter(in *Instr) {
	t := c.blockType(in)
	c.block()
	c.edge(len(t.Params) + len(t.Results))
	switch in.Op {
	case OpIf:
		c.pop(I32)
	case OpLoop:
		c.loops++
	}
	c.popAll(t.Params)
	if len(c.frames) > c.m.lim.Nesting {
		c.r.beyond("blocks nested deeper than %d", c.m.lim.Nesting)
		return
	}
	if c.depths += len(c.frames); c.depths > c.m.lim.Depths {
		c.r.beyond("too many deeply nested blocks in one function")
		return
	}
	c.open(in.Op, t)
}

// open begins a block, whose parameters are not on the stack.
func (c *checker) open(op byte, t FuncType) {
	c.frames = append(c.frames, frame{op: op, params: t.Params, results: t.Results, height: len(c.stack)})
	c.pushAll(t.Params)
}

// single are the results of blocks that leave one value.
var single = [128][]ValType{I32: {I32}, I64: {I64}, F32: {F32}, F64: {F64}, V128: {V128}, FuncRef: {FuncRef}, ExternRef: {ExternRef}}

// blockType is what a block takes and leaves.
func (c *checker) blockType(in *Instr) FuncType {
	switch t := in.Block; {
	case t == -64 && in.End == in.Start+2:
		return FuncType{}
	case t >= 0 && t < int64(len(c.m.Types)):
		return c.m.Types[t]
	case t >= 0:
		c.fail("block of type %d, there are %d", t, len(c.m.Types))
	case t > -64 && ValType(t&0x7f).valid() && in.End == in.Start+2:
		return FuncType{Results: single[ValType(t&0x7f)]}
	default:
		c.fail("block type %d", t)
	}
	return FuncType{}
}

func (c *checker) otherwise() {
	f := c.top()
	if f.op != OpIf {
		c.fail("else without if")
		return
	}
	c.leave()
	f.op, f.dead = OpElse, false
	c.pushAll(f.params)
}

// leave checks that the block's results, and only they, are on the stack.
func (c *checker) leave() {
	f := c.top()
	c.popAll(f.results)
	if n := len(c.stack) - f.height; n != 0 {
		c.fail("%d values left over at the end of a block", n)
	}
	c.stack = c.stack[:f.height]
}

func (c *checker) end() {
	f := *c.top()
	c.leave()
	if f.op == OpIf && !slices.Equal(f.params, f.results) {
		c.fail("if without else must leave what it takes")
	}
	c.frames = c.frames[:len(c.frames)-1]
	c.pushAll(f.results)
}

// unreachable makes the rest of the block dead code, whose stack has whatever is
// wanted.
func (c *checker) unreachable() {
	f := c.top()
	c.stack, f.dead = c.stack[:f.height], true
}

// carried is what a jump to label carries.
func (c *checker) carried(label uint32) []ValType {
	if !c.below("label", label, len(c.frames)) {
		return nil
	}
	return c.frames[len(c.frames)-1-int(label)].label()
}

// target is the same, and counts the jump.
func (c *checker) target(label uint32) []ValType {
	t := c.carried(label)
	c.edge(1 + len(t))
	return t
}

// table checks that the stack fits all targets of a br_table.
func (c *checker) table(in *Instr) {
	c.pop(I32)
	last := c.carried(in.A)
	c.m.Labels(in, func(label uint32) {
		if c.r.err != nil {
			return
		}
		t := c.target(label)
		if len(t) != len(last) {
			c.fail("labels that carry %d and %d values", len(t), len(last))
			return
		}
		c.fits(t)
	})
}

func (c *checker) call(t FuncType) {
	c.edge(len(t.Params) + len(t.Results))
	c.popAll(t.Params)
	c.pushAll(t.Results)
}

func (c *checker) indirect(in *Instr) {
	if !c.below("type", in.A, len(c.m.Types)) || !c.below("table", in.B, len(c.m.Tables)) {
		return
	}
	if t := c.m.Tables[in.B].Elem; t != FuncRef {
		c.fail("table %d is of %s", in.B, t)
	}
	c.pop(I32)
	c.call(c.m.Types[in.A])
}
