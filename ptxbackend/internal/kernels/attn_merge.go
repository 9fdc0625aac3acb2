package kernels

import (
	"math"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// The end of a row, or of a block's part of it, in AttnDecode.

// finish adds up what the warps have of d.row: into the output if that is the whole row,
// else into the workspace, and then merges the row if all of it is there.
func (d *attnDecode) finish(first, from, whole ptx.Reg) {
	b, f := d.b, d.f
	f.sum()
	d.putStats()
	// A part that begins with the row is the second of its block, to have a place beside
	// one that ends there.
	part := d.part(b.Ctaid(0), b.Selp(b.Var(ptx.U32, 1), 0, b.Setp(ptx.Eq, from, first)))
	rounds := func(most int) {
		columns := d.roundColumns(most)
		for col := 0; col < d.ValueDim; col += columns {
			n := min(columns, d.ValueDim-col)
			if col > 0 {
				b.Bar()
			}
			d.putSums(col, n, most)
			b.Bar()
			d.eachItem(n, func(query, c ptx.Reg) { d.takeSums(query, c, col, most, part, whole) })
		}
	}
	if d.rowsPerTile() == 1 {
		rounds(d.AttnDecode.queries())
	} else { // one row alone has more columns at a time
		b.If(b.Setp(ptx.Le, d.used, d.group()), func() { rounds(d.group()) }, func() { rounds(d.AttnDecode.queries()) })
	}
	b.If(whole, func() { d.clearColumns() }, func() {
		d.putPartStats(part)
		d.arrive(first)
	})
	b.Bar() // before the next row's sums take the place of these
}

// putStats writes each query's maximum and sum of weights in this warp.
func (d *attnDecode) putStats() {
	b, f := d.b, d.f
	at := b.Mad(b.Mad(d.warp, 16, b.Shr(d.lane, 2)), 8, d.shared)
	one := b.Setp(ptx.Eq, f.t2, 0)
	for s := range f.sides() {
		b.Under(one, func() { b.StV(ptx.Shared, at, d.statsAt()+64*s, []ptx.Reg{f.m[0][s], f.l[0][s]}) })
	}
}

// stats are a query's maximum over the warps, what makes each warp's sums relative to it,
// and the sum of weights. A warp that met no position has a maximum far below and zeroes
// for sums.
func (d *attnDecode) stats(query ptx.Reg) (m ptx.Reg, by []ptx.Reg, l ptx.Reg) {
	b := d.b
	at := b.Mad(query, 8, d.shared)
	var x [][]ptx.Reg
	for w := range d.Warps {
		x = append(x, b.LdV(ptx.Shared, ptx.F32, 2, at, d.statsAt()+128*w))
		if w == 0 {
			m = x[0][0]
		} else {
			m = b.Max(m, x[w][0])
		}
	}
	l = b.Var(ptx.F32, 0)
	for w := range x {
		by = append(by, b.Ex2(b.Sub(x[w][0], m)))
		b.MadTo(l, x[w][1], by[w], l)
	}
	return m, by, l
}

// putSums writes this warp's sums of columns col to col+n of up to most queries.
func (d *attnDecode) putSums(col, n, most int) {
	b, f := d.b, d.f
	for s := range f.sides() {
		if 8*s >= most {
			continue
		}
		query := b.Add(b.Shr(d.lane, 2), 8*s)
		line := b.Mad(d.warp, most, query)
		at := b.Add(b.Mad(line, d.sumsStride(most), d.shared), b.As(ptx.U32, b.Shl(f.t2, 2)))
		in := b.Setp(ptx.Lt, query, most)
		for i := range n / 8 {
			acc := f.acc[0][col/8+i]
			b.Under(in, func() { b.StV(ptx.Shared, at, d.sumsAt()+32*i, acc[2*s:2*s+2]) })
		}
	}
}

// eachItem spreads 4 columns of a query at a time, of n columns, over the threads.
func (d *attnDecode) eachItem(n int, f func(query, four ptx.Reg)) {
	b := d.b
	b.For(d.tid, b.Mul(d.used, n/4), 32*d.Warps, func(item ptx.Reg) { f(b.Div(item, n/4), b.Rem(item, n/4)) })
}

// takeSums adds up 4 columns, the c-th from column col, over the warps and writes them.
func (d *attnDecode) takeSums(query, c ptx.Reg, col, most int, part attnPart, whole ptx.Reg) {
	b := d.b
	at := b.Add(b.Mad(query, d.sumsStride(most), d.shared), b.Shl(c, 4))
	_, by, l := d.stats(query)
	sum := b.Regs(ptx.F32, 4)
	for w := range d.Warps {
		x := b.LdV(ptx.Shared, ptx.F32, 4, at, d.sumsAt()+w*most*d.sumsStride(most))
		for j := range sum {
			if w == 0 {
				b.Set(sum[j], b.Mul(x[j], by[0]))
			} else {
				b.MadTo(sum[j], x[j], by[w], sum[j])
			}
		}
	}
	four := b.Add(c, col/4)
	b.If(whole, func() { d.store(query, four, sum, l) }, func() {
		at := b.MadWide(b.Mad(query, d.ValueDim/4, four), 16, part.at)
		b.StV(ptx.Global, at, 0, sum)
	})
}

// store writes 4 columns of a query, divided by l.
func (d *attnDecode) store(query, four ptx.Reg, sum []ptx.Reg, l ptx.Reg) {
	b := d.b
	by := b.Rcp(l)
	x := make([]ptx.Reg, 4)
	for j := range x {
		x[j] = b.Mul(sum[j], by)
	}
	row, head := d.rowID(d.row), query
	if d.rowsPerTile() > 1 {
		nth := b.Div(query, d.group())
		row, head = b.Add(row, nth), b.Sub(query, b.Mul(nth, d.group()))
	}
	all := b.Mad(b.Add(d.head, head), d.ValueDim/4, four)
	at := packAt(b, d.out, row, b.Shr(all, 1), d.tile, d.kTiles())
	at = b.Add(at, b.Cvt(ptx.U64, b.Shl(b.And(all, 1), 3)))
	b.StV(ptx.Global, at, 0, []ptx.Reg{b.CvtPair(ptx.F16x2, x[0], x[1]), b.CvtPair(ptx.F16x2, x[2], x[3])})
}

func (s AttnShape) kTiles() int { return Pack{K: s.Heads * s.ValueDim}.KTiles() }

// clearColumns zeroes the packed rows past their columns; the last heads' block does it.
func (d *attnDecode) clearColumns() {
	b := d.b
	if d.Heads*d.ValueDim%64 == 0 {
		return
	}
	b.If(b.Setp(ptx.Eq, d.headTile, d.tiles()-1), func() {
		row := d.rowID(d.row)
		b.For(row, b.Add(row, d.rowCount(d.row)), 1, func(row ptx.Reg) {
			zeroColumns(b, d.out, row, d.tid, d.tile, d.Heads*d.ValueDim)
		})
	})
}

// A row cut in many parts is merged in two steps: the last of each mergeGroup
// neighbours to arrive adds those up, the last to have done so adds up the results.
// Each step waits for memory a few times: to write, to count, and for each mergeAtOnce
// parts; with fewer parts the second is left out.
const (
	mergeGroup  = 32
	mergeAtOnce = 16
)

// attnPart is what a block or a group of them has of a row.
type attnPart struct {
	num ptx.Reg // U32: among all blocks' first and second unfinished rows
	at  ptx.Reg // U64
}

// part is the workspace of block x's second (1) or only (0) unfinished row.
func (d *attnDecode) part(x, second ptx.Reg) attnPart {
	b := d.b
	num := b.Mad(b.Mad(x, 2, second), d.tiles(), d.headTile)
	return attnPart{num, b.MadWide(num, d.partBytes(), d.work)}
}

// rowPart is part i of the row that begins in block x0.
func (d *attnDecode) rowPart(x0, i ptx.Reg) attnPart {
	b := d.b
	return d.part(b.Add(x0, i), b.Selp(b.Var(ptx.U32, 1), 0, b.Setp(ptx.Eq, i, 0)))
}

// groupPart is where the sum of the parts from i on goes.
func (d *attnDecode) groupPart(x0, i ptx.Reg) attnPart {
	b := d.b
	p := d.rowPart(x0, i)
	all := b.Mul(b.Mul(b.Nctaid(0), 2), d.tiles())
	return attnPart{p.num, b.MadWide(all, d.partBytes(), p.at)}
}

func (d *attnDecode) putPartStats(part attnPart) {
	b := d.b
	b.If(b.Setp(ptx.Lt, d.tid, d.used), func() {
		m, _, l := d.stats(d.tid)
		b.StV(ptx.Global, b.MadWide(d.tid, 8, part.at), d.partStats(), []ptx.Reg{m, l})
	})
}

// partStats is where a part's maxima and sums of weights begin.
func (c AttnDecode) partStats() int { return 4 * c.queries() * c.ValueDim }

// arrive comes after a part of the row that begins with unit first is written.
func (d *attnDecode) arrive(first ptx.Reg) {
	b := d.b
	x0 := b.Div(first, d.each)
	n := b.Add(b.Sub(b.Div(b.Sub(d.row.end, 1), d.each), x0), 1)
	group := b.And(b.Sub(b.Ctaid(0), x0), -mergeGroup)
	members := b.Min(b.Sub(n, group), mergeGroup)
	one := b.Setp(ptx.Le, n, mergeGroup)
	d.ifLast(d.rowPart(x0, group).num, members, func() {
		d.eachItem(d.ValueDim, func(query, four ptx.Reg) {
			sum, m, l := d.merge(query, four, members, func(i ptx.Reg) attnPart { return d.rowPart(x0, b.Add(group, i)) })
			b.If(one, func() { d.store(query, four, sum, l) }, func() {
				part := d.groupPart(x0, group)
				b.StV(ptx.Global, b.MadWide(b.Mad(query, d.ValueDim/4, four), 16, part.at), 0, sum)
				b.StV(ptx.Global, b.MadWide(query, 8, part.at), d.partStats(), []ptx.Reg{m, l})
			})
		})
		b.If(one, func() { d.clearColumns() }, func() { d.arriveGroup(x0, n) })
	})
}

// arriveGroup comes after the sum of a group of the row's n parts is written.
func (d *attnDecode) arriveGroup(x0, n ptx.Reg) {
	b := d.b
	groups := b.Div(b.Add(n, mergeGroup-1), mergeGroup)
	num := b.Add(b.Mad(d.rowNum, d.tiles(), d.headTile), 2*maxShares*d.tiles())
	d.ifLast(num, groups, func() {
		d.eachItem(d.ValueDim, func(query, four ptx.Reg) {
			sum, _, l := d.merge(query, four, groups, func(i ptx.Reg) attnPart { return d.groupPart(x0, b.Mul(i, mergeGroup)) })
			d.store(query, four, sum, l)
		})
		d.clearColumns()
	})
}

// ifLast executes f if n blocks have come here with counter num, this one among them,
// and what all of them wrote can be seen: the barriers hand on what the one thread's
// count releases and acquires. The counter wraps around to zero, where the next launch
// finds it.
func (d *attnDecode) ifLast(num, n ptx.Reg, f func()) {
	b := d.b
	b.Bar()
	b.If(b.Setp(ptx.Eq, d.tid, 0), func() {
		came := b.Atom(ptx.Global, "acq_rel", "inc", b.MadWide(num, 4, d.counters), 0, b.Sub(n, 1))
		b.St(ptx.Shared, d.shared, d.countAt(), came)
	})
	b.Bar()
	came := b.Ld(ptx.Shared, ptx.U32, d.shared, d.countAt())
	b.If(b.Setp(ptx.Eq, b.Add(came, 1), n), f)
}

// merge adds up 4 columns of a query over n parts; m is their maximum, l the sum of
// weights relative to it.
func (d *attnDecode) merge(query, four, n ptx.Reg, part func(i ptx.Reg) attnPart) (sum []ptx.Reg, m, l ptx.Reg) {
	b := d.b
	sum = b.Regs(ptx.F32, 4)
	m, l = b.Var(ptx.F32, math.Inf(-1)), b.Var(ptx.F32, 0)
	for _, s := range sum {
		b.Set(s, 0)
	}
	sums, stats := b.Mad(query, d.ValueDim/4, four), query
	b.For(b.Var(ptx.U32, 0), n, mergeAtOnce, func(i ptx.Reg) {
		var parts, ms [][]ptx.Reg
		top := m
		for j := range mergeAtOnce {
			k := b.Add(i, j)
			p := part(b.Min(k, b.Sub(n, 1)))
			parts = append(parts, b.LdV(ptx.Global, ptx.F32, 4, b.MadWide(sums, 16, p.at), 0, ptx.Relaxed))
			s := b.LdV(ptx.Global, ptx.F32, 2, b.MadWide(stats, 8, p.at), d.partStats(), ptx.Relaxed)
			s[0] = b.Selp(s[0], math.Inf(-1), b.Setp(ptx.Lt, k, n))
			ms, top = append(ms, s), b.Max(top, s[0])
		}
		by := b.Ex2(b.Sub(m, top))
		for _, s := range append(sum[:4:4], l) {
			mulTo(b, s, by)
		}
		for j := range parts {
			by := b.Ex2(b.Sub(ms[j][0], top))
			b.MadTo(l, ms[j][1], by, l)
			for c := range sum {
				b.MadTo(sum[c], parts[j][c], by, sum[c])
			}
		}
		b.Set(m, top)
	})
	return sum, m, l
}
