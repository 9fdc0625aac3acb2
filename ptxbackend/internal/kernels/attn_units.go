package kernels

import (
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// How AttnDecode deals positions out, and brings their keys and values.

// rowRecord is what shared memory holds of a row: where its units end among all, how
// many positions its last row looks at, its page table, its number in the batch and,
// from bit 24 on, how many rows it is. All U32.
type rowRecord struct{ end, n, table, id ptx.Reg }

func (r rowRecord) regs() []ptx.Reg { return []ptx.Reg{r.end, r.n, r.table, r.id} }

func newRowRecord(b *ptx.Builder) rowRecord {
	return rowRecord{b.Reg(ptx.U32), b.Reg(ptx.U32), b.Reg(ptx.U32), b.Reg(ptx.U32)}
}

// unit is how many positions the warps take at a time, units how many of them n
// (U32) positions are.
func (d *attnDecode) unit() int { return 16 * d.Warps }

func (d *attnDecode) units(n ptx.Reg) ptx.Reg {
	return d.b.Shr(d.b.Add(n, d.unit()-1), int(tileShift(d.unit())))
}

// records has every warp go over the rows, the first write their records, and returns
// the units of all.
func (d *attnDecode) records() ptx.Reg {
	b := d.b
	total := b.Var(ptx.U32, 0)
	first := b.Setp(ptx.Lt, d.tid, 32)
	b.For(b.Var(ptx.U32, 0), d.rows, 64, func(i ptx.Reg) {
		var rec [2]rowRecord
		var in, row [2]ptx.Reg
		for j := range rec { // two, so that fewer loads wait for one another
			row[j] = b.Add(b.Add(i, d.lane), 32*j)
			in[j] = b.Setp(ptx.Lt, row[j], d.rows)
			rec[j] = d.load(row[j], in[j])
		}
		for j, r := range rec {
			d.join(r)
			sum := d.prefix(d.units(r.n))
			b.Set(r.end, b.Add(total, sum))
			at := b.Mad(row[j], 16, d.shared)
			b.Under(b.And(in[j], first), func() { b.StV(ptx.Shared, at, d.recordsAt(), r.regs()) })
			b.AddTo(total, b.Shfl("idx", sum, 31))
		}
	})
	b.Bar()
	return b.Ld(ptx.Shared, ptx.U32, b.Mad(b.Sub(d.rows, 1), 16, d.shared), d.recordsAt())
}

// join makes one of up to rowsPerTile adjacent lanes' rows where they are consecutive in
// their sequence, and so in the batch: it becomes the first one's, the others are left
// without positions.
func (d *attnDecode) join(r rowRecord) {
	b := d.b
	rows := b.Var(ptx.U32, 1)
	if d.rowsPerTile() > 1 {
		n, table := b.Shfl("up", r.n, 1), b.Shfl("up", r.table, 1) // of the lane before
		follows := b.And(b.Setp(ptx.Ne, b.Rem(d.lane, d.rowsPerTile()), 0), b.Setp(ptx.Gt, n, 0))
		follows = b.And(follows, b.And(b.Setp(ptx.Eq, r.n, b.Add(n, 1)), b.Setp(ptx.Eq, r.table, table)))
		// How far away the next lane is whose row does not follow, or the end.
		others := b.Shr(b.Shr(b.Not(b.Ballot(follows)), d.lane), 1)
		lowest := b.And(others, b.Sub(b.Var(ptx.U32, 0), others))
		away := b.Min(b.Popc(b.Sub(lowest, 1)), b.Sub(b.Var(ptx.U32, 31), d.lane))
		b.Set(rows, b.Add(away, 1))
		b.Set(r.n, b.Selp(0, b.Add(r.n, away), follows))
	}
	b.Set(r.id, b.Or(r.id, b.Shl(rows, 24)))
}

// load reads what the batch block says of the row-th row, none where not in.
func (d *attnDecode) load(row, in ptx.Reg) rowRecord {
	b := d.b
	r := rowRecord{b.Reg(ptx.U32), b.Var(ptx.U32, 0), b.Var(ptx.U32, 0), b.Var(ptx.U32, row)}
	listed := b.And(in, b.Setp(ptx.Ne, d.list, 0))
	at := rowAddress(b, d.list, row, 4)
	b.Under(listed, func() { b.LdTo([]ptx.Reg{r.id}, ptx.Global, at, 0, ptx.NC) })
	pos := b.Var(ptx.S32, -1)
	posAt, startAt := rowAddress(b, d.pos, r.id, 4), rowAddress(b, d.starts, r.id, 4)
	b.Under(in, func() {
		b.LdTo([]ptx.Reg{pos}, ptx.Global, posAt, 0, ptx.NC)
		b.LdTo([]ptx.Reg{r.table}, ptx.Global, startAt, 0, ptx.NC)
	})
	b.Set(r.n, b.As(ptx.U32, b.Add(pos, 1)))
	return r
}

// prefix is the sum of x over the lanes up to this one.
func (d *attnDecode) prefix(x ptx.Reg) ptx.Reg {
	b := d.b
	for n := 1; n < 32; n *= 2 {
		y := b.Shfl("up", x, n)
		x = b.Add(x, b.Selp(y, 0, b.Setp(ptx.Ge, d.lane, n)))
	}
	return x
}

// share works out which units this block has and which row they begin in.
func (d *attnDecode) share(total ptx.Reg) {
	b := d.b
	shares := b.Nctaid(0)
	d.each = b.Div(b.Sub(b.Add(total, shares), 1), shares)
	d.begin = b.Min(b.Mul(b.Ctaid(0), d.each), total)
	d.end = b.Min(b.Add(d.begin, d.each), total)
	work := b.Setp(ptx.Lt, d.begin, d.end)
	b.For(d.tid, d.rows, 32*d.Warps, func(row ptx.Reg) {
		r := newRowRecord(b)
		d.record(r, row, work)
		has := b.And(b.Setp(ptx.Gt, r.end, d.begin), b.Setp(ptx.Le, b.Sub(r.end, d.units(r.n)), d.begin))
		b.Under(has, func() { b.St(ptx.Shared, d.shared, d.countAt(), row) })
	})
	b.Bar()
	d.rowNum = b.Var(ptx.U32, 0)
	b.Under(work, func() { b.LdTo([]ptx.Reg{d.rowNum}, ptx.Shared, d.shared, d.countAt()) })
	d.row = newRowRecord(b)
	d.at = b.Var(ptx.U32, d.begin)
	d.use = b.Var(ptx.U32, d.ring)
	d.next = decodeUnit{num: b.Var(ptx.U32, d.begin), rowNum: b.Var(ptx.U32, d.rowNum), row: newRowRecord(b),
		page: b.Var(ptx.U32, 0), left: b.Var(ptx.S32, 0), slot: b.Var(ptx.U32, 0), in: b.Reg(ptx.Pred)}
	d.fill = b.Var(ptx.U32, d.ring)
	for _, r := range []rowRecord{d.row, d.next.row} {
		d.record(r, d.rowNum, work)
	}
	d.find()
}

// record loads row num's record where in.
func (d *attnDecode) record(r rowRecord, num, in ptx.Reg) {
	b := d.b
	for _, x := range r.regs() {
		b.Set(x, 0)
	}
	at := b.Mad(num, 16, d.shared)
	b.Under(in, func() { b.LdTo(r.regs(), ptx.Shared, at, d.recordsAt()) })
}

// seek goes on from r, row num, to the row that has unit at, which there is.
func (d *attnDecode) seek(r *rowRecord, num, at ptx.Reg) {
	b := d.b
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Le, r.end, at) }, func() {
		b.AddTo(num, 1)
		b.LdTo(r.regs(), ptx.Shared, b.Mad(num, 16, d.shared), d.recordsAt())
	})
}

// decodeUnit is the next unit to be copied.
type decodeUnit struct {
	num    ptx.Reg // U32
	rowNum ptx.Reg
	row    rowRecord
	page   ptx.Reg // U32
	slot   ptx.Reg // U32: its first position in the page, where pages have several units
	left   ptx.Reg // S32: positions from this warp's first to the row's end
	in     ptx.Reg // Pred: there is something to copy
}

// rowID and rowCount are a row's number in the batch and how many it is.
func (d *attnDecode) rowID(r rowRecord) ptx.Reg    { return d.b.And(r.id, 1<<24-1) }
func (d *attnDecode) rowCount(r rowRecord) ptx.Reg { return d.b.Shr(r.id, 24) }

// within is the unit's number within its row.
func (d *attnDecode) within(num ptx.Reg, r rowRecord) ptx.Reg {
	return d.b.Sub(num, d.b.Sub(r.end, d.units(r.n)))
}

// left is how many positions there are from this warp's first in unit i of a row.
func (d *attnDecode) left(i ptx.Reg, r rowRecord) ptx.Reg {
	b := d.b
	return b.As(ptx.S32, b.Sub(r.n, b.Add(b.Mul(i, d.unit()), b.Shl(d.warp, 4))))
}

// find looks up where unit next.num lies.
func (d *attnDecode) find() {
	b, n := d.b, &d.next
	b.Set(n.in, false)
	b.If(b.Setp(ptx.Lt, n.num, d.end), func() {
		d.seek(&n.row, n.rowNum, n.num)
		i := d.within(n.num, n.row)
		perPage := backend.PageTokens / d.unit()
		entry := b.Add(n.row.table, b.Div(i, perPage))
		b.LdTo([]ptx.Reg{n.page}, ptx.Global, rowAddress(b, d.batch, entry, 4), 0, ptx.NC)
		if perPage > 1 {
			b.Set(n.slot, b.Mul(b.Rem(i, perPage), d.unit()))
		}
		b.Set(n.left, d.left(i, n.row))
		b.Set(n.in, b.Setp(ptx.Gt, n.left, 0))
	})
}

// copy starts to copy this warp's part of a unit to the shared address dst.
func (d *attnDecode) copy(u decodeUnit, dst ptx.Reg) {
	b := d.b
	slot := u.slot
	if d.unit() == backend.PageTokens {
		slot = ptx.Reg{}
	}
	d.k.copy(b, dst, u.page, pageBytes(d.KVHeads, d.KeyDim), slot, u.left)
	d.v.copy(b, b.Add(dst, 16*kvStride(d.KeyDim)), u.page, pageBytes(d.KVHeads, d.ValueDim), slot, u.left)
}

// advance goes on to the next unit and the stage for it.
func (d *attnDecode) advance() {
	b := d.b
	d.turn(d.fill)
	b.AddTo(d.next.num, 1)
	d.find()
}

// turn moves a stage's address on.
func (d *attnDecode) turn(stage ptx.Reg) {
	b := d.b
	b.AddTo(stage, d.stageBytes())
	b.Under(b.Setp(ptx.Ge, stage, d.ringEnd), func() { b.Set(stage, d.ring) })
}

// prologue starts to copy all stages but one, of those whose positions no row of this
// batch writes: the last of rows from row id of the batch on may have as many before it
// in its sequence. It returns the others.
func (d *attnDecode) prologue() (late []decodeUnit) {
	b := d.b
	for range d.Stages - 1 {
		u := d.next
		new := b.Add(d.rowID(u.row), d.rowCount(u.row))
		old := b.Setp(ptx.Ge, u.left, b.As(ptx.S32, b.Add(new, 16)))
		b.If(b.And(u.in, old), func() { d.copy(u, d.fill) })
		late = append(late, decodeUnit{page: b.Var(ptx.U32, u.page), slot: b.Var(ptx.U32, u.slot), left: b.Var(ptx.S32, u.left),
			in: b.And(u.in, b.Not(old))})
		d.advance()
	}
	return late
}

func (d *attnDecode) prologueLate(late []decodeUnit) {
	for i, u := range late {
		d.b.If(u.in, func() { d.copy(u, d.b.Add(d.ring, i*d.stageBytes())) })
		d.b.CpAsyncCommit()
	}
}
