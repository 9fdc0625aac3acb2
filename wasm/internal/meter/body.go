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

// settle subtracts the i64 on the stack from the fuel and traps below zero.
// The fuel itself is beneath it.
func (e *emitter) settle() {
	e.op(scan.OpI64Sub)
	e.index(scan.OpLocalTee, e.left)
	e.index(scan.OpGlobalSet, e.fuel)
	e.index(scan.OpLocalGet, e.left)
	e.trapIfNegative(scan.OpI64Const, scan.OpI64LtS)
}

// charge pays for a segment.
func (e *emitter) charge(cost uint64) {
	e.index(scan.OpGlobalGet, e.fuel)
	e.constant(scan.OpI64Const, int64(cost))
	e.settle()
}

// chargeCount pays for n >> shift, n being the i32 on the stack, which stays.
func (e *emitter) chargeCount(shift int64) {
	e.index(scan.OpLocalSet, e.count)
	e.index(scan.OpGlobalGet, e.fuel)
	e.index(scan.OpLocalGet, e.count)
	e.op(scan.OpI64ExtendU)
	e.constant(scan.OpI64Const, shift)
	e.op(scan.OpI64ShrU)
	e.settle()
	e.index(scan.OpLocalGet, e.count)
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
func (e *emitter) body(b *scan.Body, segments []segment, block []byte) {
	e.locals(b)
	i := 0
	pay := func(at int) {
		for ; i < len(segments) && segments[i].at <= at; i++ {
			if segments[i].cost > 0 {
				e.charge(segments[i].cost)
			}
		}
	}
	pay(b.Start)
	size := slots(e.m, b)
	if b.Calls {
		e.moveStack(-size)
		e.out = append(append(e.out, scan.OpBlock), block...)
	}
	depth := uint64(0)
	code := e.m.Instructions(b)
	for in, ok := code.Next(); ok; in, ok = code.Next() {
		pay(in.Start)
		switch in.Op {
		case scan.OpBlock, scan.OpLoop, scan.OpIf:
			depth++
		case scan.OpEnd:
			depth--
		case scan.OpReturn:
			if b.Calls { // leave through the wrapping block's end
				e.index(scan.OpBr, depth)
				continue
			}
		}
		if shift, ok := bulkShift(&in); ok {
			e.chargeCount(shift)
		}
		e.out = append(e.out, e.m.Bytes[in.Start:in.End]...)
	}
	if b.Calls {
		e.moveStack(size)
		e.op(scan.OpEnd)
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
