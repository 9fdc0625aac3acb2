package cpubackend

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
)

// crew is the workers of an Executable. Worker 0 is whoever calls Run; the others
// are goroutines that wait at the barrier between runs. Each walks all steps and
// does its own share, so the only thing they ever tell each other is "I am here".
type crew struct {
	barrier *barrier
	workers []*worker
	ended   sync.WaitGroup
}

// worker is one of the crew and what it needs for itself.
type worker struct {
	e  *executable
	id int // 0 <= id < n
	n  int

	barrier *barrier
	idle    patience     // between runs, as of the last one
	act     *kernels.Act // activations of small batches, prepared by each for itself
	normed  []float32    // what act holds where it was normed: (soloRows, widest)
	attn    attnScratch
	stopped bool         // this run is over for everybody
	panic   *workerPanic // what went wrong in this run
}

// workerPanic is a panic of a worker on its way to the caller of Run.
type workerPanic struct {
	value any
	stack []byte
}

// defaultThreads is one worker per core this process may use: as its affinity says,
// GOMAXPROCS, and the quota of its control groups, rounded up.
func defaultThreads() int {
	n := min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	if q := quota(); q > 0 {
		n = min(n, int(math.Ceil(q)))
	}
	return max(1, n)
}

// newCrew starts n-1 workers.
func newCrew(e *executable, n int) *crew {
	c := &crew{barrier: newBarrier(n), workers: make([]*worker, n)}
	for i := range c.workers {
		c.workers[i] = e.newWorker(i, n, c.barrier)
	}
	for _, w := range c.workers[1:] {
		c.ended.Go(w.serve)
	}
	return c
}

// newWorker makes worker id of n with its scratch memory.
func (e *executable) newWorker(id, n int, b *barrier) *worker {
	w := &worker{e: e, id: id, n: n, barrier: b, idle: e.idle}
	maxK, maxNormed, maxKey := 1, 0, 0
	for _, in := range e.inputs {
		maxK = max(maxK, in.k)
		if in.norm != nil {
			maxNormed = max(maxNormed, in.k)
		}
	}
	maxRow := 0
	for _, l := range e.plan.KV {
		maxKey, maxRow = max(maxKey, l.KeyDim), max(maxRow, l.KeyDim, l.ValueDim)
	}
	q := e.attn.queries()
	w.act = kernels.NewAct(soloRows, maxK)
	w.normed = make([]float32, soloRows*maxNormed)
	w.attn = attnScratch{q: make([]float32, q*maxKey), scores: make([]float32, q*attnRun),
		acc: make([]float32, q*e.attn.maxValue), state: make([]softmax, q)}
	if e.lim.KV == backend.KVQ8_0 {
		w.attn.q8 = kernels.NewRowsQ8(q, maxRow)
	} else if q >= wideFrom {
		w.attn.wide = newWideScratch(q, maxKey, e.attn.maxValue)
	}
	return w
}

// serve walks the steps once for every crossing of the barrier that begins a run.
// It does not lock its thread: where cores are scarce, waking a locked goroutine
// takes two switches of threads instead of none.
func (w *worker) serve() {
	debug.SetPanicOnFault(true)
	for w.barrier.wait(w.id, false, w.idle) {
		w.walk()
	}
}

// stop ends the workers and waits for them. It must not be called during a run.
func (c *crew) stop() {
	c.barrier.wait(0, true, patience{})
	c.ended.Wait()
}

// walk does this worker's share of every step.
func (w *worker) walk() {
	w.stopped, w.panic, w.idle = false, nil, w.e.idle
	defer w.caught()
	for _, s := range w.e.steps {
		s.run(w)
		// A run that was ended inside the step belongs to worker 0 again, which may
		// be setting up the next one: nothing of it may be looked at.
		if w.stopped || s.joins(w.e) && !w.sync() {
			return
		}
	}
}

// caught keeps a panic for the caller of Run and takes this worker to the barrier
// where the others wait, or soon will, to tell them that the run is over.
func (w *worker) caught() {
	r := recover()
	if r == nil {
		return
	}
	w.panic = &workerPanic{r, debug.Stack()}
	w.barrier.wait(w.id, true, w.e.busy)
}

// sync waits until all workers are here. It returns false, at the same place for
// all of them, if the run is over; the caller then returns at once.
func (w *worker) sync() bool {
	if w.stopped {
		return false
	}
	over := w.id == 0 && w.e.ctxEnded()
	w.stopped = !w.barrier.wait(w.id, over, w.e.busy)
	return !w.stopped
}

// failure returns the error a run ended with: weights that could not be read. Any
// other panic of a worker goes on in the caller of Run.
func (c *crew) failure(l *weights) error {
	var lost error
	for _, w := range c.workers {
		if w.panic == nil {
			continue
		}
		if err := l.lost(w.panic.value); err != nil {
			lost = err
			continue
		}
		panic(fmt.Sprintf("cpubackend: worker %d of %d: %v\n\n%s", w.id, w.n, w.panic.value, w.panic.stack))
	}
	return lost
}

// share returns the part [from, to) of n units that is this worker's, cut at
// multiples of grain.
func (w *worker) share(n, grain int) (from, to int) {
	grains := (n + grain - 1) / grain
	from = min(grains*w.id/w.n*grain, n)
	to = min(grains*(w.id+1)/w.n*grain, n)
	return from, to
}
