// Package measure times kernels on a device, and the device itself.
package measure

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Bench is a device with what it takes to time its work. The goroutine that made it
// uses it, and is tied to its thread until Close.
type Bench struct {
	Dev    driver.Device
	Stream driver.Stream
	Target ptx.Target
	Rounds int // of each measurement, of which the median counts; three more warm up
	held   []driver.Ptr
	code   []driver.Module
	began  [2]driver.Event
	rand   *rand.Rand
	rounds int // of the matrix peak
}

// New makes a Bench of a device, which stays the caller's.
func New(dev driver.Device, target ptx.Target) (_ *Bench, err error) {
	b := &Bench{Dev: dev, Target: target, Rounds: 20, rounds: 4000, rand: rand.New(rand.NewPCG(1, 2))}
	if err = dev.Enter(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.Stream, err = dev.NewStream(); err != nil {
		return nil, err
	}
	for n := range b.began {
		if b.began[n], err = dev.NewEvent(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Close gives back what the Bench took.
func (b *Bench) Close() {
	if b.Stream != nil {
		b.Stream.Sync()
		b.Stream.Close()
	}
	for _, e := range b.began {
		if e != nil {
			e.Close()
		}
	}
	for _, m := range b.code {
		m.Unload()
	}
	b.Free()
	b.Dev.Leave()
}

// Alloc takes memory until Free; its content is random, so that nothing is faster
// than with real data.
func (b *Bench) Alloc(bytes int64) (driver.Ptr, error) {
	p, err := b.Dev.Alloc(bytes)
	if err != nil {
		return 0, err
	}
	b.held = append(b.held, p)
	piece := min(8<<20, bytes)
	host, err := b.Dev.HostAlloc(int(piece))
	if err != nil {
		return 0, err
	}
	for i := range host {
		host[i] = byte(b.rand.Uint32())
	}
	for at := int64(0); at < bytes && err == nil; at += piece {
		err = b.Stream.CopyIn(p+driver.Ptr(at), host[:min(piece, bytes-at)])
	}
	// The copies that were begun end before host is given back.
	return p, errors.Join(err, b.Stream.Sync(), b.Dev.HostFree(host))
}

// Free gives back what Alloc took.
func (b *Bench) Free() {
	for _, p := range b.held {
		b.Dev.Free(p)
	}
	b.held = nil
}

// Build compiles a kernel, for as long as the Bench is open.
func (b *Bench) Build(c kernels.Config, shared int) (driver.Function, error) {
	k, err := c.Build(b.Target)
	if err != nil {
		return nil, err
	}
	m, err := b.Dev.Load(&ptx.Module{Target: b.Target, Kernels: []*ptx.Kernel{k}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name(), err)
	}
	b.code = append(b.code, m)
	f, err := m.Function(k)
	if err == nil && shared > 0 {
		err = f.SetShared(shared)
	}
	return f, err
}

// Time is how long one of n different launches takes, in seconds: they are recorded
// as a graph, which is replayed; the median of the replays counts.
func (b *Bench) Time(n int, f driver.Function, launch func(i int) driver.Launch) (float64, error) {
	g, err := b.record(func() error {
		for i := range n {
			l := launch(i)
			l.Dependent = b.Target.Hopper()
			if err := b.Stream.Launch(f, &l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	defer g.Close()
	return b.Replay(g, n)
}

// record makes a graph of what work does to the stream, which records no longer
// whatever fails.
func (b *Bench) record(work func() error) (driver.Graph, error) {
	if err := b.Stream.BeginCapture(); err != nil {
		return nil, err
	}
	err := work()
	g, end := b.Stream.EndCapture()
	switch {
	case err == nil:
		return g, end
	case end == nil:
		err = errors.Join(err, g.Close())
	}
	return nil, err
}

// Replay is how long one of the n things a graph recorded takes, in seconds.
func (b *Bench) Replay(g driver.Graph, n int) (float64, error) {
	var all []float64
	for round := range b.Rounds + 3 {
		if err := b.Stream.Record(b.began[0]); err != nil {
			return 0, err
		}
		if err := b.Stream.Replay(g); err != nil {
			return 0, err
		}
		if err := b.Stream.Record(b.began[1]); err != nil {
			return 0, err
		}
		if err := b.Stream.Sync(); err != nil {
			return 0, err
		}
		ms, err := b.began[1].Since(b.began[0])
		if err != nil {
			return 0, err
		}
		if round >= 3 { // the first warm up
			all = append(all, float64(ms)/1e3/float64(n))
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
