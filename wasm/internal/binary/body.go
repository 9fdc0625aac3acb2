package binary

import "fmt"

// checker validates one body after the other: the algorithm of the specification's
// appendix "Validation Algorithm", with a stack of types and a stack of open blocks.
// Besides it bounds what an engine's compile time depends on.
type checker struct {
	m      *Module
	r      *reader
	body   Body
	frames []frame
	stack  []ValType // of operands
	locals []ValType // parameters first
	at     int       // offset of the instruction
	op     byte      // its first byte

	depths, edges, blocks, loops int
}

// begin makes c ready for the next body.
func (c *checker) begin(r *reader, typ uint32) {
	*c = checker{m: c.m, r: r, body: Body{Type: typ}, frames: c.frames[:0], stack: c.stack[:0], locals: c.locals[:0]}
}

// check validates a function body and appends it to the module's bodies.
func (c *checker) check(r *reader, index int) {
	m := c.m
	c.begin(r, m.Funcs[index])
	c.declare()
	c.body.Start, c.body.End = r.off, r.end
	if r.err == nil {
		c.open(OpBlock, FuncType{Results: m.Types[c.body.Type].Results})
	}
	for len(c.frames) > 0 && r.err == nil {
		if r.off >= r.end {
			r.fail("body ends inside a block")
			break
		}
		in := r.next()
		if c.at, c.op = in.Start, in.Op; r.err == nil {
			c.step(&in)
		}
	}
	if r.err == nil && r.off != r.end {
		r.fail("code after the body's end")
	}
	c.totals()
	if r.err != nil {
		r.err.Reason = fmt.Sprintf("function %d: %s", len(m.Imports)+index, r.err.Reason)
	}
	m.Bodies = append(m.Bodies, c.body)
}

// declare reads the locals.
func (c *checker) declare() {
	r, lim := c.r, &c.m.lim
	params := c.m.Types[c.body.Type].Params
	total := int64(len(params))
	n := r.count("groups of locals", lim.Locals)
	if n > 0 {
		c.body.Locals = make([]LocalGroup, 0, n)
	}
	c.locals = append(c.locals, params...)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.off
		g := LocalGroup{N: r.u32(), Type: c.m.valType(r)}
		if total += int64(g.N); total > int64(lim.Locals) {
			r.beyondAt(start, "%d locals, at most %d allowed", total, lim.Locals)
			return
		}
		for range g.N {
			c.locals = append(c.locals, g.Type)
		}
		c.body.Locals = append(c.body.Locals, g)
	}
	c.body.NLocals = int(total)
	if c.m.allLocals += int(total); c.m.allLocals > lim.AllLocals {
		r.beyond("more than %d locals in all functions", lim.AllLocals)
	}
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
		c.r.beyond("%d loops and %d locals in one function, at most %d together", c.loops, c.body.NLocals, m.lim.Loops)
	case m.allLoops > m.lim.AllLoops:
		c.r.beyond("too many loops in functions of many locals")
	case m.allBlocks > m.lim.AllBlocks:
		c.r.beyond("too many functions of many blocks")
	case m.allDepths > m.lim.AllDepths:
		c.r.beyond("too many deeply nested blocks in all")
	case m.allEdges > m.lim.AllEdges:
		c.r.beyond("more than %d branch targets in all", m.lim.AllEdges)
	}
}

// loopCost grows like what an engine makes of loops: a place in each loop for
// each local.
func (c *checker) loopCost() int { return c.loops * (c.body.NLocals + 16) }

// fail refuses the instruction at hand.
func (c *checker) fail(format string, args ...any) {
	c.r.failAt(c.at, "instruction 0x%02x: %s", c.op, fmt.Sprintf(format, args...))
}

// below checks an index.
func (c *checker) below(what string, i uint32, n int) bool {
	if int64(i) >= int64(n) {
		c.fail("%s %d, there are %d", what, i, n)
		return false
	}
	return true
}

// edge counts values that are carried somewhere.
func (c *checker) edge(n int) {
	if c.edges += n; c.edges > c.m.lim.Edges {
		c.r.beyond("more than %d branch targets and values of calls in one function", c.m.lim.Edges)
	}
}

// block counts what makes the engine begin a new block.
func (c *checker) block() {
	if c.blocks++; c.blocks > c.m.lim.Blocks {
		c.r.beyond("more than %d blocks and branches in one function", c.m.lim.Blocks)
	}
}
