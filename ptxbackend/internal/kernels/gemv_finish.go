package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// finish does what is to be done after a tile, whose turns end at end: if it ends a
// task, one tile or one of gate and one of up, or the block's turns end with it,
// the task's sums are completed with those of other blocks, or left for them, and
// the output is written.
func (g *gemv) finish(block, tile, from, to, end ptx.Reg, values [][]ptx.Reg) {
	b := g.b
	if g.subtiles() == 1 {
		g.finishTask(block, tile, from, to, values)
		return
	}
	odd, last := b.Setp(ptx.Ne, b.And(tile, 1), 0), b.Setp(ptx.Ge, end, to)
	b.If(b.And(last, b.Not(odd)), func() { // nothing of up's
		for i := range values[0] {
			b.Set(values[0][i], values[1][i])
			b.Set(values[1][i], 0)
		}
	})
	b.If(b.Or(last, odd), func() {
		g.finishTask(block, b.Shr(tile, 1), from, to, values)
		for i := range values[1] {
			b.Set(values[1][i], 0)
		}
	})
}

func (g *gemv) finishTask(block, task, from, to ptx.Reg, values [][]ptx.Reg) {
	b, skip := g.b, g.b.NewLabel()
	turns := g.taskTurns(g.layout)
	begin := b.Mul(task, turns)
	whole := b.And(b.Setp(ptx.Ge, begin, from), b.Setp(ptx.Le, b.Add(begin, turns), to))
	b.If(b.Not(whole), func() { g.gather(block, task, from, values, skip) })
	g.write(task, values)
	b.Label(skip)
}

// gather leaves the block's sums of a task in Work and goes to skip, unless it is
// the last of the task's blocks: then it adds up the sums of all.
func (g *gemv) gather(block, task, from ptx.Reg, values [][]ptx.Reg, skip string) {
	b := g.b
	turns := g.taskTurns(g.layout)
	begin := b.Mul(task, turns)
	// A block's first task has slot 0, its other one slot 1.
	slot := b.Selp(b.Var(ptx.U32, 0), 1, b.Setp(ptx.Eq, b.Div(from, turns), task))
	at := g.workAddress(block, slot)
	g.eachValue(values, func(v ptx.Reg, off int) { b.St(ptx.Global, at, off, v) })
	b.Bar()
	owner := func(turn ptx.Reg) ptx.Reg { // grains are turns here
		return b.Div(b.Sub(b.Mul(b.Add(turn, 1), g.blocks), 1), g.grains)
	}
	head, tail := owner(begin), owner(b.Add(begin, turns-1))
	leader := b.Setp(ptx.Eq, g.tid, 0)
	counter := b.MadWide(task, 4, g.counters)
	b.If(leader, func() {
		b.Fence("gpu")
		came := b.Atom(ptx.Global, "acq_rel", "add", counter, 0, b.Var(ptx.U32, 1))
		b.Fence("gpu")
		b.St(ptx.Shared, g.words, gemvWords-4, came)
	})
	b.Bar()
	came := b.Ld(ptx.Shared, ptx.U32, g.words, gemvWords-4)
	b.Bar() // the word is free again
	b.Under(b.Setp(ptx.Ne, came, b.Sub(tail, head)), func() { b.Bra(skip) })
	b.If(leader, func() { b.St(ptx.Global, counter, 0, b.Var(ptx.U32, 0)) })
	for _, part := range values {
		for _, v := range part {
			b.Set(v, 0)
		}
	}
	b.For(head, b.Add(tail, 1), 1, func(i ptx.Reg) {
		// The first block has begun before this task, or with it.
		slot := b.Selp(b.Var(ptx.U32, 1), 0, b.Setp(ptx.Lt, g.begin(i), begin))
		at := g.workAddress(i, slot)
		g.eachValue(values, func(v ptx.Reg, off int) { b.AddTo(v, b.Ld(ptx.Global, ptx.F32, at, off, ptx.CacheGlobal)) })
	})
}

// workAddress is where block i of the matrix leaves this thread's sums.
func (g *gemv) workAddress(i, slot ptx.Reg) ptx.Reg {
	b := g.b
	n := b.Mad(b.Add(i, g.first), 2, slot)
	return b.Add(b.MadWide(n, 4*g.taskValues(), g.work), b.MulWide(g.tid, 4))
}

// eachValue calls f for each sum of the thread with its offset in Work.
func (g *gemv) eachValue(values [][]ptx.Reg, f func(v ptx.Reg, off int)) {
	n := 0
	for _, part := range values {
		for _, v := range part {
			f(v, 4*n*g.threads())
			n++
		}
	}
}

// preload reads what is to be added to the sums of a tile, before they are there:
// bias and residual of each of the thread's.
func (g *gemv) preload(tile ptx.Reg) {
	b := g.b
	g.ahead = nil
	if !g.Bias && g.Out != AddResidual {
		return
	}
	for i := range g.perThread() {
		v := b.Var(ptx.F32, 0)
		g.ahead = append(g.ahead, v)
		g.where(tile, i, func(row, batchRow ptx.Reg) {
			b.If(b.Setp(ptx.Lt, row, g.n), func() { b.Set(v, g.added(row, batchRow)) })
		})
	}
}

// where executes f for the place of the thread's sum i of a task, if there is one.
func (g *gemv) where(task ptx.Reg, i int, f func(row, batchRow ptx.Reg)) {
	b := g.b
	e := b.Add(g.tid, i*g.threads())
	b.If(b.Setp(ptx.Lt, e, 16*g.T), func() { f(b.Mad(task, 16, b.And(e, 15)), b.Shr(e, 4)) })
}

// added is bias and residual at a place.
func (g *gemv) added(row, batchRow ptx.Reg) ptx.Reg {
	b := g.b
	v := b.Var(ptx.F32, 0)
	if g.Out == AddResidual {
		v = b.Ld(ptx.Global, ptx.F32, b.MadWide(b.Mad(batchRow, g.n, row), 4, g.residual), 0)
	}
	if g.Bias {
		v = b.Add(v, b.Ld(ptx.Global, ptx.F32, b.MadWide(row, 4, g.bias), 0))
	}
	return v
}

// write scales a task's sums and writes the output.
func (g *gemv) write(task ptx.Reg, values [][]ptx.Reg) {
	b := g.b
	if g.streams() {
		g.writeFragments(task, values[0])
		return
	}
	for i := range values[0] {
		g.where(task, i, func(row, batchRow ptx.Reg) {
			v := b.Mul(values[0][i], g.scale)
			if g.Out == SiLUMulPack {
				g.writePair(task, row, batchRow, v, b.Mul(values[1][i], g.scaleUp))
				return
			}
			if g.ahead != nil {
				v = b.Add(v, g.ahead[i])
			}
			b.If(b.Setp(ptx.Lt, row, g.n), func() { g.store(row, batchRow, v) })
		})
	}
}

func (g *gemv) store(row, batchRow, v ptx.Reg) {
	b := g.b
	b.St(ptx.Global, b.MadWide(b.Mad(batchRow, g.n, row), 4, g.out), 0, v)
}

// writePair writes a column of the next input, and after the last task the columns
// that fill it up.
func (g *gemv) writePair(task, col, batchRow, gate, up ptx.Reg) {
	b, width := g.b, g.layout.N/2
	p := Pack{g.T, width}
	storePacked(b, p, g.out, batchRow, col, []ptx.Reg{b.Mul(silu(b, gate), up)})
	tasks := g.layout.Tiles() / 2
	if missing := p.KTiles()*4 - tasks; missing > 0 {
		b.If(b.Setp(ptx.Eq, task, tasks-1), func() {
			for i := range missing {
				storePacked(b, p, g.out, batchRow, b.Add(col, 16*(i+1)), zeroes(b, 1))
			}
		})
	}
}
