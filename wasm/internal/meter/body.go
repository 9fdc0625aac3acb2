package meter

import (
	"encoding/binary"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// emitter writes one rewritten body.
type emitter struct {
	m     *scan.Module
	out   []byte
	fuel  uint64 // global
	stack uint64 // global
	left  uint64 // local i64: fuel left
	count uint64 // local i32: operand of a bulk instruction, 0 if not needed
	depth uint64 // blocks that are open within the function's own

	segments []segment // not yet paid

	// A function with loops counts in the local, and writes the global where others
	// look at it: at calls and at its end.
	local bool
	// A cheap one with neither loops nor calls pays, but leaves it to others to look.
	trusted bool
}

func (e *emitter) op(op byte)              { e.out = append(e.out, op) }
func (e *emitter) index(op byte, i uint64) { e.out = binary.AppendUvarint(append(e.out, op), i) }
func (e *emitter) constant(op byte, v int64) {
	e.out = appendSigned(append(e.out, op), v)
}

// trapIfNegative traps if the i32 or i64 on the stack, compared by lt, is below 0.
func (e *emitter) trapIfNegative(zero, lt byte) {
	e.constant(zero, 0)
	e.out = append(e.out, lt, scan.OpIf, 0x40, scan.OpUnreachable, scan.OpEnd)
}

// balance pushes the fuel left.
func (e *emitter) balance() {
	if e.local {
		e.index(scan.OpLocalGet, e.left)
	} else {
		e.index(scan.OpGlobalGet, e.fuel)
	}
}

// settle subtracts the i64 on the stack from the fuel, which is beneath it, and traps
// below zero.
func (e *emitter) settle() {
	e.op(scan.OpI64Sub)
	e.index(scan.OpLocalTee, e.left)
	if e.local {
		e.constant(scan.OpI64Const, 0)
		e.op(scan.OpI64LtS)
		e.index(scan.OpBrIf, e.depth+1)
		return
	}
	e.index(scan.OpGlobalSet, e.fuel)
	e.index(scan.OpLocalGet, e.left)
	e.trapIfNegative(scan.OpI64Const, scan.OpI64LtS)
}

// charge pays for a segment.
func (e *emitter) charge(cost uint64) {
	e.balance()
	e.constant(scan.OpI64Const, int64(cost))
	if e.trusted {
		e.op(scan.OpI64Sub)
		e.index(scan.OpGlobalSet, e.fuel)
		return
	}
	e.settle()
}

// fillNothing is the logarithm of what memory.fill of no bytes costs: it can take 160 ns,
// more than that of a thousand.
const fillNothing = 8

// chargeCount pays for n >> shift, n being the i32 on the stack, which stays, and for
// a fill of nothing.
func (e *emitter) chargeCount(shift int64, fill bool) {
	e.index(scan.OpLocalSet, e.count)
	e.balance()
	e.index(scan.OpLocalGet, e.count)
	e.op(scan.OpI64ExtendU)
	e.constant(scan.OpI64Const, shift)
	e.op(scan.OpI64ShrU)
	if fill {
		e.index(scan.OpLocalGet, e.count)
		e.op(scan.OpI32Eqz)
		e.op(scan.OpI64ExtendU)
		e.constant(scan.OpI64Const, fillNothing)
		e.op(scan.OpI64Shl)
		e.op(scan.OpI64Add)
	}
	e.settle()
	e.index(scan.OpLocalGet, e.count)
}

// show writes the local to the global.
func (e *emitter) show() {
	if e.local {
		e.index(scan.OpLocalGet, e.left)
		e.index(scan.OpGlobalSet, e.fuel)
	}
}

// look reads the local from the global.
func (e *emitter) look() {
	if e.local {
		e.index(scan.OpGlobalGet, e.fuel)
		e.index(scan.OpLocalSet, e.left)
	}
}

// moveStack adds by slots to the stack left; below zero it traps.
func (e *emitter) moveStack(by int64) {
	e.index(scan.OpGlobalGet, e.stack)
	e.constant(scan.OpI32Const, by)
	e.op(scan.OpI32Add)
	e.index(scan.OpGlobalSet, e.stack)
	if by < 0 {
		e.index(scan.OpGlobalGet, e.stack)
		e.trapIfNegative(scan.OpI32Const, scan.OpI32LtS)
	}
}

// slots is the frame's size in 8-byte slots: what the engine may have to spill,
// and its own bookkeeping.
func slots(m *scan.Module, b *scan.Body) int64 {
	n := int64(b.NLocals + b.MaxStack + len(m.Types[b.Type].Results))
	if b.Vector {
		n *= 2
	}
	return n + 16
}

// bulkShift says how an instruction is charged by its top operand: its value
// shifted right; ok is false for all others.
func bulkShift(in *scan.Instr) (shift int64, ok bool) {
	if in.Op != scan.OpMisc {
		return 0, false
	}
	switch in.Sub {
	case scan.MiscMemoryInit, scan.MiscMemoryCopy, scan.MiscMemoryFill:
		return 3, true
	case scan.MiscTableInit, scan.MiscTableCopy, scan.MiscTableFill, scan.MiscTableGrow:
		return 0, true
	}
	return 0, false
}

// body rewrites b, whose segments are given. block is the type of a block that
// leaves the function's results, as encoded.
//
// A body with loops or calls is wrapped in a block, to whose end returns and branches
// out of the function go, so that what is to be done on leaving is there once. One with
// loops is wrapped in another, to whose end goes what runs out of fuel.
func (e *emitter) body(b *scan.Body, segments []segment, list []straight, loops bool, block []byte) {
	e.segments = segments
	e.local, e.trusted, e.depth = loops, !loops && !b.Calls && total(segments) <= trustedCost, 0
	e.locals(b)
	if loops {
		e.out = append(e.out, scan.OpBlock, 0x40)
		e.look()
	}
	wrapped := loops || b.Calls
	size := slots(e.m, b)
	if wrapped {
		e.out = append(append(e.out, scan.OpBlock), block...)
	}
	e.pay(b.Start)
	if b.Calls {
		e.moveStack(-size)
	}
	e.instructions(b, list, wrapped)
	if b.Calls {
		e.moveStack(size)
	}
	e.show()
	if loops {
		e.out = append(e.out, scan.OpReturn, scan.OpEnd)
		e.show()
		e.op(scan.OpUnreachable)
	}
	if wrapped {
		e.op(scan.OpEnd)
	}
}

// trustedCost is the most a function may take that does not look at what is left.
const trustedCost = 10_000

// total is what a function costs if all of it runs once.
func total(segments []segment) (cost uint64) {
	for _, s := range segments {
		cost += s.cost
	}
	return cost
}

// pay charges the segments that begin up to an offset.
func (e *emitter) pay(at int) {
	for ; len(e.segments) > 0 && e.segments[0].at <= at; e.segments = e.segments[1:] {
		if e.segments[0].cost > 0 {
			e.charge(e.segments[0].cost)
		}
	}
}

// instructions copies b's own, with what is paid between them.
func (e *emitter) instructions(b *scan.Body, list []straight, wrapped bool) {
	code := e.m.Instructions(b)
	for in, ok := code.Next(); ok; in, ok = code.Next() {
		e.pay(in.Start)
		if len(list) > 0 && in.Start == list[0].start {
			l := list[0]
			list = list[1:]
			if len(e.segments) > 0 && e.segments[0].at == l.body { // else it is dead code
				e.writeOut(l, e.segments[0].cost)
				e.segments = e.segments[1:]
				for in.End < l.end {
					in, _ = code.Next()
				}
				continue
			}
		}
		call := false
		switch in.Op {
		case scan.OpBlock, scan.OpLoop, scan.OpIf:
			e.depth++
		case scan.OpEnd:
			e.depth--
		case scan.OpReturn:
			if wrapped { // leave through the wrapping block's end
				e.index(scan.OpBr, e.depth)
				continue
			}
		case scan.OpUnreachable:
			e.show()
		case scan.OpCall, scan.OpCallIndirect:
			call = true
			e.show()
		}
		if shift, ok := bulkShift(&in); ok {
			e.chargeCount(shift, in.Sub == scan.MiscMemoryFill)
		}
		e.out = append(e.out, e.m.Bytes[in.Start:in.End]...)
		if call {
			e.look()
		}
	}
}

// locals writes b's locals and those the pass needs.
func (e *emitter) locals(b *scan.Body) {
	n := uint64(len(b.Locals)) + 1
	if b.Bulk {
		n++
	}
	e.out = binary.AppendUvarint(e.out, n)
	for _, g := range b.Locals {
		e.out = append(binary.AppendUvarint(e.out, uint64(g.N)), byte(g.Type))
	}
	e.out = append(e.out, 1, byte(scan.I64))
	e.left = uint64(b.NLocals)
	if b.Bulk {
		e.out = append(e.out, 1, byte(scan.I32))
		e.count = e.left + 1
	}
}

// appendSigned appends a signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
