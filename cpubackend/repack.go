package cpubackend

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// Repacking at load: matrices that are multiplied are copied into the order in which
// the kernels want them, by all cores, and the pages they came from are given back, so
// that memory never holds a model twice. A core copies 4 to 12 GB/s, no slower than the
// first token would read the file: a model of 0.4 GB is open and has its first token
// after 0.13 s instead of 0.11. So it is done before the first step, not beside it or
// when a matrix is first used, which would take a lock or two orders in every product.

// repacking is the work of a Load.
type repacking struct {
	options backend.LoadOptions
	jobs    []repackJob
	next    atomic.Int64 // job
	total   int64        // bytes of all weights
	done    atomic.Int64 // of them
	lost    atomic.Pointer[error]
}

// repackJob is some panels of a matrix.
type repackJob struct {
	mat    *kernels.Mat
	panels []byte // of the whole matrix
	p0, p1 int
	from   []byte // the rows
}

// repackBytes is about how much a job copies.
const repackBytes = 1 << 20

// repackAlign is where the panels of a matrix begin.
const repackAlign = 64

// repack copies the matrices that are multiplied; the others count as done.
func (l *weights) repack(ctx context.Context, o backend.LoadOptions) error {
	r := &repacking{options: o}
	mats, size := l.toRepack(), 0
	for i, m := range l.mats {
		r.total += int64(len(l.data[i]))
		if mats[i] {
			size += roundUp(m.Panels()*m.PanelBytes(), repackAlign)
		} else {
			r.done.Add(int64(len(l.data[i])))
		}
	}
	var err error
	if l.panels, err = reserve(size); err != nil {
		return fmt.Errorf("cpubackend: %d MiB for repacked weights: %w; LowMemory does without", size>>20, err)
	}
	if size > 0 {
		preferHugePages(l.panels.bytes)
	}
	l.copied += int64(size)
	r.plan(l, mats)
	if err := r.run(ctx, l); err != nil {
		return err
	}
	for i, j := range r.jobs {
		if i == 0 || j.mat != r.jobs[i-1].mat {
			j.mat.UseRepacked(j.panels)
		}
	}
	for i := range mats { // reading one job's pages maps some of its neighbours'
		if mats[i] && o.Drop != nil {
			o.Drop(l.data[i])
		}
	}
	return nil
}

// toRepack says which weights are multiplied, in a format the kernels like repacked.
func (l *weights) toRepack() []bool {
	wanted := make([]bool, len(l.mats))
	for i := range l.plan.Steps {
		for role, w := range l.plan.Steps[i].W {
			if w == 0 || plan.Role(role) == plan.WEmbed {
				continue
			}
			if m := l.mat(w); m != nil && m.PanelBytes() > 0 {
				wanted[w-1] = true
			}
		}
	}
	return wanted
}

// plan divides the matrices into jobs.
func (r *repacking) plan(l *weights, mats []bool) {
	rest := l.panels.bytes
	for i, m := range l.mats {
		if !mats[i] {
			continue
		}
		n, size, data := m.Panels(), m.PanelBytes(), l.data[i]
		step, row := max(1, repackBytes/size), len(data)/m.N
		for p := 0; p < n; p += step {
			last := min(p+step, n)
			r.jobs = append(r.jobs, repackJob{m, rest[: n*size : n*size], p, last, data[p*m.Grain()*row : min(last*m.Grain(), m.N)*row]})
		}
		rest = rest[roundUp(n*size, repackAlign):]
	}
}

// run does the jobs on all threads. Progress is told by the goroutine of the caller,
// which works too.
func (r *repacking) run(ctx context.Context, l *weights) error {
	threads := r.options.Threads
	if threads == 0 {
		threads = defaultThreads()
	}
	var others sync.WaitGroup
	for range min(threads, len(r.jobs)) - 1 {
		others.Go(func() { r.work(ctx, l, func() {}) })
	}
	r.work(ctx, l, r.report)
	others.Wait()
	r.report()
	if err := r.lost.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

func (r *repacking) report() {
	if r.options.Progress != nil {
		r.options.Progress(r.done.Load(), r.total)
	}
}

// work does jobs until there are none left, or one failed.
func (r *repacking) work(ctx context.Context, l *weights, report func()) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err := l.lost(p)
			if err == nil {
				panic(p)
			}
			r.lost.Store(&err)
		}
	}()
	for ctx.Err() == nil && r.lost.Load() == nil {
		i := r.next.Add(1) - 1
		if i >= int64(len(r.jobs)) {
			return
		}
		j := &r.jobs[i]
		j.mat.Repack(j.panels, j.p0, j.p1)
		if r.options.Drop != nil {
			r.options.Drop(j.from)
		}
		r.done.Add(int64(len(j.from)))
		report()
	}
}
