package emu

import "sync/atomic"

// writer says who wrote a word of device memory last: launch<<32, flags, the block's
// clock<<20 and the block's place in the grid. 0 is the host.
type writer uint64

const (
	wroteAtomic = 1 << 31 // by atom or red
	wroteNarrow = 1 << 30 // less than the word: nothing is known of the rest
	blockBits   = 20
	clockBits   = 10
	maxTracked  = 1 << 13 // blocks of a grid whose order is followed
)

func (w writer) launch() uint32 { return uint32(w >> 32) }
func (w writer) block() uint32  { return uint32(w) & (1<<blockBits - 1) }
func (w writer) clock() uint16  { return uint16(w >> blockBits & (1<<clockBits - 1)) }

// knowledge is, for each block of the grid, up to which of its clocks what it did
// is visible.
type knowledge []uint16

func (k knowledge) join(o knowledge) {
	for i := range o {
		k[i] = max(k[i], o[i])
	}
}

// gridOrder is what a block knows of the others. Its clock advances when it lets
// others know: at a fence of the whole device, or a release. A fence lets the strong
// accesses after it pass on what was known then, and lets the block know what the
// strong accesses before it have read. All its threads are taken as one: that they
// are ordered among themselves is the block's barriers' business.
type gridOrder struct {
	on    bool
	self  uint32
	clock uint16
	known knowledge
	heard knowledge // by strong reads, not yet fenced
	told  knowledge // at the last fence
}

func (g *gridOrder) begin(l *launch, n uint64) {
	total := l.blocks()
	g.on = total > 1 && total <= maxTracked
	g.clock, g.self = 1, uint32(n)
	if g.on {
		for _, k := range []*knowledge{&g.known, &g.heard, &g.told} {
			*k = grow(*k, int(total))
			clear(*k)
		}
	}
}

// fence is fence.acq_rel.gpu.
func (b *block) fence() {
	g := &b.grid
	if !g.on {
		return
	}
	g.known.join(g.heard)
	copy(g.told, g.known)
	g.told[g.self] = g.clock
	g.clock = min(g.clock+1, 1<<clockBits-1)
}

// strong follows a strong access to addr; the device's lock for atomics is held.
func (b *block) strong(in *instr, addr uint64, reads, writes bool) {
	g := &b.grid
	if !g.on {
		return
	}
	k := b.l.order[addr]
	if reads && k != nil {
		g.heard.join(*k)
		if in.hint&accessAcquire != 0 {
			g.known.join(*k)
		}
	}
	if !writes {
		return
	}
	if in.hint&accessRelease != 0 {
		copy(g.told, g.known)
		g.told[g.self] = g.clock
		g.clock = min(g.clock+1, 1<<clockBits-1)
	}
	if g.told[g.self] == 0 {
		return // it has nothing to tell
	}
	if k == nil {
		k = b.l.learn(addr)
	}
	k.join(g.told)
}

func (l *launch) learn(addr uint64) *knowledge {
	if l.order == nil {
		l.order = map[uint64]*knowledge{}
	}
	n := len(l.spare)
	if n == 0 {
		l.spare = append(l.spare, &knowledge{})
		n = 1
	}
	k := l.spare[n-1]
	l.spare = l.spare[:n-1]
	*k = grow(*k, int(l.blocks()))
	clear(*k)
	l.order[addr] = k
	return k
}

// forget readies the launch for the next kernel.
func (l *launch) forget() {
	for _, k := range l.order {
		l.spare = append(l.spare, k)
	}
	clear(l.order)
}

// noteWrite checks and notes a write of size bytes at off of an allocation.
func (w *warp) noteWrite(in *instr, l int, addr uint64, words []writer, off, size uint64) {
	x, g := w.blk.l, &w.blk.grid
	me := writer(x.serial32)<<32 | writer(g.clock)<<blockBits
	if g.on {
		me |= writer(g.self)
	}
	if in.hint&accessAtomic != 0 {
		me |= wroteAtomic
	}
	if size < 4 {
		me |= wroteNarrow
	}
	for i := off / 4; i < (off+size+3)/4; i++ {
		p := (*uint64)(&words[i])
		old := writer(atomic.LoadUint64(p))
		if old == me {
			continue
		}
		if old.launch() == x.serial32 && old&me&wroteAtomic == 0 && size >= 4 {
			w.ordered(l, addr, old, "writes")
		}
		atomic.StoreUint64(p, uint64(me))
	}
}

// noteRead checks a read: against what this launch wrote, and against what a launch
// wrote that may still run.
func (w *warp) noteRead(in *instr, l int, addr uint64, words []writer, off, size uint64) {
	x := w.blk.l
	for i := off / 4; i < (off+size+3)/4; i++ {
		old := writer(atomic.LoadUint64((*uint64)(&words[i])))
		serial := old.launch()
		switch {
		case serial == 0:
		case serial == x.serial32:
			if in.hint&accessNC != 0 {
				w.fault(l, "ld.global.nc of memory at %#x, which this launch writes", addr)
			}
			if in.hint&accessCoherent == 0 {
				w.ordered(l, addr, old, "reads")
			}
		case x.dependent && serial >= x.pending && w.waited>>l&1 == 0:
			w.fault(l, "global memory at %#x was written by launch %d, on which this one (%d) depends, and is read before griddepcontrol.wait", addr, serial, x.serial)
		}
	}
}

// ordered wants a write by another block of this launch to be known to this one.
func (w *warp) ordered(l int, addr uint64, old writer, does string) {
	g := &w.blk.grid
	if !g.on || old.block() == g.self || old&wroteNarrow != 0 || old.clock() <= g.known[old.block()] {
		return
	}
	w.fault(l, "race: it %s global memory at %#x, which block %d of the grid wrote in this launch without an order between them", does, addr, old.block())
}
