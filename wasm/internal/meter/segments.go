package meter

import (
	"slices"

	"github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// fold is the cost up to which a block is charged with the code around it, as
// if all of it ran. Lower is more exact, higher is faster.
const fold = 32

// segment is a run of code paid for at one point: before the instruction at
// offset at in the module.
type segment struct {
	at   int
	cost uint64
}

// region is a block as seen by the first walk.
type region struct {
	cost uint64 // instructions inside, nested loops left out
	loop bool

	// To find loops to be written out; see straight.
	plain             bool // takes and leaves no values
	crooked           bool
	branches          int
	start, body, back int // offsets: of the block, behind it, of its last branch
}

// planner finds the segments of a body. An instruction belongs to a segment that
// every path to it pays anew: code inside and after a structured block can only
// be reached through the block's start, so a segment may run on past the block's
// end, and a new one may begin anywhere. Loops pay at their header each time.
type planner struct {
	m        *binary.Module
	regions  []region
	open     []int // regions not yet closed
	segments []segment
	straight []straight
	outer    []int // segments current when the blocks not yet closed opened

	cur  int // current segment
	next int // next region to open
	dead int // 0 in live code, else 1 + blocks opened since it became dead
}

// weight is what an instruction costs: a simple one is 1 and takes 0.05 to 0.5 ns.
func weight(in *binary.Instr) uint64 {
	switch in.Op {
	case binary.OpEnd, binary.OpElse, 0x01:
		return 0
	case binary.OpCall:
		return 4
	case binary.OpCallIndirect:
		return 8
	case 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3: // div, rem, sqrt
		return 6
	case binary.OpMisc:
		switch {
		case in.Sub >= binary.MiscTableInit:
			return 64
		case in.Sub >= binary.MiscMemoryInit:
			return 16
		}
		return 8
	case binary.OpVector:
		if in.Sub < uint32(len(slowVector)) && slowVector[in.Sub] {
			return 6
		}
	case binary.OpMemoryGrow:
		return 4096 // a page costs about as many nanoseconds; refusing one, half of it
	}
	return 1
}

// slowVector are vector instructions of several nanoseconds: i64x2.shr_s, which some
// machines lack, square roots, divisions and conversions.
var slowVector = [256]bool{
	204: true, 227: true, 231: true, 239: true, 243: true,
	248: true, 249: true, 250: true, 251: true, 252: true, 253: true,
}

// plan returns the segments of a body in the order of their positions.
func (p *planner) plan(b *binary.Body) []segment {
	p.measure(b)
	return p.split(b)
}

// loops says whether the body last planned has any.
func (p *planner) loops() bool {
	return slices.ContainsFunc(p.regions, func(r region) bool { return r.loop })
}

// measure fills in the regions, in the order the blocks open; 0 is the body.
func (p *planner) measure(b *binary.Body) {
	p.straight = p.straight[:0]
	p.regions = append(p.regions[:0], region{})
	p.open = append(p.open[:0], 0)
	code := p.m.Instructions(b)
	for in, ok := code.Next(); ok; in, ok = code.Next() {
		r := &p.regions[p.open[len(p.open)-1]]
		r.cost += weight(&in)
		r.track(&in)
		switch in.Op {
		case binary.OpBlock, binary.OpLoop, binary.OpIf:
			p.open = append(p.open, len(p.regions))
			p.regions = append(p.regions, region{loop: in.Op == binary.OpLoop, plain: in.Block == -64, start: in.Start, body: in.End})
		case binary.OpEnd:
			done := p.regions[p.open[len(p.open)-1]]
			p.open = p.open[:len(p.open)-1]
			if done.straight() && len(p.straight) < roundLoops {
				p.straight = append(p.straight, straight{done.start, done.body, done.back, in.End})
			}
			if len(p.open) > 0 && !done.loop {
				p.regions[p.open[len(p.open)-1]].cost += done.cost
			}
		}
	}
}

// split walks the body again and assigns each instruction to a segment.
func (p *planner) split(b *binary.Body) []segment {
	p.segments = append(p.segments[:0], segment{at: b.Start, cost: 1})
	p.open, p.outer = append(p.open[:0], 0), append(p.outer[:0], 0)
	p.cur, p.next, p.dead = 0, 1, 0
	code := p.m.Instructions(b)
	for in, ok := code.Next(); ok; in, ok = code.Next() {
		if p.dead == 0 {
			p.segments[p.cur].cost += weight(&in)
		}
		switch in.Op {
		case binary.OpBlock, binary.OpLoop, binary.OpIf:
			p.enter(&in)
		case binary.OpElse, binary.OpEnd:
			p.leave(&in)
		case binary.OpBrIf:
			if p.dead == 0 && p.segments[p.cur].cost > fold {
				p.begin(in.End, 0)
			}
		case binary.OpBr, binary.OpBrTable, binary.OpReturn, binary.OpUnreachable:
			p.dead = max(p.dead, 1)
		}
	}
	return p.segments
}

// begin starts a segment.
func (p *planner) begin(at int, cost uint64) {
	p.segments = append(p.segments, segment{at, cost})
	p.cur = len(p.segments) - 1
}

func (p *planner) enter(in *binary.Instr) {
	p.open, p.outer = append(p.open, p.next), append(p.outer, p.cur)
	r := p.regions[p.next]
	p.next++
	switch {
	case p.dead > 0:
		p.dead++
	case r.loop:
		p.begin(in.End, 1)
	case in.Op == binary.OpIf && r.cost > fold:
		p.begin(in.End, 0)
	}
}

// leave handles end and else. Code after them belongs to the segment that was
// current when the block opened, or to a new one if the block was large.
func (p *planner) leave(in *binary.Instr) {
	last := len(p.open) - 1
	switch {
	case p.dead > 1 && in.Op == binary.OpEnd:
		p.dead--
	case p.dead <= 1:
		p.dead, p.cur = 0, p.outer[last]
		if r := p.regions[p.open[last]]; !r.loop && r.cost > fold {
			p.begin(in.End, 0)
		}
	}
	if in.Op == binary.OpEnd {
		p.open, p.outer = p.open[:last], p.outer[:last]
	}
}
