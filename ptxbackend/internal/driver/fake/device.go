package fake

import (
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// device counts what is made with the wrapped device.
type device struct {
	driver.Device
	d *Driver

	mu     sync.Mutex // guards what follows
	closed bool
	memory map[driver.Ptr]int64
	host   int
	open   map[any]bool // modules, streams, graphs, events
}

func (v *device) Enter() error {
	if err := v.d.step(Enter); err != nil {
		return err
	}
	err := v.Device.Enter()
	if err == nil {
		v.d.count(func(l *Live) { l.Entered++ })
	}
	return err
}

func (v *device) Leave() {
	v.d.count(func(l *Live) {
		if l.Entered--; l.Entered < 0 {
			panic("fake: Leave without Enter")
		}
	})
	v.Device.Leave()
}

func (v *device) Memory() (free, total int64, err error) {
	if err := v.d.entered(Memory); err != nil {
		return 0, 0, err
	}
	return v.Device.Memory()
}

func (v *device) Alloc(bytes int64) (driver.Ptr, error) {
	if err := v.d.entered(Alloc); err != nil {
		return 0, err
	}
	p, err := v.Device.Alloc(bytes)
	if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.memory[p] = bytes
	v.d.count(func(l *Live) { l.Memory++; l.Bytes += bytes })
	return p, nil
}

func (v *device) Free(p driver.Ptr) error {
	told := v.d.entered(Free)
	v.mu.Lock()
	bytes, ours := v.memory[p]
	delete(v.memory, p)
	v.mu.Unlock()
	if ours {
		v.d.count(func(l *Live) { l.Memory--; l.Bytes -= bytes })
	}
	return first(told, v.Device.Free(p))
}

func (v *device) HostAlloc(bytes int) ([]byte, error) {
	if err := v.d.entered(HostAlloc); err != nil {
		return nil, err
	}
	b, err := v.Device.HostAlloc(bytes)
	if err == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.host++
		v.d.count(func(l *Live) { l.Host++ })
	}
	return b, err
}

func (v *device) HostFree(b []byte) error {
	told := v.d.entered(HostFree)
	err := v.Device.HostFree(b)
	if err == nil && len(b) > 0 {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.host--
		v.d.count(func(l *Live) { l.Host-- })
	}
	return first(told, err)
}

func (v *device) Load(m *ptx.Module) (driver.Module, error) {
	if err := v.d.entered(Load); err != nil {
		return nil, err
	}
	inner, err := v.Device.Load(m)
	if err != nil {
		return nil, err
	}
	out := &module{Module: inner, v: v}
	v.made(out)
	return out, nil
}

func (v *device) NewStream() (driver.Stream, error) {
	if err := v.d.entered(NewStream); err != nil {
		return nil, err
	}
	inner, err := v.Device.NewStream()
	if err != nil {
		return nil, err
	}
	out := &stream{inner: inner, v: v}
	v.made(out)
	return out, nil
}

func (v *device) NewEvent() (driver.Event, error) {
	if err := v.d.entered(NewEvent); err != nil {
		return nil, err
	}
	inner, err := v.Device.NewEvent()
	if err != nil {
		return nil, err
	}
	out := &event{inner: inner, v: v}
	v.made(out)
	return out, nil
}

// Close closes the wrapped device, which gives back what is left.
func (v *device) Close() error {
	told := v.d.step(CloseDevice)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return first(told, v.Device.Close())
	}
	v.closed = true
	var left Live
	for x := range v.open {
		countOf(x)(&left, 1)
	}
	left.Memory, left.Host = len(v.memory), v.host
	for _, n := range v.memory {
		left.Bytes += n
	}
	v.d.mu.Lock()
	l := &v.d.live
	l.Devices--
	l.Memory, l.Bytes, l.Host = l.Memory-left.Memory, l.Bytes-left.Bytes, l.Host-left.Host
	l.Modules, l.Streams, l.Graphs, l.Events = l.Modules-left.Modules, l.Streams-left.Streams, l.Graphs-left.Graphs, l.Events-left.Events
	v.d.atClose = left
	v.d.mu.Unlock()
	clear(v.open)
	clear(v.memory)
	v.host = 0
	return first(told, v.Device.Close())
}

// made and gone keep count of x.
func (v *device) made(x any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open[x] = true
	v.d.count(func(l *Live) { countOf(x)(l, 1) })
}

func (v *device) gone(x any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open[x] {
		delete(v.open, x)
		v.d.count(func(l *Live) { countOf(x)(l, -1) })
	}
}

// countOf is the number of Live that counts x.
func countOf(x any) func(*Live, int) {
	switch x.(type) {
	case *module:
		return func(l *Live, n int) { l.Modules += n }
	case *stream:
		return func(l *Live, n int) { l.Streams += n }
	case *graph:
		return func(l *Live, n int) { l.Graphs += n }
	default:
		return func(l *Live, n int) { l.Events += n }
	}
}

// first is what is told to fail, or else what failed.
func first(told, err error) error {
	if told != nil {
		return told
	}
	return err
}

// module and function pass on to the wrapped ones.
type module struct {
	driver.Module
	v *device
}

type function struct {
	driver.Function
	v *device
}

func (m *module) Function(k *ptx.Kernel) (driver.Function, error) {
	if err := m.v.d.entered(Function); err != nil {
		return nil, err
	}
	f, err := m.Module.Function(k)
	if err != nil {
		return nil, err
	}
	return &function{f, m.v}, nil
}

func (m *module) Unload() error {
	told := m.v.d.entered(Unload)
	m.v.gone(m)
	return first(told, m.Module.Unload())
}

func (f *function) SetShared(bytes int) error {
	if err := f.v.d.entered(SetShared); err != nil {
		return err
	}
	return f.Function.SetShared(bytes)
}

func (f *function) Blocks(threads, shared int) (int, error) {
	if err := f.v.d.entered(Blocks); err != nil {
		return 0, err
	}
	return f.Function.Blocks(threads, shared)
}
