package cuda

import (
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// What fits a launch: 4 KiB of parameters is what every driver takes.
const (
	maxParams     = 128
	maxParamBytes = 4096
)

// launchConfig is CUlaunchConfig, 56 bytes.
type launchConfig struct {
	grid, block [3]uint32
	shared      uint32
	_           uint32
	stream      uintptr
	attrs       uintptr // to launchAttributes
	numAttrs    uint32
	_           uint32
}

// launchAttribute is CUlaunchAttribute, 72 bytes; its value is a union.
type launchAttribute struct {
	id    uint32
	_     uint32
	value [16]uint32
}

// frame is what the driver reads and writes in a call. It lies outside the Go heap.
type frame struct {
	params [maxParamBytes]byte // first, as it is copied with wide moves
	config launchConfig
	attr   launchAttribute
	out    [4]uint64
	ptr    unsafe.Pointer // where the driver returns a pointer
	args   [maxParams]uintptr
	name   [256]byte
}

// caller calls the driver for one goroutine at a time.
type caller struct {
	lib  *library
	dev  *device // that is called for, or nil
	f    *frame
	args [12]uintptr
}

// caller returns one that is not in use.
func (l *library) caller(d *device) (*caller, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.callers); n > 0 {
		c := l.callers[n-1]
		l.callers = l.callers[:n-1]
		c.dev = d
		return c, nil
	}
	b, err := mapMemory(int(unsafe.Sizeof(frame{})))
	if err != nil {
		return nil, err
	}
	return &caller{lib: l, dev: d, f: (*frame)(unsafe.Pointer(unsafe.SliceData(b)))}, nil
}

// release lets others use the caller.
func (c *caller) release() {
	c.lib.mu.Lock()
	defer c.lib.mu.Unlock()
	c.dev = nil
	c.lib.callers = append(c.lib.callers, c)
}

// out is the address of the n-th place for a result, zeroed.
func (c *caller) out(n int) uintptr {
	c.f.out[n] = 0
	return uintptr(unsafe.Pointer(&c.f.out[n]))
}

// ptr is the address of the place for a pointer, zeroed.
func (c *caller) ptr() uintptr {
	c.f.ptr = nil
	return uintptr(unsafe.Pointer(&c.f.ptr))
}

// cstring puts a name where the driver can read it, at most 255 bytes of it.
func (c *caller) cstring(s string) uintptr {
	n := copy(c.f.name[:len(c.f.name)-1], s)
	c.f.name[n] = 0
	return uintptr(unsafe.Pointer(&c.f.name[0]))
}

// raw calls a function, which the library has, and returns its CUresult.
func (c *caller) raw(fn symbol, args ...uintptr) int {
	n := copy(c.args[:], args)
	return int(int32(invoke(c.lib.fn[fn], c.args[:n])))
}

// call calls a function and makes an error of its CUresult.
func (c *caller) call(fn symbol, args ...uintptr) error {
	n := copy(c.args[:], args)
	if code := int(int32(invoke(c.lib.fn[fn], c.args[:n]))); code != 0 {
		return c.fail(fn, code)
	}
	return nil
}

// fail describes a CUresult, and notes if the device is lost by it.
func (c *caller) fail(fn symbol, code int) error {
	e := &driver.Error{Op: fn.String(), Code: code, Name: c.errorName(code), Detail: advice(code)}
	if c.dev != nil && e.Is(driver.ErrLost) && code != driver.CodeInvalidContext {
		c.dev.lost.Store(true)
	}
	return e
}
