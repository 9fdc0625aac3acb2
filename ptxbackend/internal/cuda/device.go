package cuda

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Numbers of CUdevice_attribute.
const (
	attrClockRate       = 13
	attrMultiprocessors = 16
	attrMemoryClockRate = 36
	attrBusWidth        = 37
	attrL2Bytes         = 38
	attrMajor           = 75
	attrMinor           = 76
	attrSharedPerSM     = 81
	attrSharedOptin     = 97
)

// How the primary context waits (CUctx_flags).
const (
	schedSpin  = 1
	schedYield = 2
	schedBlock = 4
)

// device is an open GPU: its primary context, and all that was made in it.
type device struct {
	lib    *library
	info   driver.Info
	handle uintptr // CUdevice
	ctx    uintptr // CUcontext
	debug  bool    // wait after every launch
	lost   atomic.Bool
	closed atomic.Bool

	mu sync.Mutex // guards made
	made
}

// made is all that Close gives back.
type made struct {
	memory  map[driver.Ptr]int64
	host    []hostBlock // by address
	modules map[*module]struct{}
	streams map[*stream]struct{}
	graphs  map[*graph]struct{}
	events  map[*event]struct{}
}

func newMade() made {
	return made{
		memory: map[driver.Ptr]int64{}, modules: map[*module]struct{}{}, streams: map[*stream]struct{}{},
		graphs: map[*graph]struct{}{}, events: map[*event]struct{}{},
	}
}

// Devices lists the GPUs the driver shows (CUDA_VISIBLE_DEVICES chooses).
func (l *library) Devices() ([]driver.Info, error) {
	c, err := l.caller(nil)
	if err != nil {
		return nil, err
	}
	defer c.release()
	if err := c.call(fnDeviceGetCount, c.out(0)); err != nil {
		if errors.Is(err, driver.ErrNoDriver) && err.(*driver.Error).Code == driver.CodeNoDevice {
			return nil, nil
		}
		return nil, err
	}
	n := int(int32(c.f.out[0]))
	infos := make([]driver.Info, 0, max(n, 0))
	for i := range n {
		_, info, err := c.describe(i)
		if err != nil {
			return infos, explain(err, "GPU %d", i)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// describe asks for everything in Info.
func (c *caller) describe(ordinal int) (handle uintptr, info driver.Info, err error) {
	info.Ordinal = ordinal
	if err := c.call(fnDeviceGet, c.out(0), uintptr(uint32(ordinal))); err != nil {
		return 0, info, err
	}
	handle = uintptr(uint32(c.f.out[0]))
	name := uintptr(unsafe.Pointer(&c.f.name[0]))
	if err := c.call(fnDeviceGetName, name, uintptr(len(c.f.name)), handle); err != nil {
		return 0, info, err
	}
	n := bytes.IndexByte(c.f.name[:], 0)
	info.Name = string(c.f.name[:max(n, 0)])
	_ = c.out(1)
	if err := c.call(fnDeviceGetUUID, c.out(0), handle); err != nil {
		return 0, info, err
	}
	u := unsafe.Slice((*byte)(unsafe.Pointer(&c.f.out[0])), 16)
	info.UUID = fmt.Sprintf("GPU-%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	if err := c.call(fnDeviceTotalMem, c.out(0), handle); err != nil {
		return 0, info, err
	}
	info.Memory = int64(c.f.out[0])
	for _, a := range []struct {
		id uintptr
		to *int
	}{
		{attrMajor, &info.Major}, {attrMinor, &info.Minor}, {attrMultiprocessors, &info.SMs}, {attrL2Bytes, &info.L2},
		{attrSharedOptin, &info.SharedPerBlock}, {attrSharedPerSM, &info.SharedPerSM},
		{attrClockRate, &info.ClockKHz}, {attrMemoryClockRate, &info.MemoryClockKHz}, {attrBusWidth, &info.BusBits},
	} {
		if err := c.call(fnDeviceGetAttribute, c.out(0), a.id, handle); err != nil {
			return 0, info, explain(err, "attribute %d", a.id)
		}
		*a.to = int(int32(c.f.out[0]))
	}
	return handle, info, nil
}

// Open takes the primary context of a GPU, which other CUDA users in the process
// share.
//
// A thread that waits for the GPU spins by default: the driver's blocking wait adds
// tens of microseconds for the interrupt and the wake-up, which a decode step of a
// millisecond would pay every time. SANDWARP_CUDA_WAIT=block gives the core away.
func (l *library) Open(ordinal int) (driver.Device, error) {
	c, err := l.caller(nil)
	if err != nil {
		return nil, err
	}
	defer c.release()
	handle, info, err := c.describe(ordinal)
	if err != nil {
		return nil, explain(err, "GPU %d", ordinal)
	}
	flags, err := waitFlags()
	if err != nil {
		return nil, err
	}
	// A context that is in use already keeps the flags it has.
	if code := c.raw(fnPrimaryCtxSetFlags, handle, flags); code != 0 && code != codeContextActive {
		return nil, c.fail(fnPrimaryCtxSetFlags, code)
	}
	if err := c.call(fnPrimaryCtxRetain, c.out(0), handle); err != nil {
		return nil, explain(err, "GPU %d (%s)", ordinal, info.Name)
	}
	d := &device{
		lib: l, info: info, handle: handle, ctx: uintptr(c.f.out[0]),
		debug: os.Getenv("SANDWARP_CUDA_SYNC") == "1", made: newMade(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened[d.ctx]++
	delete(l.retired, d.ctx)
	return d, nil
}

// waitFlags reads SANDWARP_CUDA_WAIT.
func waitFlags() (uintptr, error) {
	switch s := cmp.Or(os.Getenv("SANDWARP_CUDA_WAIT"), "spin"); s {
	case "spin":
		return schedSpin, nil
	case "yield":
		return schedYield, nil
	case "block":
		return schedBlock, nil
	default:
		return 0, fmt.Errorf("cuda: SANDWARP_CUDA_WAIT=%s: it is spin, yield or block", s)
	}
}

// Info describes the device.
func (d *device) Info() driver.Info { return d.info }

// caller returns one that notes what happens to the device.
func (d *device) caller(op string) (*caller, error) {
	if d.closed.Load() {
		return nil, closedError(op, "device")
	}
	return d.lib.caller(d)
}

// Close waits for the device and gives back everything that was made with it:
// graphs, events, streams, modules, memory, and the context last. On a device that
// was lost the driver refuses, and takes all of it back with the process.
func (d *device) Close() error {
	if d.closed.Load() {
		return nil
	}
	entered := d.Enter()
	if entered == nil {
		defer d.Leave()
	}
	if !d.closed.CompareAndSwap(false, true) {
		return nil
	}
	c, err := d.lib.caller(d)
	if err != nil {
		return err
	}
	defer c.release()
	errs := []error{entered, c.call(fnCtxSynchronize)}
	errs = append(errs, d.destroyAll(c)...)
	errs = append(errs, d.retire(c))
	if d.lost.Load() {
		return nil // whoever lost it has been told
	}
	return errors.Join(errs...)
}

// destroyAll empties the lists of what was made.
func (d *device) destroyAll(c *caller) (errs []error) {
	d.mu.Lock()
	all := d.made
	d.made = newMade()
	d.mu.Unlock()
	for g := range all.graphs {
		errs = append(errs, g.destroy(c))
	}
	for e := range all.events {
		errs = append(errs, e.destroy(c))
	}
	for s := range all.streams {
		errs = append(errs, s.destroy())
	}
	for m := range all.modules {
		errs = append(errs, m.destroy(c))
	}
	for p := range all.memory {
		errs = append(errs, c.call(fnMemFree, uintptr(p)))
	}
	for _, b := range all.host {
		errs = append(errs, c.call(fnMemFreeHost, b.addr))
	}
	return errs
}

// destroyed makes an error of giving something back, which nobody can act on when
// the device is lost.
func (d *device) destroyed(err error) error {
	if err != nil && d.lost.Load() {
		return nil
	}
	return err
}
