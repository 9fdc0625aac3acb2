// Package fake wraps a driver to fail as told and to count what is alive, so that
// what uses a driver can be taken through every way it can fail. Everything else is
// done by the driver it wraps: the emulator, or Inert.
//
// It is stricter than a driver: a device's methods fail outside of Enter, and Leave
// without Enter panics.
package fake

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Op names an operation that can fail.
type Op string

// The operations, in the order of the interfaces.
const (
	Devices      Op = "Devices"
	Open         Op = "Open"
	Enter        Op = "Enter"
	Memory       Op = "Memory"
	Alloc        Op = "Alloc"
	Free         Op = "Free"
	HostAlloc    Op = "HostAlloc"
	HostFree     Op = "HostFree"
	Load         Op = "Load"
	Unload       Op = "Unload"
	Function     Op = "Function"
	SetShared    Op = "SetShared"
	Blocks       Op = "Blocks"
	NewStream    Op = "NewStream"
	NewEvent     Op = "NewEvent"
	Launch       Op = "Launch"
	CopyIn       Op = "CopyIn"
	CopyOut      Op = "CopyOut"
	Copy         Op = "Copy"
	Fill         Op = "Fill"
	BeginCapture Op = "BeginCapture"
	EndCapture   Op = "EndCapture"
	Replay       Op = "Replay"
	Record       Op = "Record"
	Wait         Op = "Wait"
	Sync         Op = "Sync"
	CloseStream  Op = "Stream.Close"
	CloseGraph   Op = "Graph.Close"
	Since        Op = "Since"
	SyncEvent    Op = "Event.Sync"
	CloseEvent   Op = "Event.Close"
	CloseDevice  Op = "Device.Close"
)

// gives are the operations that give something back: they do so even when they
// fail, as the driver's do, and after a loss they succeed.
var gives = map[Op]bool{
	Free: true, HostFree: true, Unload: true, CloseStream: true, CloseGraph: true, CloseEvent: true, CloseDevice: true,
}

// Driver is a driver.Driver that fails as told. It may be used from several
// goroutines.
type Driver struct {
	inner driver.Driver

	mu      sync.Mutex // guards what follows
	plan    []Point
	counts  map[Op]int
	lost    *driver.Error
	live    Live
	atClose Live
}

// Point is a call of an operation, the first is 1, and the code it fails with.
type Point struct {
	Op   Op
	Nth  int
	Code int
}

func (p Point) String() string { return fmt.Sprintf("call %d of %s, code %d", p.Nth, p.Op, p.Code) }

// Live counts what was made and not given back.
type Live struct {
	Devices, Entered, Memory, Host, Modules, Streams, Graphs, Events int
	Bytes                                                            int64 // of Memory
}

// Wrap returns a driver that does what d does until told to fail.
func Wrap(d driver.Driver) *Driver { return &Driver{inner: d, counts: map[Op]int{}} }

// Fail makes the nth call of op from now fail with a CUresult. One that is
// driver.ErrLost makes everything after it fail the same way. Two calls may fail:
// say so twice.
func (d *Driver) Fail(op Op, nth, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan = append(d.plan, Point{op, d.counts[op] + nth, code})
}

// Lose makes everything from now on fail with a code that is driver.ErrLost.
func (d *Driver) Lose(code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = failure("Lose", code)
}

// Count is how often op was called.
func (d *Driver) Count(op Op) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[op]
}

// Live counts what is alive.
func (d *Driver) Live() Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live
}

// AtClose counts what was alive when the last device was closed, and given back by
// that.
func (d *Driver) AtClose() Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.atClose
}

// Leaks is an error that says what is alive, nil for nothing.
func (d *Driver) Leaks() error {
	l := d.Live()
	var left []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{l.Devices, "devices"}, {l.Entered, "Enter without Leave"}, {l.Memory, fmt.Sprintf("allocations (%d bytes)", l.Bytes)},
		{l.Host, "host allocations"}, {l.Modules, "modules"}, {l.Streams, "streams"}, {l.Graphs, "graphs"}, {l.Events, "events"},
	} {
		if c.n != 0 {
			left = append(left, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if left == nil {
		return nil
	}
	return fmt.Errorf("not given back: %s", strings.Join(left, ", "))
}

// step counts a call and returns the error it is to fail with.
func (d *Driver) step(op Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[op]++
	i := slices.IndexFunc(d.plan, func(p Point) bool { return p.Op == op && p.Nth == d.counts[op] })
	switch {
	case d.lost != nil && gives[op]:
		return nil
	case d.lost != nil:
		return d.lost
	case i < 0:
		return nil
	}
	e := failure(op, d.plan[i].Code)
	if e.Is(driver.ErrLost) {
		d.lost = e
	}
	return e
}

// entered is step for what needs the device to be current.
func (d *Driver) entered(op Op) error {
	d.mu.Lock()
	n := d.live.Entered
	d.mu.Unlock()
	if n == 0 && op != CloseDevice {
		e := failure(op, driver.CodeInvalidContext)
		e.Detail = "outside of Enter and Leave"
		return e
	}
	return d.step(op)
}

func failure(op Op, code int) *driver.Error {
	return &driver.Error{Op: string(op), Code: code, Name: "FAKE", Detail: "as told"}
}

// count changes what is alive.
func (d *Driver) count(change func(*Live)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.live)
}

// Version is the wrapped driver's.
func (d *Driver) Version() (cuda, isa int) { return d.inner.Version() }

// Devices lists the wrapped driver's.
func (d *Driver) Devices() ([]driver.Info, error) {
	if err := d.step(Devices); err != nil {
		return nil, err
	}
	return d.inner.Devices()
}

// Open opens the wrapped driver's device.
func (d *Driver) Open(ordinal int) (driver.Device, error) {
	if err := d.step(Open); err != nil {
		return nil, err
	}
	inner, err := d.inner.Open(ordinal)
	if err != nil {
		return nil, err
	}
	d.count(func(l *Live) { l.Devices++ })
	return &device{Device: inner, d: d, memory: map[driver.Ptr]int64{}, open: map[any]bool{}}, nil
}
