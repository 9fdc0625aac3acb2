package emu

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// launch is a kernel being executed.
type launch struct {
	dev         *device
	prog        *program
	grid, block [3]uint32
	shared      int
	params      []byte
	dependent   bool
	serial      uint64
	serial32    uint32
	pending     uint32 // launches from this one on may still run: see stream.chain
	next        atomic.Uint64
	order       map[uint64]*knowledge // what strong accesses to an address pass on; guarded by device.atomic
	spare       []*knowledge
	wait        sync.WaitGroup
	mu          sync.Mutex // guards fault
	fault       *Fault
	failed      atomic.Bool
}

// worker executes blocks, one at a time.
type worker struct {
	dev  *device
	blk  block
	hits []*alloc // the allocation each access of the program last touched
	run  func()
}

func newWorker(d *device) *worker {
	w := &worker{dev: d}
	w.blk.wk = w
	w.run = w.blocks
	return w
}

func (w *worker) hit(site int32) *alloc { return w.hits[site] }

func (w *worker) setHit(site int32, a *alloc) { w.hits[site] = a }

// check finds what is wrong with a launch before anything runs.
func (f *function) check(l *driver.Launch) error {
	p := f.prog
	threads, blocks := uint64(1), uint64(1)
	for i := range 3 {
		threads *= uint64(max(1, l.Block[i]))
		blocks *= uint64(max(1, l.Grid[i]))
		if i > 0 && l.Grid[i] > 65535 || l.Grid[0] > 1<<31-1 {
			return failure("Launch", driver.CodeInvalidValue, "kernel %s: grid %v", p.kernel.Name, l.Grid)
		}
	}
	switch n := p.kernel.Threads; {
	case threads > 1024 || l.Block[2] > 64 || blocks > 1<<40:
		return failure("Launch", driver.CodeInvalidValue, "kernel %s: blocks of %v threads", p.kernel.Name, l.Block)
	case n > 0 && (uint64(n) != threads || max(1, l.Block[0]) != uint32(n)):
		return failure("Launch", driver.CodeInvalidValue, "kernel %s: blocks of %v threads, the kernel is for %d", p.kernel.Name, l.Block, n)
	case len(l.Params) != p.params:
		return failure("Launch", driver.CodeInvalidValue, "kernel %s: %d bytes of parameters, it takes %d", p.kernel.Name, len(l.Params), p.params)
	case l.Shared < 0 || l.Shared > f.dynamic && p.sharedBytes(l.Shared) > 48<<10:
		return failure("Launch", driver.CodeInvalidValue, "kernel %s: %d bytes of dynamic shared memory, SetShared allows %d", p.kernel.Name, l.Shared, f.dynamic)
	case l.Dependent && f.dev.info.Major < 9:
		return failure("Launch", driver.CodeInvalidValue, "kernel %s: a dependent launch on compute capability %d.%d", p.kernel.Name, f.dev.info.Major, f.dev.info.Minor)
	}
	return nil
}

// execute runs all blocks of a launch, on as many workers as there are blocks for.
// The device's lock is held.
func (d *device) execute(f *function, l *driver.Launch, pending uint64) {
	x := &d.work
	d.serial++
	x.dev, x.prog, x.shared, x.params, x.dependent = d, f.prog, l.Shared, l.Params, l.Dependent
	for i := range 3 {
		x.grid[i], x.block[i] = max(1, l.Grid[i]), max(1, l.Block[i])
	}
	x.serial, x.serial32, x.pending = d.serial, uint32(d.serial), uint32(pending)
	x.next.Store(0)
	x.forget()
	x.fault = nil
	x.failed.Store(false)
	n := min(uint64(len(d.workers)), x.blocks())
	x.wait.Add(int(n))
	for _, w := range d.workers[1:n] {
		go w.run()
	}
	d.workers[0].run()
	x.wait.Wait()
	d.stats.Launches++
	if x.fault != nil {
		d.lost = &driver.Error{Op: "Launch", Code: x.fault.Code, Name: codeNames[x.fault.Code], Detail: x.fault.Error()}
	}
}

func (l *launch) blocks() uint64 { return uint64(l.grid[0]) * uint64(l.grid[1]) * uint64(l.grid[2]) }

// blocks executes blocks until none is left.
func (w *worker) blocks() {
	l := &w.dev.work
	defer l.wait.Done()
	w.hits = grow(w.hits, l.prog.sites)
	clear(w.hits)
	var lanes, read, wrote uint64
	total := l.blocks()
	for !l.failed.Load() {
		n := l.next.Add(1) - 1
		if n >= total {
			break
		}
		w.one(l, l.shuffle(n, total))
		lanes, read, wrote = lanes+w.blk.lanes, read+w.blk.read, wrote+w.blk.wrote
	}
	l.mu.Lock()
	l.dev.stats.LaneInstructions += lanes
	l.dev.stats.Read += read
	l.dev.stats.Written += wrote
	l.mu.Unlock()
}

// shuffle is where the n-th block to be executed lies: a permutation of the grid,
// by a Feistel network over the bits of its size (Luby and Rackoff, 1988).
func (l *launch) shuffle(n, total uint64) uint64 {
	half := uint(bits.Len64(total-1)+1) / 2
	if half == 0 {
		return 0
	}
	mask := uint64(1)<<half - 1
	for {
		a, b := n>>half, n&mask
		for r := range uint64(3) {
			a, b = b, a^mix(b^mix(l.dev.opt.Seed^l.serial<<8^r))>>7&mask
		}
		if n = a<<half | b; n < total {
			return n
		}
	}
}

// one executes block n and catches the fault it may end with.
func (w *worker) one(l *launch, n uint64) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case *Fault:
			l.failed.Store(true)
			l.mu.Lock()
			if l.fault == nil {
				l.fault = f
			}
			l.mu.Unlock()
		default:
			panic(f)
		}
	}()
	x, y := uint64(l.grid[0]), uint64(l.grid[1])
	w.blk.begin(l, n, [3]uint32{uint32(n % x), uint32(n / x % y), uint32(n / (x * y))})
	w.blk.run()
}
