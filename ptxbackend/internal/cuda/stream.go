package cuda

import (
	"errors"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// streamNonBlocking keeps a stream from waiting for the default one.
const streamNonBlocking = 1

// stream is a CUstream, with all it needs to call the driver without allocating.
type stream struct {
	d       *device
	c       *caller
	handle  uintptr
	closed  atomic.Bool
	stage   *staging // made by the first copy of memory that is not page-locked
	capture bool
	names   []string // kernels launched while capturing
	trace   *trace   // what is recorded while capturing when debugging, or nil
}

// NewStream makes a stream.
func (d *device) NewStream() (driver.Stream, error) {
	c, err := d.caller("cuStreamCreate")
	if err != nil {
		return nil, err
	}
	if err := c.call(fnStreamCreate, c.out(0), streamNonBlocking); err != nil {
		c.release()
		return nil, err
	}
	s := &stream{d: d, c: c, handle: uintptr(c.f.out[0])}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.streams[s] = struct{}{}
	return s, nil
}

// ready says why the stream cannot be used, if it cannot.
func (s *stream) ready(fn symbol) error {
	if s.closed.Load() {
		return closedError(fn.String(), "stream")
	}
	return nil
}

// CopyIn copies to the device. From memory of HostAlloc it returns at once;
// anything else is first copied to page-locked memory of the stream's own.
func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	if err := s.ready(fnMemcpyHtoDAsync); err != nil || len(src) == 0 {
		return err
	}
	if !s.d.pinned(src) {
		if s.capture {
			return invalid("cuMemcpyHtoDAsync", "only memory from HostAlloc can be copied in a graph")
		}
		return s.copyStagedIn(dst, src)
	}
	if s.trace != nil {
		s.trace.add(func(s *stream) error { return s.CopyIn(dst, src) })
		return nil
	}
	return s.after(s.c.call(fnMemcpyHtoDAsync, uintptr(dst), address(src), uintptr(len(src)), s.handle))
}

// CopyOut copies from the device: at once for memory of HostAlloc, which has the
// bytes after Sync; else it waits until dst has them.
func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	if err := s.ready(fnMemcpyDtoHAsync); err != nil || len(dst) == 0 {
		return err
	}
	if !s.d.pinned(dst) {
		if s.capture {
			return invalid("cuMemcpyDtoHAsync", "only memory from HostAlloc can be copied in a graph")
		}
		return s.copyStagedOut(dst, src)
	}
	if s.trace != nil {
		s.trace.add(func(s *stream) error { return s.CopyOut(dst, src) })
		return nil
	}
	return s.after(s.c.call(fnMemcpyDtoHAsync, address(dst), uintptr(src), uintptr(len(dst)), s.handle))
}

// Copy copies within the device.
func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	if err := s.ready(fnMemcpyDtoDAsync); err != nil || bytes == 0 {
		return err
	}
	if bytes < 0 {
		return invalid("cuMemcpyDtoDAsync", "%d bytes", bytes)
	}
	if s.trace != nil {
		s.trace.add(func(s *stream) error { return s.Copy(dst, src, bytes) })
		return nil
	}
	return s.after(s.c.call(fnMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), s.handle))
}

// Fill sets bytes of the device.
func (s *stream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	if err := s.ready(fnMemsetD8Async); err != nil || bytes == 0 {
		return err
	}
	if bytes < 0 {
		return invalid("cuMemsetD8Async", "%d bytes", bytes)
	}
	if s.trace != nil {
		s.trace.add(func(s *stream) error { return s.Fill(dst, value, bytes) })
		return nil
	}
	return s.after(s.c.call(fnMemsetD8Async, uintptr(dst), uintptr(value), uintptr(bytes), s.handle))
}

// after waits for what was just queued when debugging, so that its error is its own.
func (s *stream) after(err error) error {
	if err != nil || !s.d.debug || s.capture {
		return err
	}
	return s.c.call(fnStreamSynchronize, s.handle)
}

// Record notes in e that all before has happened.
func (s *stream) Record(e driver.Event) error {
	ev, err := s.event(fnEventRecord, e)
	if err != nil || s.trace != nil {
		return err
	}
	return s.c.call(fnEventRecord, ev.handle, s.handle)
}

// Wait makes what follows wait for e.
func (s *stream) Wait(e driver.Event) error {
	ev, err := s.event(fnStreamWaitEvent, e)
	if err != nil || s.trace != nil {
		return err
	}
	return s.c.call(fnStreamWaitEvent, s.handle, ev.handle, 0)
}

// event checks an event that is to be used with the stream.
func (s *stream) event(fn symbol, e driver.Event) (*event, error) {
	if err := s.ready(fn); err != nil {
		return nil, err
	}
	ev, ok := e.(*event)
	switch {
	case !ok || ev.d != s.d:
		return nil, invalid(fn.String(), "the event is not of this device")
	case ev.closed.Load():
		return nil, closedError(fn.String(), "event")
	}
	return ev, nil
}

// Sync waits for all that was queued.
func (s *stream) Sync() error {
	if err := s.ready(fnStreamSynchronize); err != nil {
		return err
	}
	err := s.c.call(fnStreamSynchronize, s.handle)
	if err != nil && !s.d.debug && errors.Is(err, driver.ErrLost) {
		return explain(err, "set SANDWARP_CUDA_SYNC=1 to learn in which kernel")
	}
	return err
}

// Close gives the stream back; what is queued still happens. Twice is fine.
func (s *stream) Close() error {
	s.d.mu.Lock()
	delete(s.d.streams, s)
	s.d.mu.Unlock()
	err := s.closeStage()
	return s.d.destroyed(errors.Join(err, s.destroy()))
}

func (s *stream) destroy() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer s.c.release()
	err := s.abandon()
	return errors.Join(err, s.c.call(fnStreamDestroy, s.handle))
}
