package binary

// frame is an open block while a body is checked.
type frame struct {
	op              byte
	params, results int
	height          int  // of the stack below the block's parameters
	dead            bool // the rest of the block is unreachable
}

// checker walks one body.
type checker struct {
	m      *Module
	r      *reader
	frames []frame
	height int
	depths int
	edges  int
	blocks int
	loops  int
	body   Body
}

// body checks a function body and appends it to m.Bodies.
func (m *Module) body(r *reader, typ uint32) {
	c := &checker{m: m, r: r, body: Body{Type: typ}}
	c.locals()
	c.body.Start, c.body.End = r.off, r.end
	if r.err != nil {
		return
	}
	c.frames = append(c.frames, frame{op: OpBlock, results: len(m.Types[typ].Results)})
	for len(c.frames) > 0 && r.err == nil {
		if r.off >= r.end {
			r.fail("body ends inside a block")
			return
		}
		in := r.next()
		if r.err == nil {
			c.step(&in)
		}
	}
	if r.err == nil && r.off != r.end {
		r.fail("code after the body's end")
	}
	c.totals()
	m.Bodies = append(m.Bodies, c.body)
}

// totals checks what adds up over functions.
func (c *checker) totals() {
	m := c.m
	m.allDepths += c.depths
	m.allEdges += c.edges
	m.allBlocks += c.blocks * c.blocks
	m.allLoops += c.loopCost()
	switch {
	case c.loopCost() > m.lim.Loops:
		c.r.fail("%d loops and %d locals in one function, at most %d together", c.loops, c.body.NLocals, m.lim.Loops)
	case m.allLoops > m.lim.AllLoops:
		c.r.fail("too many loops in functions of many locals")
	case m.allBlocks > m.lim.AllBlocks:
		c.r.fail("too many functions of many blocks")
	case m.allDepths > m.lim.AllDepths:
		c.r.fail("too many deeply nested blocks in all")
	case m.allEdges > m.lim.AllEdges:
		c.r.fail("more than %d branch targets in all", m.lim.AllEdges)
	}
}

func (c *checker) locals() {
	r := c.r
	total := int64(len(c.m.Types[c.body.Type].Params))
	n := r.count("groups of locals", c.m.lim.Locals)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		g := LocalGroup{N: r.u32(), Type: c.m.valType(r)}
		if total += int64(g.N); total > int64(c.m.lim.Locals) {
			r.failAt(start, "%d locals, at most %d allowed", total, c.m.lim.Locals)
			return
		}
		c.body.Locals = append(c.body.Locals, g)
	}
	c.body.NLocals = int(total)
	if c.m.allLocals += int(total); c.m.allLocals > c.m.lim.AllLocals {
		r.fail("more than %d locals in all functions", c.m.lim.AllLocals)
	}
}

func (c *checker) top() *frame { return &c.frames[len(c.frames)-1] }

func (c *checker) pop(n int) {
	f := c.top()
	if c.height -= n; c.height < f.height {
		if !f.dead {
			c.r.fail("stack is empty")
		}
		c.height = f.height
	}
}

func (c *checker) push(n int) {
	c.height += n
	if c.body.MaxStack = max(c.body.MaxStack, c.height); c.height > c.m.lim.Stack {
		c.r.fail("more than %d values on the stack", c.m.lim.Stack)
	}
}

// unreachable makes the rest of the block dead code, whose stack is unbounded.
func (c *checker) unreachable() {
	f := c.top()
	c.height, f.dead = f.height, true
}

func (c *checker) step(in *Instr) {
	switch in.Op {
	case OpUnreachable:
		c.unreachable()
	case OpBlock, OpLoop, OpIf:
		c.open(in)
	case OpElse:
		c.block()
		c.otherwise()
	case OpEnd:
		c.end()
	case OpBr:
		c.branch(in.A)
		c.unreachable()
	case OpBrIf:
		c.block()
		c.pop(1)
		n := c.branch(in.A)
		c.push(n)
	case OpBrTable:
		c.pop(1)
		c.m.Labels(in, func(label uint32) {
			if c.r.err == nil {
				c.push(c.branch(label))
			}
		})
		c.unreachable()
	case OpReturn:
		c.branch(uint32(len(c.frames) - 1))
		c.unreachable()
	case OpCall:
		c.body.Calls = true
		if c.below("function", in.A, c.m.NumFuncs()) {
			c.call(c.m.FuncTypeOf(in.A))
		}
	case OpCallIndirect:
		c.body.Calls = true
		if c.below("type", in.A, len(c.m.Types)) && c.below("table", in.B, len(c.m.Tables)) {
			c.pop(1)
			c.call(c.m.Types[in.A])
		}
	default:
		c.simple(in)
	}
}

func (c *checker) below(what string, i uint32, n int) bool {
	if int64(i) >= int64(n) {
		c.r.fail("%s %d, there are %d", what, i, n)
		return false
	}
	return true
}

func (c *checker) call(t FuncType) {
	c.edge(len(t.Params) + len(t.Results))
	c.pop(len(t.Params))
	c.push(len(t.Results))
}

// blockType is the number of values a block takes and leaves.
func (c *checker) blockType(t int64) (params, results int) {
	switch {
	case t == -64:
		return 0, 0
	case t < 0:
		if v := ValType(t & 0x7f); t < -64 || !v.valid() {
			c.r.fail("block type %d", t)
		}
		return 0, 1
	case t >= int64(len(c.m.Types)):
		c.r.fail("block of type %d, there are %d", t, len(c.m.Types))
		return 0, 0
	}
	f := c.m.Types[t]
	return len(f.Params), len(f.Results)
}

func (c *checker) open(in *Instr) {
	p, res := c.blockType(in.Block)
	c.block()
	c.edge(p + res)
	switch in.Op {
	case OpIf:
		c.pop(1)
	case OpLoop:
		c.loops++
	}
	c.pop(p)
	if len(c.frames) > c.m.lim.Nesting {
		c.r.fail("blocks nested deeper than %d", c.m.lim.Nesting)
		return
	}
	if c.depths += len(c.frames); c.depths > c.m.lim.Depths {
		c.r.fail("too many deeply nested blocks in one function")
		return
	}
	c.frames = append(c.frames, frame{op: in.Op, params: p, results: res, height: c.height})
	c.push(p)
}

func (c *checker) otherwise() {
	f := c.top()
	if f.op != OpIf {
		c.r.fail("else without if")
		return
	}
	c.leave()
	f.op, f.dead = OpElse, false
	c.push(f.params)
}

// leave checks that the block's results, and only they, are on the stack.
func (c *checker) leave() {
	f := c.top()
	c.pop(f.results)
	if c.height != f.height {
		c.r.fail("%d values left over at the end of a block", c.height-f.height)
	}
	c.height = f.height
}

func (c *checker) end() {
	f := *c.top()
	c.leave()
	if f.op == OpIf && f.params != f.results {
		c.r.fail("if without else must leave what it takes")
	}
	c.frames = c.frames[:len(c.frames)-1]
	c.push(f.results)
}

// branch takes the values a jump to label carries off the stack and returns
// their number.
func (c *checker) branch(label uint32) int {
	if !c.below("label", label, len(c.frames)) {
		return 0
	}
	f := &c.frames[len(c.frames)-1-int(label)]
	n := f.results
	if f.op == OpLoop {
		n = f.params
	}
	c.edge(1 + n)
	c.pop(n)
	return n
}

// edge counts values that are carried somewhere.
func (c *checker) edge(n int) {
	if c.edges += n; c.edges > c.m.lim.Edges {
		c.r.fail("more than %d branch targets and values of calls in one function", c.m.lim.Edges)
	}
}

// block counts what makes the engine begin a new block.
func (c *checker) block() {
	if c.blocks++; c.blocks > c.m.lim.Blocks {
		c.r.fail("more than %d blocks and branches in one function", c.m.lim.Blocks)
	}
}

// simple handles instructions with a fixed effect on the stack.
func (c *checker) simple(in *Instr) {
	e := plain[in.Op]
	switch in.Op {
	case OpMisc:
		if e = invalid; int(in.Sub) < len(misc) {
			e = misc[in.Sub]
		}
	case OpVector:
		c.body.Vector = true
		if e = invalid; in.Sub < 256 {
			e = vector[in.Sub]
		}
	}
	if e == invalid {
		c.r.failAt(in.Start, "unknown or unsupported instruction 0x%02x %d", in.Op, in.Sub)
		return
	}
	c.operands(in)
	c.pop(int(e >> 4))
	c.push(int(e & 15))
}

// operands checks the indices of instructions with a fixed effect.
func (c *checker) operands(in *Instr) {
	switch in.Op {
	case OpLocalGet, OpLocalSet, OpLocalTee:
		c.below("local", in.A, c.body.NLocals)
	case OpGlobalGet, OpGlobalSet:
		c.below("global", in.A, len(c.m.Globals))
	case OpTableGet, OpTableSet:
		c.below("table", in.A, len(c.m.Tables))
		c.m.TableMutated = c.m.TableMutated || in.Op == OpTableSet
	case OpRefFunc:
		c.below("function", in.A, c.m.NumFuncs())
	case OpMisc:
		c.body.Bulk = c.body.Bulk || in.Sub >= MiscMemoryInit
		switch in.Sub {
		case MiscTableInit:
			c.below("table", in.B, len(c.m.Tables))
		case MiscTableCopy, MiscTableGrow, MiscTableSize, MiscTableFill:
			c.below("table", in.A, len(c.m.Tables))
		}
		if in.Sub == MiscDataDrop || in.Sub >= MiscTableInit && in.Sub != MiscTableSize {
			c.m.TableMutated = true
		}
	}
}

// loopCost grows like what an engine makes of loops: a place in each loop for
// each local.
func (c *checker) loopCost() int { return c.loops * (c.body.NLocals + 16) }
