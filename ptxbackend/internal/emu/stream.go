package emu

import (
	"slices"
	"time"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// stream does its work at once; what goes wrong in a kernel comes back from the
// call after, as it would from a GPU.
type stream struct {
	dev    *device
	chain  uint64 // the first of the launches that a dependent one may overtake, 0 for none
	graph  *graph // being recorded
	closed bool
}

func (d *device) NewStream() (driver.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("NewStream"); err != nil {
		return nil, err
	}
	return &stream{dev: d}, nil
}

// ok locks the device for a call; the caller unlocks it even where there is an error.
func (s *stream) ok(op string) error {
	s.dev.mu.Lock()
	if s.closed {
		return failure(op, driver.CodeInvalidValue, "the stream is closed")
	}
	return s.dev.ok(op)
}

// node is a piece of recorded work: a launch, or a copy or fill.
type node struct {
	f      *function
	launch driver.Launch
	copy   func(s *stream) error
}

// graph is recorded work.
type graph struct {
	dev    *device
	nodes  []node
	closed bool
}

func (g *graph) Close() error {
	g.closed, g.nodes = true, nil
	return nil
}

func (s *stream) Launch(f driver.Function, l *driver.Launch) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Launch"); err != nil {
		return err
	}
	fn, ok := f.(*function)
	if !ok || fn.dev != s.dev {
		return failure("Launch", driver.CodeInvalidValue, "the function is of another device")
	}
	if err := fn.check(l); err != nil {
		return err
	}
	if s.graph != nil {
		n := node{f: fn, launch: *l}
		n.launch.Params = slices.Clone(l.Params)
		s.graph.nodes = append(s.graph.nodes, n)
		return nil
	}
	s.launch(fn, l)
	return nil
}

// launch executes a checked launch. The launches a dependent one overlaps with are
// the one before it and, where that is dependent itself and may have let this one
// start before its own griddepcontrol.wait, those before that.
func (s *stream) launch(f *function, l *driver.Launch) {
	if !l.Dependent || s.chain == 0 {
		s.chain = s.dev.serial + 1
	}
	s.dev.execute(f, l, s.chain)
}

// do executes a copy, or records it.
func (s *stream) do(work func(s *stream) error) error {
	if s.graph != nil {
		s.graph.nodes = append(s.graph.nodes, node{copy: work})
		return nil
	}
	s.chain = 0
	return work(s)
}

// range_ is n bytes of device memory at p.
func (s *stream) span(op string, p driver.Ptr, n int64) (*alloc, []byte, error) {
	a, b := s.dev.heap.bytes(p, n)
	if a == nil {
		return nil, nil, failure(op, driver.CodeInvalidValue, "%d bytes at %#x are not in one allocation", n, uint64(p))
	}
	return a, b, nil
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("CopyIn"); err != nil {
		return err
	}
	if s.graph == nil { // kept apart so that it allocates nothing
		s.chain = 0
		return s.copyIn(dst, src)
	}
	return s.do(func(s *stream) error { return s.copyIn(dst, src) })
}

func (s *stream) copyIn(dst driver.Ptr, src []byte) error {
	a, b, err := s.span("CopyIn", dst, int64(len(src)))
	if err != nil {
		return err
	}
	copy(b, src)
	a.hostWrote(uint64(dst)-a.base, uint64(len(src)))
	return nil
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("CopyOut"); err != nil {
		return err
	}
	if s.graph == nil {
		s.chain = 0
		return s.copyOut(dst, src)
	}
	return s.do(func(s *stream) error { return s.copyOut(dst, src) })
}

func (s *stream) copyOut(dst []byte, src driver.Ptr) error {
	_, b, err := s.span("CopyOut", src, int64(len(dst)))
	copy(dst, b)
	return err
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Copy"); err != nil {
		return err
	}
	if s.graph == nil {
		s.chain = 0
		return s.copyWithin(dst, src, bytes)
	}
	return s.do(func(s *stream) error { return s.copyWithin(dst, src, bytes) })
}

func (s *stream) copyWithin(dst, src driver.Ptr, bytes int64) error {
	a, d, err := s.span("Copy", dst, bytes)
	if err != nil {
		return err
	}
	_, b, err := s.span("Copy", src, bytes)
	if err != nil {
		return err
	}
	copy(d, b)
	a.hostWrote(uint64(dst)-a.base, uint64(bytes))
	return nil
}

func (s *stream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Fill"); err != nil {
		return err
	}
	if s.graph == nil {
		s.chain = 0
		return s.fill(dst, value, bytes)
	}
	return s.do(func(s *stream) error { return s.fill(dst, value, bytes) })
}

func (s *stream) fill(dst driver.Ptr, value byte, bytes int64) error {
	a, d, err := s.span("Fill", dst, bytes)
	if err != nil {
		return err
	}
	fill(d, value)
	a.hostWrote(uint64(dst)-a.base, uint64(bytes))
	return nil
}

func (s *stream) BeginCapture() error {
	defer s.dev.mu.Unlock()
	if err := s.ok("BeginCapture"); err != nil {
		return err
	}
	if s.graph != nil {
		return failure("BeginCapture", driver.CodeInvalidValue, "the stream is recording already")
	}
	s.graph = &graph{dev: s.dev}
	return nil
}

func (s *stream) EndCapture() (driver.Graph, error) {
	defer s.dev.mu.Unlock()
	if err := s.ok("EndCapture"); err != nil {
		return nil, err
	}
	if s.graph == nil {
		return nil, failure("EndCapture", driver.CodeInvalidValue, "the stream is not recording")
	}
	g := s.graph
	s.graph = nil
	return g, nil
}

func (s *stream) Replay(dg driver.Graph) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Replay"); err != nil {
		return err
	}
	g, ok := dg.(*graph)
	if !ok || g.dev != s.dev || g.closed || s.graph != nil {
		return failure("Replay", driver.CodeInvalidValue, "the graph is closed or of another device, or the stream is recording")
	}
	s.chain = 0
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.copy != nil {
			s.chain = 0
			if err := n.copy(s); err != nil {
				return err
			}
			continue
		}
		s.launch(n.f, &n.launch)
		if s.dev.lost != nil {
			return nil // the next call says so
		}
	}
	s.chain = 0
	return nil
}

func (s *stream) Record(e driver.Event) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Record"); err != nil {
		return err
	}
	e.(*event).at = time.Now()
	return nil
}

func (s *stream) Wait(e driver.Event) error {
	defer s.dev.mu.Unlock()
	return s.ok("Wait")
}

func (s *stream) Sync() error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Sync"); err != nil {
		return err
	}
	if s.graph != nil {
		return failure("Sync", driver.CodeInvalidValue, "the stream is recording")
	}
	return nil
}

func (s *stream) Close() error {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	s.closed = true
	return nil
}

// event is a moment of the host's clock.
type event struct {
	dev *device
	at  time.Time
}

func (d *device) NewEvent() (driver.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("NewEvent"); err != nil {
		return nil, err
	}
	return &event{dev: d}, nil
}

func (e *event) Since(earlier driver.Event) (float32, error) {
	e.dev.mu.Lock()
	defer e.dev.mu.Unlock()
	o := earlier.(*event)
	if e.at.IsZero() || o.at.IsZero() {
		return 0, failure("Since", driver.CodeInvalidValue, "an event was not recorded")
	}
	return float32(e.at.Sub(o.at).Seconds() * 1e3), e.dev.ok("Since")
}

func (e *event) Sync() error {
	e.dev.mu.Lock()
	defer e.dev.mu.Unlock()
	return e.dev.ok("Sync")
}

func (e *event) Close() error { return nil }
