package emu

import (
	"time"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// stream is a queue of work. It is done as late as the interface allows: when
// somebody waits for it. So host memory that is changed or read too early shows.
// What goes wrong in a kernel comes back from the call that waits, or the next one.
type stream struct {
	dev    *device
	queue  []work
	chain  uint64 // the first of the launches that a dependent one may overtake, 0 for none
	graph  *graph // being recorded
	closed bool
}

// kind is what a piece of work does.
type kind uint8

const (
	workLaunch kind = iota
	workIn
	workOut
	workCopy
	workFill
	workReplay
	workRecord
)

// work is an entry of a stream's queue, or of a graph.
type work struct {
	kind     kind
	f        *function
	launch   driver.Launch
	params   []byte // that launch.Params is in
	dst, src driver.Ptr
	host     []byte
	bytes    int64
	value    byte
	graph    *graph
	event    *event
}

// maxQueue is how much work waits before it is done though nobody asks for it.
const maxQueue = 256

func (d *device) NewStream() (driver.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("NewStream"); err != nil {
		return nil, err
	}
	s := &stream{dev: d}
	d.streams = append(d.streams, s)
	return s, nil
}

// flushAll does the work of every stream.
func (d *device) flushAll() {
	for _, s := range d.streams {
		s.flush()
	}
}

// ok locks the device for a call; the caller unlocks it even where there is an error.
func (s *stream) ok(op string) error {
	s.dev.mu.Lock()
	if s.closed {
		return failure(op, driver.CodeInvalidValue, "the stream is closed")
	}
	return s.dev.ok(op)
}

// add puts work at the end of the queue, or of the graph being recorded. The entry
// is one that was used before, if there is one, so that nothing is allocated.
func (s *stream) add(kind kind) *work {
	q := &s.queue
	if s.graph != nil {
		q = &s.graph.nodes
	} else if len(*q) >= maxQueue {
		s.flush()
	}
	if n := len(*q); n < cap(*q) {
		*q = (*q)[:n+1]
	} else {
		*q = append(*q, work{})
	}
	w := &(*q)[len(*q)-1]
	*w = work{kind: kind, params: w.params[:0]}
	return w
}

// flush does what is in the queue.
func (s *stream) flush() {
	for i := range s.queue {
		s.do(&s.queue[i])
	}
	s.queue = s.queue[:0]
}

// do does one piece of work, unless the device is lost.
func (s *stream) do(w *work) {
	if s.dev.lost != nil {
		return
	}
	if w.kind != workLaunch && w.kind != workRecord {
		s.chain = 0
	}
	switch w.kind {
	case workLaunch:
		s.launch(w.f, &w.launch)
	case workReplay:
		for i := range w.graph.nodes {
			s.do(&w.graph.nodes[i])
		}
		s.chain = 0
	case workRecord:
		w.event.at = time.Now()
	default:
		if err := s.move(w); err != nil {
			s.dev.lost = err
		}
	}
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

// move does a copy or fills memory.
func (s *stream) move(w *work) *driver.Error {
	var dst, src []byte
	var to *alloc
	if w.kind != workOut {
		if to, dst = s.dev.heap.bytes(w.dst, w.bytes); to == nil {
			return notThere("copy", w.dst, w.bytes)
		}
		to.hostWrote(uint64(w.dst)-to.base, uint64(w.bytes))
	}
	if w.kind == workOut || w.kind == workCopy {
		var from *alloc
		if from, src = s.dev.heap.bytes(w.src, w.bytes); from == nil {
			return notThere("copy", w.src, w.bytes)
		}
	}
	switch w.kind {
	case workIn:
		copy(dst, w.host)
	case workOut:
		copy(w.host, src)
	case workCopy:
		copy(dst, src)
	case workFill:
		fill(dst, w.value)
	}
	return nil
}

func notThere(op string, p driver.Ptr, n int64) *driver.Error {
	return failure(op, driver.CodeInvalidValue, "%d bytes at %#x are not in one allocation", n, uint64(p))
}

// inside wants n bytes at p to be in one allocation.
func (s *stream) inside(op string, p driver.Ptr, n int64) error {
	if a, _ := s.dev.heap.bytes(p, n); a == nil {
		return notThere(op, p, n)
	}
	return nil
}

// locked reports whether b lies in memory of HostAlloc: then a copy returns before
// it is done.
func (d *device) locked(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	at := uintptr(unsafe.Pointer(&b[0]))
	for _, h := range d.hosts {
		if base := uintptr(unsafe.Pointer(&h[0])); at >= base && at-base < uintptr(len(h)) {
			return true
		}
	}
	return false
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
	w := s.add(workLaunch)
	w.f, w.launch = fn, *l
	w.params = append(w.params, l.Params...)
	w.launch.Params = w.params
	return nil
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("CopyIn"); err != nil {
		return err
	}
	if err := s.inside("CopyIn", dst, int64(len(src))); err != nil {
		return err
	}
	w := s.add(workIn)
	w.dst, w.host, w.bytes = dst, src, int64(len(src))
	return s.unlessLocked(src)
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("CopyOut"); err != nil {
		return err
	}
	if err := s.inside("CopyOut", src, int64(len(dst))); err != nil {
		return err
	}
	w := s.add(workOut)
	w.src, w.host, w.bytes = src, dst, int64(len(dst))
	return s.unlessLocked(dst)
}

// unlessLocked waits for a copy whose host side is ordinary memory.
func (s *stream) unlessLocked(host []byte) error {
	if s.graph != nil || s.dev.locked(host) {
		return nil
	}
	s.flush()
	return s.dev.ok("copy")
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Copy"); err != nil {
		return err
	}
	if err := s.inside("Copy", dst, bytes); err != nil {
		return err
	}
	if err := s.inside("Copy", src, bytes); err != nil {
		return err
	}
	w := s.add(workCopy)
	w.dst, w.src, w.bytes = dst, src, bytes
	return nil
}

func (s *stream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Fill"); err != nil {
		return err
	}
	if err := s.inside("Fill", dst, bytes); err != nil {
		return err
	}
	w := s.add(workFill)
	w.dst, w.value, w.bytes = dst, value, bytes
	return nil
}

// graph is recorded work.
type graph struct {
	dev    *device
	nodes  []work
	closed bool
}

func (g *graph) Close() error {
	g.dev.mu.Lock()
	defer g.dev.mu.Unlock()
	g.dev.flushAll()
	g.closed, g.nodes = true, nil
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
	s.add(workReplay).graph = g
	return nil
}

func (s *stream) Sync() error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Sync"); err != nil {
		return err
	}
	if s.graph != nil {
		return failure("Sync", driver.CodeInvalidValue, "the stream is recording")
	}
	s.flush()
	return s.dev.ok("Sync")
}

func (s *stream) Close() error {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	if !s.dev.closed {
		s.flush()
	}
	s.closed = true
	return nil
}

// event is a moment of the host's clock.
type event struct {
	dev    *device
	stream *stream // that recorded it last
	at     time.Time
}

func (d *device) NewEvent() (driver.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("NewEvent"); err != nil {
		return nil, err
	}
	return &event{dev: d}, nil
}

func (s *stream) Record(e driver.Event) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Record"); err != nil {
		return err
	}
	ev := e.(*event)
	ev.stream, ev.at = s, time.Time{}
	s.add(workRecord).event = ev
	return nil
}

// happen does the work up to the event. The device is locked.
func (e *event) happen() {
	if e.stream != nil && e.stream.graph == nil {
		e.stream.flush()
	}
}

func (s *stream) Wait(e driver.Event) error {
	defer s.dev.mu.Unlock()
	if err := s.ok("Wait"); err != nil {
		return err
	}
	if ev := e.(*event); ev.stream != s {
		ev.happen()
	}
	return nil
}

func (e *event) Since(earlier driver.Event) (float32, error) {
	e.dev.mu.Lock()
	defer e.dev.mu.Unlock()
	o := earlier.(*event)
	e.happen()
	o.happen()
	if err := e.dev.ok("Since"); err != nil {
		return 0, err
	}
	if e.at.IsZero() || o.at.IsZero() {
		return 0, failure("Since", driver.CodeInvalidValue, "an event was not recorded")
	}
	return float32(e.at.Sub(o.at).Seconds() * 1e3), nil
}

func (e *event) Sync() error {
	e.dev.mu.Lock()
	defer e.dev.mu.Unlock()
	e.happen()
	return e.dev.ok("Sync")
}

func (e *event) Close() error { return nil }
