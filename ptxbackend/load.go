package ptxbackend

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Weights go up in pieces: workers read the mapped file and repack into page-locked
// slots, while slots filled before are copied to the device:
//
//	queue of pieces -> workers fill slots -> Load's goroutine queues the copy -> slot is free again
//
// What a matrix is scaled by depends on all of it, so it is looked through first;
// the one after it is looked through before it is repacked, which has the file read
// ahead of its use.

// maxLoaders bounds the workers: from about here on the disk is slower.
const maxLoaders = 8

// slot is page-locked memory on its way: free, being filled, or being copied.
type slot struct {
	host   []byte
	copied driver.Event // recorded after its copy
	piece  piece        // what it was filled with
}

// loader is the state of one Load.
type loader struct {
	weights  *weights
	data     [][]byte
	progress func(done, total int64)

	stream driver.Stream
	slots  []slot
	memory memory // of the slots
	queue  chan piece
	free   chan *slot
	filled chan *slot
	failed chan error
	stop   chan struct{}
}

// load is backend.Load on data of the right sizes.
func load(ctx context.Context, g *gpu, p *plan.Plan, w [][]byte, progress func(done, total int64)) (backend.Weights, error) {
	l := &loader{weights: newWeights(g, p), data: w, progress: progress, memory: memory{gpu: g}}
	err := g.within(func() error {
		err := l.run(ctx)
		if err != nil {
			err = errors.Join(err, l.weights.memory.release())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.weights, nil
}

// run loads everything. The device is entered.
func (l *loader) run(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	pieces, err := l.weights.place(l.data)
	if err != nil {
		return err
	}
	workers := max(1, min(runtime.GOMAXPROCS(0), maxLoaders, len(pieces)))
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.open(pieces, workers); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(l.work)
	}
	err = l.upload(ctx, pieces)
	close(l.stop)
	wg.Wait()
	if e := l.stream.Sync(); err == nil && e != nil {
		err = l.weights.gpu.fail("upload the weights", e)
	}
	l.weights.share()
	return err
}

// open makes the stream and the slots, all of them free, and queues the pieces.
func (l *loader) open(pieces []piece, workers int) (err error) {
	g, bytes := l.weights.gpu, 0
	l.queue = make(chan piece, len(pieces))
	for _, p := range pieces {
		bytes = max(bytes, p.bytes)
		l.queue <- p
	}
	close(l.queue)
	l.slots = make([]slot, workers+copies)
	l.free, l.filled = make(chan *slot, len(l.slots)), make(chan *slot, len(l.slots))
	l.failed, l.stop = make(chan error, workers), make(chan struct{})
	if l.stream, err = g.dev.NewStream(); err != nil {
		return g.fail("upload the weights", err)
	}
	for i := range l.slots {
		s := &l.slots[i]
		if s.host, err = l.memory.pinned("buffers for the upload of weights", bytes); err != nil {
			return err
		}
		if s.copied, err = g.dev.NewEvent(); err != nil {
			return g.fail("upload the weights", err)
		}
		l.free <- s
	}
	return nil
}

// close gives back what open took.
func (l *loader) close() error {
	errs := []error{l.memory.release()}
	for i := range l.slots {
		if e := l.slots[i].copied; e != nil {
			errs = append(errs, l.weights.gpu.ignoreIfLost(e.Close()))
		}
	}
	if l.stream != nil {
		errs = append(errs, l.weights.gpu.ignoreIfLost(l.stream.Close()))
	}
	return errors.Join(errs...)
}

// work does pieces until the queue or the load is at its end.
func (l *loader) work() {
	debug.SetPanicOnFault(true) // of this goroutine, which ends here
	for p := range l.queue {
		if ok, err := l.do(p); err != nil {
			l.failed <- err
			return
		} else if !ok {
			return
		}
	}
}

// do does a piece, and turns a fault of the mapped file into an error. It reports
// false when the load is at its end.
func (l *loader) do(p piece) (ok bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if err = backend.WeightLost("ptxbackend", r, l.weights.plan, l.data); err == nil {
				panic(r)
			}
		}
	}()
	if p.look != nil {
		p.look()
		return true, nil
	}
	for _, ready := range p.ready {
		select {
		case <-l.stop:
			return false, nil
		case <-ready:
		}
	}
	select {
	case <-l.stop:
		return false, nil
	case s := <-l.free:
		s.piece = p
		p.fill(s.host[:p.bytes])
		l.filled <- s
	}
	return true, nil
}

// copies is how many copies are under way at once: two keep the copy engine busy.
const copies = 2

// upload copies filled slots to the device, as many as there are pieces to fill.
func (l *loader) upload(ctx context.Context, pieces []piece) error {
	var done, total int64
	left := 0
	for _, p := range pieces {
		total += p.source
		if p.look == nil {
			left++
		}
	}
	var under []*slot // way, oldest first
	for ; left > 0; left-- {
		if err := ctx.Err(); err != nil { // of several that are ready, select takes any
			return err
		}
		var s *slot
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-l.failed:
			return err
		case s = <-l.filled:
		}
		err := l.stream.CopyIn(s.piece.at, s.host[:s.piece.bytes])
		if err == nil {
			err = l.stream.Record(s.copied)
		}
		if under = append(under, s); err == nil && len(under) > copies {
			if err = under[0].copied.Sync(); err == nil {
				l.free <- under[0]
				under = append(under[:0], under[1:]...)
			}
		}
		if err != nil {
			return l.weights.gpu.fail("upload the weights", err)
		}
		if done += s.piece.source; l.progress != nil {
			l.progress(done, total)
		}
	}
	return ctx.Err()
}
