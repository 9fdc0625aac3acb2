//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"errors"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// work does something of everything and gives it all back, whatever fails.
func work() (err error) {
	note := func(e error) { err = errors.Join(err, e) }
	drv, err := Open()
	if err != nil {
		return err
	}
	if _, err := drv.Devices(); err != nil {
		return err
	}
	dev, err := drv.Open(0)
	if err != nil {
		return err
	}
	defer func() { note(dev.Close()) }()
	if err := dev.Enter(); err != nil {
		return err
	}
	defer dev.Leave()
	if _, _, err := dev.Memory(); err != nil {
		return err
	}
	k := kernel("store")
	m, err := dev.Load(moduleOf(k))
	if err != nil {
		return err
	}
	defer func() { note(m.Unload()) }()
	f, err := m.Function(k)
	if err != nil {
		return err
	}
	if _, err := f.Blocks(128, 0); err != nil {
		return err
	}
	if err := f.SetShared(50000); err != nil {
		return err
	}
	p, err := dev.Alloc(4096)
	if err != nil {
		return err
	}
	defer func() { note(dev.Free(p)) }()
	host, err := dev.HostAlloc(64)
	if err != nil {
		return err
	}
	defer func() { note(dev.HostFree(host)) }()
	s, err := dev.NewStream()
	if err != nil {
		return err
	}
	defer func() { note(s.Close()) }()
	a, err := dev.NewEvent()
	if err != nil {
		return err
	}
	defer func() { note(a.Close()) }()
	b, err := dev.NewEvent()
	if err != nil {
		return err
	}
	defer func() { note(b.Close()) }()
	return run(s, f, p, host, a, b)
}

// run is the part of work with a stream.
func run(s driver.Stream, f driver.Function, p driver.Ptr, host []byte, a, b driver.Event) (err error) {
	heap := make([]byte, 64)
	l := &driver.Launch{Params: params(p, 1), Dependent: true}
	if err := s.BeginCapture(); err != nil {
		return err
	}
	if err := errors.Join(s.Launch(f, l), s.Fill(p, 1, 4)); err != nil {
		g, e := s.EndCapture()
		if g != nil {
			e = errors.Join(e, g.Close())
		}
		return errors.Join(err, e)
	}
	g, err := s.EndCapture()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	for _, step := range []func() error{
		func() error { return s.Record(a) },
		func() error { return s.Wait(a) },
		func() error { return s.CopyIn(p, heap) },
		func() error { return s.CopyIn(p, host) },
		func() error { return s.Launch(f, l) },
		func() error { return s.Replay(g) },
		func() error { return s.Copy(p+64, p, 64) },
		func() error { return s.CopyOut(heap, p) },
		func() error { return s.CopyOut(host, p) },
		func() error { return s.Record(b) },
		b.Sync,
		func() error { return second(b.Since(a)) },
		s.Sync,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// TestEveryFailure fails each call of the driver in turn: the error must come up
// and name the function, and everything else must be given back.
func TestEveryFailure(t *testing.T) {
	// What a failure of these leaves is exactly what could not be given back.
	leaves := map[string]string{
		"cuMemFree_v2": "memory", "cuMemFreeHost": "host", "cuEventDestroy_v2": "event", "cuStreamDestroy_v2": "stream",
		"cuGraphExecDestroy": "exec", "cuGraphDestroy": "graph", "cuModuleUnload": "module",
		"cuDevicePrimaryCtxRelease_v2": "retained",
	}
	d := newDouble(t)
	must(t, work())
	calls := map[string]int{}
	for line := range strings.Lines(d.log()) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "cu") {
			calls[name]++
		}
	}
	if len(calls) < int(symbols)-3 { // cuGetErrorName logs nothing; cuLaunchKernel is for old drivers
		t.Errorf("work calls %d of %d functions: %v", len(calls), symbols, calls)
	}
	for name, n := range calls {
		for i := range n {
			d := newDouble(t)
			d.fail(name, i+1, driver.CodeInvalidValue)
			err := work()
			if err == nil {
				t.Errorf("call %d of %s failed, and nobody heard", i+1, name)
			}
			if err != nil && !strings.Contains(err.Error(), strings.TrimSuffix(name, "_v2")) {
				t.Errorf("call %d of %s: %v does not name it", i+1, name, err)
			}
			for _, k := range []string{"stream", "event", "module", "graph", "exec", "memory", "host", "retained"} {
				most := 0
				if leaves[name] == k {
					most = 1
				}
				if got := d.get(k); got > most {
					t.Errorf("call %d of %s: %d of %s are left", i+1, name, got, k)
				}
			}
		}
	}
}
