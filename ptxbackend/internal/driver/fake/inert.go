package fake

import (
	"slices"
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Inert is a driver with one device that has memory and does copies at once, and
// whose kernels do nothing: for walks through failures, where results do not matter
// and the emulator would take long. It may be used from several goroutines.
func Inert(info driver.Info, cuda, isa int) driver.Driver { return &inert{info, cuda, isa} }

type inert struct {
	info      driver.Info
	cuda, isa int
}

func (d *inert) Version() (cuda, isa int)        { return d.cuda, d.isa }
func (d *inert) Devices() ([]driver.Info, error) { return []driver.Info{d.info}, nil }
func (d *inert) Open(int) (driver.Device, error) {
	return &inertDevice{info: d.info, next: 1 << 20}, nil
}
func (v *inertDevice) Info() driver.Info             { return v.info }
func (v *inertDevice) Enter() error                  { return nil }
func (v *inertDevice) Leave()                        {}
func (v *inertDevice) HostFree([]byte) error         { return nil }
func (v *inertDevice) Close() error                  { return nil }
func (m inertModule) Unload() error                  { return nil }
func (f inertFunction) SetShared(int) error          { return nil }
func (f inertFunction) Blocks(int, int) (int, error) { return 1, nil }
func (f inertFunction) Resources() driver.Resources {
	return driver.Resources{Registers: 32, Shared: f.k.SharedBytes()}
}

// inertDevice has its memory in blocks, by address.
type inertDevice struct {
	info driver.Info

	mu     sync.Mutex // guards what follows
	blocks []inertBlock
	next   driver.Ptr
	used   int64
}

type inertBlock struct {
	at    driver.Ptr
	bytes []byte
}

type (
	inertModule   struct{}
	inertFunction struct{ k *ptx.Kernel }
	inertEvent    struct{}
	inertGraph    struct{ do []func() error }
)

func (v *inertDevice) Memory() (free, total int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.info.Memory - v.used, v.info.Memory, nil
}

func (v *inertDevice) Alloc(bytes int64) (driver.Ptr, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if bytes <= 0 {
		return 0, failure(Alloc, driver.CodeInvalidValue)
	}
	if bytes > v.info.Memory-v.used {
		return 0, failure(Alloc, driver.CodeOutOfMemory)
	}
	p := v.next
	v.blocks = append(v.blocks, inertBlock{p, make([]byte, bytes)})
	v.next += driver.Ptr((bytes+511)/256) * 256 // one block never touches the next
	v.used += bytes
	return p, nil
}

func (v *inertDevice) Free(p driver.Ptr) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, b := range v.blocks {
		if b.at == p {
			v.used -= int64(len(b.bytes))
			v.blocks = slices.Delete(v.blocks, i, i+1)
			return nil
		}
	}
	if p == 0 {
		return nil
	}
	return failure(Free, driver.CodeInvalidValue)
}

func (v *inertDevice) HostAlloc(bytes int) ([]byte, error) {
	if bytes <= 0 {
		return nil, failure(HostAlloc, driver.CodeInvalidValue)
	}
	return make([]byte, bytes), nil
}

func (v *inertDevice) Load(*ptx.Module) (driver.Module, error)        { return inertModule{}, nil }
func (m inertModule) Function(k *ptx.Kernel) (driver.Function, error) { return inertFunction{k}, nil }
func (v *inertDevice) NewStream() (driver.Stream, error)              { return &inertStream{v: v}, nil }
func (v *inertDevice) NewEvent() (driver.Event, error)                { return inertEvent{}, nil }
func (e inertEvent) Since(driver.Event) (float32, error)              { return 0, nil }
func (e inertEvent) Sync() error                                      { return nil }
func (e inertEvent) Close() error                                     { return nil }
func (g *inertGraph) Close() error                                    { return nil }

// at is n bytes of device memory, or an error.
func (v *inertDevice) at(op Op, p driver.Ptr, n int64) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, b := range v.blocks {
		if p >= b.at && int64(p-b.at)+n <= int64(len(b.bytes)) {
			return b.bytes[p-b.at:][:n], nil
		}
	}
	return nil, failure(op, driver.CodeInvalidValue)
}

// inertStream does its work at once, or records it.
type inertStream struct {
	v     *inertDevice
	graph *inertGraph
}

func (s *inertStream) do(f func() error) error {
	if s.graph != nil {
		s.graph.do = append(s.graph.do, f)
		return nil
	}
	return f()
}

func (s *inertStream) Launch(f driver.Function, l *driver.Launch) error {
	k := f.(inertFunction).k
	if _, size := k.ParamOffsets(); size != len(l.Params) {
		return failure(Launch, driver.CodeInvalidValue)
	}
	return nil
}

func (s *inertStream) CopyIn(dst driver.Ptr, src []byte) error {
	to, err := s.v.at(CopyIn, dst, int64(len(src)))
	if err != nil {
		return err
	}
	return s.do(func() error { copy(to, src); return nil })
}

func (s *inertStream) CopyOut(dst []byte, src driver.Ptr) error {
	from, err := s.v.at(CopyOut, src, int64(len(dst)))
	if err != nil {
		return err
	}
	return s.do(func() error { copy(dst, from); return nil })
}

func (s *inertStream) Copy(dst, src driver.Ptr, bytes int64) error {
	to, err := s.v.at(Copy, dst, bytes)
	if err != nil {
		return err
	}
	from, err := s.v.at(Copy, src, bytes)
	if err != nil {
		return err
	}
	return s.do(func() error { copy(to, from); return nil })
}

func (s *inertStream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	to, err := s.v.at(Fill, dst, bytes)
	if err != nil {
		return err
	}
	return s.do(func() error {
		for i := range to {
			to[i] = value
		}
		return nil
	})
}

func (s *inertStream) BeginCapture() error {
	if s.graph != nil {
		return failure(BeginCapture, driver.CodeInvalidValue)
	}
	s.graph = &inertGraph{}
	return nil
}

func (s *inertStream) EndCapture() (driver.Graph, error) {
	g := s.graph
	if g == nil {
		return nil, failure(EndCapture, driver.CodeInvalidValue)
	}
	s.graph = nil
	return g, nil
}

func (s *inertStream) Replay(g driver.Graph) error {
	for _, f := range g.(*inertGraph).do {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (s *inertStream) Record(driver.Event) error { return nil }
func (s *inertStream) Wait(driver.Event) error   { return nil }
func (s *inertStream) Sync() error               { return nil }
func (s *inertStream) Close() error              { s.graph = nil; return nil }
