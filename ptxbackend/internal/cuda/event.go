package cuda

import (
	"math"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// eventNoTiming is CU_EVENT_DISABLE_TIMING.
const eventNoTiming = 2

// event is a CUevent.
type event struct {
	d      *device
	handle uintptr
	closed atomic.Bool
}

// NewEvent makes an event that keeps the time.
func (d *device) NewEvent() (driver.Event, error) {
	e, err := d.newEvent(0)
	if err != nil {
		return nil, err // not a nil *event in an interface
	}
	return e, nil
}

func (d *device) newEvent(flags uintptr) (*event, error) {
	c, err := d.caller("cuEventCreate")
	if err != nil {
		return nil, err
	}
	defer c.release()
	if err := c.call(fnEventCreate, c.out(0), flags); err != nil {
		return nil, err
	}
	e := &event{d: d, handle: uintptr(c.f.out[0])}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events[e] = struct{}{}
	return e, nil
}

// Since is the time from earlier to e in milliseconds, once both have happened.
func (e *event) Since(earlier driver.Event) (float32, error) {
	from, ok := earlier.(*event)
	if !ok || from.d != e.d {
		return 0, invalid("cuEventElapsedTime", "the events are not of the same device")
	}
	if e.closed.Load() || from.closed.Load() {
		return 0, closedError("cuEventElapsedTime", "event")
	}
	c, err := e.d.caller("cuEventElapsedTime")
	if err != nil {
		return 0, err
	}
	defer c.release()
	if err := c.call(fnEventElapsedTime, c.out(0), from.handle, e.handle); err != nil {
		if err.(*driver.Error).Code == codeNotReady {
			return 0, explain(err, "the events have not happened yet: call Sync first")
		}
		return 0, err
	}
	return math.Float32frombits(uint32(c.f.out[0])), nil
}

// Sync waits until the event has happened.
func (e *event) Sync() error {
	if e.closed.Load() {
		return closedError("cuEventSynchronize", "event")
	}
	c, err := e.d.caller("cuEventSynchronize")
	if err != nil {
		return err
	}
	defer c.release()
	return c.call(fnEventSynchronize, e.handle)
}

// Close gives the event back; twice is fine.
func (e *event) Close() error {
	c, err := e.d.lib.caller(e.d)
	if err != nil {
		return err
	}
	defer c.release()
	e.d.mu.Lock()
	delete(e.d.events, e)
	e.d.mu.Unlock()
	return e.d.destroyed(e.destroy(c))
}

func (e *event) destroy(c *caller) error {
	if !e.closed.CompareAndSwap(false, true) {
		return nil
	}
	return c.call(fnEventDestroy, e.handle)
}
