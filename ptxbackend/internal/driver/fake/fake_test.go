package fake

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func wrapInert() *Driver {
	return Wrap(Inert(driver.Info{Name: "none", Major: 9, Memory: 1 << 20}, 13000, 90))
}

var testKernel = &ptx.Kernel{Name: "k", Params: []ptx.Param{{Name: "p", Type: ptx.U64}}}

// careful uses everything, checks results, and gives all back whatever fails.
func careful(d driver.Driver) (err error) {
	note := func(e error) { err = errors.Join(err, e) }
	if _, err := d.Devices(); err != nil {
		return err
	}
	v, err := d.Open(0)
	if err != nil {
		return err
	}
	defer func() { note(v.Close()) }()
	if err := v.Enter(); err != nil {
		return err
	}
	defer v.Leave()
	if _, _, err := v.Memory(); err != nil {
		return err
	}
	m, err := v.Load(&ptx.Module{Target: ptx.SM80, Kernels: []*ptx.Kernel{testKernel}})
	if err != nil {
		return err
	}
	defer func() { note(m.Unload()) }()
	f, err := m.Function(testKernel)
	if err != nil {
		return err
	}
	_, blocks := f.Blocks(32, 0)
	if err := errors.Join(blocks, f.SetShared(1)); err != nil {
		return err
	}
	p, err := v.Alloc(1000)
	if err != nil {
		return err
	}
	defer func() { note(v.Free(p)) }()
	h, err := v.HostAlloc(1000)
	if err != nil {
		return err
	}
	defer func() { note(v.HostFree(h)) }()
	s, err := v.NewStream()
	if err != nil {
		return err
	}
	defer func() { note(s.Close()) }()
	e, err := v.NewEvent()
	if err != nil {
		return err
	}
	defer func() { note(e.Close()) }()
	return use(s, e, f, p, h)
}

func use(s driver.Stream, e driver.Event, f driver.Function, p driver.Ptr, h []byte) (err error) {
	if err := s.BeginCapture(); err != nil {
		return err
	}
	err = errors.Join(s.Fill(p, 7, 10), s.Copy(p+100, p, 10), s.Launch(f, &driver.Launch{Params: make([]byte, 8)}))
	g, e2 := s.EndCapture()
	if e2 == nil {
		defer func() { err = errors.Join(err, g.Close()) }()
	}
	if err := errors.Join(err, e2); err != nil {
		return err
	}
	want := bytes.Repeat([]byte{7}, 10)
	if err := errors.Join(s.CopyIn(p, make([]byte, 200)), s.Replay(g), s.Record(e), s.Wait(e), s.CopyOut(h[:10], p+100), s.Sync(), e.Sync()); err != nil {
		return err
	}
	if _, err := e.Since(e); err != nil {
		return err
	}
	if !bytes.Equal(h[:10], want) {
		return fmt.Errorf("got %v", h[:10])
	}
	return nil
}

// TestWalk takes a careful user through every failure: it hears of each and leaves
// nothing.
func TestWalk(t *testing.T) {
	seen := map[Op]bool{}
	err := Walk(wrapInert, careful, []int{driver.CodeInvalidValue, driver.CodeOutOfMemory, driver.CodeLaunchFailed}, 0, func(p Point, err, leaks error) {
		seen[p.Op] = true
		var e *driver.Error
		if !errors.As(err, &e) || e.Op != string(p.Op) || e.Code != p.Code {
			t.Errorf("%v: got %v", p, err)
		}
		if leaks != nil {
			t.Errorf("%v: %v", p, leaks)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 32 {
		t.Errorf("%d of 32 operations were failed: %v", len(seen), seen)
	}
}

// TestWalkFindsLeaks walks a careless user.
func TestWalkFindsLeaks(t *testing.T) {
	careless := func(d driver.Driver) error {
		v, err := d.Open(0)
		if err != nil {
			return err
		}
		if err := v.Enter(); err != nil {
			return err
		}
		p, err := v.Alloc(10)
		if err != nil {
			return err
		}
		v.Leave()
		if err := v.Enter(); err != nil {
			return err
		}
		defer v.Leave()
		return errors.Join(v.Free(p), v.Close())
	}
	var leaks []string
	if err := Walk(wrapInert, careless, []int{1}, 1, func(p Point, _, l error) {
		if l != nil {
			leaks = append(leaks, fmt.Sprintf("%s: %v", p.Op, l))
		}
	}); err != nil {
		t.Fatal(err)
	}
	want := "Alloc: not given back: 1 devices, 1 Enter without Leave; Enter: not given back: 1 devices, 1 allocations (10 bytes)"
	if got := strings.Join(leaks, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	broken := errors.New("broken")
	if err := Walk(wrapInert, func(driver.Driver) error { return broken }, []int{1}, 1, nil); !errors.Is(err, broken) {
		t.Errorf("a run that fails by itself: %v", err)
	}
}

// TestLost checks that a loss stays, and lets everything be given back.
func TestLost(t *testing.T) {
	d := wrapInert()
	v, err := d.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Alloc(1); err == nil {
		t.Error("Alloc outside of Enter succeeded")
	}
	if err := v.Enter(); err != nil {
		t.Fatal(err)
	}
	p, err := v.Alloc(1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	d.Fail(Sync, 2, driver.CodeIllegalAddress)
	if err := s.Sync(); err != nil {
		t.Errorf("the first Sync: %v", err)
	}
	for range 2 {
		if err := s.Sync(); !errors.Is(err, driver.ErrLost) {
			t.Errorf("Sync: %v", err)
		}
	}
	if _, err := v.Alloc(1); !errors.Is(err, driver.ErrLost) {
		t.Errorf("Alloc: %v", err)
	}
	if err := errors.Join(v.Free(p), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := v.NewEvent(); !errors.Is(err, driver.ErrLost) {
		t.Errorf("NewEvent: %v", err)
	}
	v.Leave()
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Leaks(); err != nil {
		t.Error(err)
	}
}

// TestAtClose counts what only Close gave back.
func TestAtClose(t *testing.T) {
	d := wrapInert()
	v, _ := d.Open(0)
	_ = v.Enter()
	_, err1 := v.Alloc(300)
	_, err2 := v.NewStream()
	_, err3 := v.HostAlloc(1)
	v.Leave()
	if err := errors.Join(err1, err2, err3, v.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	if got, want := d.AtClose(), (Live{Memory: 1, Bytes: 300, Streams: 1, Host: 1}); got != want {
		t.Errorf("at Close %+v, want %+v", got, want)
	}
	if got := d.Live(); got != (Live{}) {
		t.Errorf("left %+v", got)
	}
	if d.Count(Alloc) != 1 || d.Count(Launch) != 0 {
		t.Error("miscounted")
	}
	d.Lose(driver.CodeUnknown)
	if _, err := d.Open(0); !errors.Is(err, driver.ErrLost) {
		t.Errorf("Open: %v", err)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		n, most int
		want    string
	}{{0, 3, "[]"}, {3, 0, "[1 2 3]"}, {3, 5, "[1 2 3]"}, {100, 3, "[1 50 100]"}, {9, 1, "[9]"}} {
		if got := fmt.Sprint(spread(c.n, c.most)); got != c.want {
			t.Errorf("spread(%d, %d) = %s, want %s", c.n, c.most, got, c.want)
		}
	}
}
