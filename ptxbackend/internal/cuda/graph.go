package cuda

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// captureThreadLocal lets other threads do as they like during a capture
// (CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).
const captureThreadLocal = 1

// graph is a CUgraphExec; when debugging it is a trace instead.
type graph struct {
	d      *device
	handle uintptr
	names  []string // of its kernels, in order
	trace  *trace
	closed atomic.Bool
}

// trace is a list of work that is done one by one, so that what fails is known.
type trace struct{ do []func(*stream) error }

func (t *trace) add(f func(*stream) error) { t.do = append(t.do, f) }

// BeginCapture records what follows on the stream until EndCapture.
func (s *stream) BeginCapture() error {
	if err := s.ready(fnStreamBeginCapture); err != nil {
		return err
	}
	if s.capture {
		return invalid("cuStreamBeginCapture", "the stream is recording already")
	}
	if s.d.debug {
		s.trace = &trace{}
	} else if err := s.c.call(fnStreamBeginCapture, s.handle, captureThreadLocal); err != nil {
		return err
	}
	s.capture, s.names = true, nil
	return nil
}

// EndCapture makes the graph of what was recorded and puts it on the device.
func (s *stream) EndCapture() (driver.Graph, error) {
	if err := s.ready(fnStreamEndCapture); err != nil {
		return nil, err
	}
	if !s.capture {
		return nil, invalid("cuStreamEndCapture", "the stream is not recording: call BeginCapture first")
	}
	g := &graph{d: s.d, names: s.names, trace: s.trace}
	s.capture, s.names, s.trace = false, nil, nil
	if g.trace == nil {
		if err := s.instantiate(g); err != nil {
			return nil, explain(err, "recording %s", g.kernels())
		}
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.graphs[g] = struct{}{}
	return g, nil
}

// instantiate makes what can be replayed of the captured graph.
func (s *stream) instantiate(g *graph) error {
	c := s.c
	if err := c.call(fnStreamEndCapture, s.handle, c.out(0)); err != nil {
		return err
	}
	captured := uintptr(c.f.out[0])
	err := c.call(fnGraphInstantiate, c.out(1), captured, 0)
	exec := uintptr(c.f.out[1])
	if e := c.call(fnGraphDestroy, captured); err == nil {
		err = e
		if e == nil {
			err = c.call(fnGraphUpload, exec, s.handle)
		}
		if err != nil {
			_ = c.call(fnGraphExecDestroy, exec)
		}
	}
	g.handle = exec
	return err
}

// abandon ends a capture nobody will replay.
func (s *stream) abandon() error {
	recording := s.capture && s.trace == nil
	s.capture, s.names, s.trace = false, nil, nil
	if !recording {
		return nil
	}
	if err := s.c.call(fnStreamEndCapture, s.handle, s.c.out(0)); err != nil {
		return nil // it was invalid, and is no more
	}
	return s.c.call(fnGraphDestroy, uintptr(s.c.f.out[0]))
}

// Replay does what g recorded.
func (s *stream) Replay(dg driver.Graph) error {
	if err := s.ready(fnGraphLaunch); err != nil {
		return err
	}
	g, ok := dg.(*graph)
	switch {
	case !ok || g.d != s.d:
		return invalid("cuGraphLaunch", "the graph is not of this device")
	case g.closed.Load():
		return closedError("cuGraphLaunch", "graph")
	case s.capture:
		return invalid("cuGraphLaunch", "a graph cannot be replayed while recording another")
	case g.trace != nil:
		for i, do := range g.trace.do {
			if err := do(s); err != nil {
				return explain(err, "step %d of %d", i+1, len(g.trace.do))
			}
		}
		return nil
	}
	if err := s.c.call(fnGraphLaunch, g.handle, s.handle); err != nil {
		return explain(err, "replaying %s", g.kernels())
	}
	return nil
}

// kernels names what the graph launches, for messages.
func (g *graph) kernels() string {
	const most = 4
	if len(g.names) <= most {
		return fmt.Sprintf("a graph of %d launches (%s)", len(g.names), strings.Join(g.names, ", "))
	}
	return fmt.Sprintf("a graph of %d launches (%s, ...)", len(g.names), strings.Join(g.names[:most], ", "))
}

// Close gives the graph back; twice is fine.
func (g *graph) Close() error {
	c, err := g.d.lib.caller(g.d)
	if err != nil {
		return err
	}
	defer c.release()
	g.d.mu.Lock()
	delete(g.d.graphs, g)
	g.d.mu.Unlock()
	return g.d.destroyed(g.destroy(c))
}

func (g *graph) destroy(c *caller) error {
	if !g.closed.CompareAndSwap(false, true) || g.handle == 0 {
		return nil
	}
	return c.call(fnGraphExecDestroy, g.handle)
}
