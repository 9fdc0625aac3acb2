package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// signature lists a kernel's parameters in the order in which Build loads and
// Launch passes them.
type signature []ptx.Param

func address(name string) ptx.Param { return ptx.Param{Name: name, Type: ptx.U64} }
func count(name string) ptx.Param   { return ptx.Param{Name: name, Type: ptx.U32} }
func number(name string) ptx.Param  { return ptx.Param{Name: name, Type: ptx.F32} }

// load declares the parameters and loads them into registers.
func (s signature) load(b *ptx.Builder) []ptx.Reg {
	regs := make([]ptx.Reg, len(s))
	for i, p := range s {
		regs[i] = b.Param(p.Type, p.Name)
	}
	return regs
}

// rowAddress is base + row*stride, the stride in bytes.
func rowAddress(b *ptx.Builder, base, row ptx.Reg, stride int) ptx.Reg {
	return b.MadWide(row, stride, base)
}

// selectedRow is LogitRow[i] of the batch block, which is there before a step's first
// kernel begins.
func selectedRow(b *ptx.Builder, l BatchLayout, batch, i ptx.Reg) ptx.Reg {
	return b.Ld(ptx.Global, ptx.U32, rowAddress(b, batch, i, 4), l.LogitRow(), ptx.NC)
}

// blockReduce combines x of all threads of the block, threads of them, by op
// ("add", "max", "min"); every thread has the result. scratch is shared memory for
// one number a warp, which nobody else uses until the next barrier.
func blockReduce(b *ptx.Builder, op string, x ptx.Reg, threads int, scratch ptx.Reg) ptx.Reg {
	x = b.WarpReduce(op, x)
	if threads <= 32 {
		return x
	}
	tid := b.Tid(0)
	lane := b.And(tid, 31)
	place := b.Add(scratch, b.Shl(b.Shr(tid, 5), 2))
	b.Under(b.Setp(ptx.Eq, lane, 0), func() { b.St(ptx.Shared, place, 0, x) })
	b.Bar()
	// Lanes past the last warp read again what a lane before them reads, which
	// changes nothing for max and min; sums take zero.
	from := b.Selp(lane, 0, b.Setp(ptx.Lt, lane, threads/32))
	y := b.Ld(ptx.Shared, x.Type, b.Add(scratch, b.Shl(from, 2)), 0)
	if op == "add" {
		y = b.Selp(y, 0, b.Setp(ptx.Lt, lane, threads/32))
	}
	return b.WarpReduce(op, y)
}
