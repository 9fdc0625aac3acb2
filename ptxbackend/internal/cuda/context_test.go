//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// enters counts how often the context was set.
func (d *double) enters() int { return strings.Count(d.log(), "cuCtxSetCurrent") }

func TestEnterNests(t *testing.T) {
	d := newDouble(t)
	drv, err := Open()
	must(t, err)
	dev, err := drv.Open(0)
	must(t, err)
	if _, err := dev.Alloc(256); err == nil {
		t.Error("Alloc outside of Enter succeeded")
	} else {
		want(t, err, driver.CodeInvalidContext, "between Enter and Leave")
	}
	must(t, dev.Enter())
	must(t, dev.Enter())
	dev.Leave()
	p := alloc(t, dev, 256)
	dev.Leave()
	must(t, dev.Enter()) // still current on this thread
	if n := d.enters(); n != 1 {
		t.Errorf("the context was set %d times, want 1:\n%s", n, d.log())
	}
	must(t, dev.Free(p))
	dev.Leave()
	must(t, dev.Close())
	must(t, dev.Close())
	if d.get("current") != 0 {
		t.Error("a context that is no more is current")
	}
	want(t, dev.Enter(), codeInvalidHandle, "the device was closed")
	d.alive(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Leave without Enter went unnoticed")
			}
		}()
		dev.Leave()
	}()
}

// TestEnterRestores brings back a context of somebody else's.
func TestEnterRestores(t *testing.T) {
	d := newDouble(t)
	drv, err := Open()
	must(t, err)
	dev, err := drv.Open(0)
	must(t, err)
	d.set("current", 12345)
	must(t, dev.Enter())
	must(t, dev.Enter())
	if d.get("current") != d.get("primary") {
		t.Error("Enter did not set the context")
	}
	dev.Leave()
	dev.Leave()
	if got := d.get("current"); got != 12345 {
		t.Errorf("after Leave %d is current, want somebody else's", got)
	}
	must(t, dev.Enter())
	must(t, dev.Close())
	dev.Leave()
	if got := d.get("current"); got != 12345 {
		t.Errorf("after Close %d is current, want somebody else's", got)
	}
	d.alive(t)
}

// TestEnterAgain opens a device again after Close, and twice at once.
func TestEnterAgain(t *testing.T) {
	d := newDouble(t)
	drv, err := Open()
	must(t, err)
	for range 3 {
		a, err := drv.Open(0)
		must(t, err)
		b, err := drv.Open(0)
		must(t, err)
		must(t, a.Enter())
		must(t, b.Enter())
		must(t, a.Close())
		p := alloc(t, b, 1) // b's context is still there
		must(t, b.Free(p))
		b.Leave()
		a.Leave()
		must(t, b.Close())
	}
	d.alive(t)
}

func TestEnterFails(t *testing.T) {
	d := newDouble(t)
	drv, err := Open()
	must(t, err)
	dev, err := drv.Open(0)
	must(t, err)
	for _, name := range []string{"cuCtxGetCurrent", "cuCtxSetCurrent"} {
		d.fail(name, 1, driver.CodeUnknown)
		want(t, dev.Enter(), driver.CodeUnknown, name)
		dev.(*device).lost.Store(false)
	}
	must(t, dev.Enter())
	dev.Leave()
	must(t, dev.Close())
	d.alive(t)
}

// TestConcurrent has several goroutines work at once, each with its own stream.
func TestConcurrent(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	d.set("logging", 0)
	f := load(t, dev, "store")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			must(t, dev.Enter())
			defer dev.Leave()
			s, err := dev.NewStream()
			must(t, err)
			defer s.Close()
			host, err := dev.HostAlloc(4)
			must(t, err)
			for i := range 50 {
				p, err := dev.Alloc(256)
				must(t, err)
				value := uint32(1000*g + i)
				must(t, s.Launch(f, &driver.Launch{Params: params(p, value)}))
				runtime.Gosched()
				must(t, s.CopyOut(host, p))
				must(t, s.Sync())
				if got := le32(host); got != value {
					t.Errorf("goroutine %d: got %d, want %d", g, got, value)
				}
				must(t, dev.Free(p))
			}
			must(t, dev.HostFree(host))
		})
	}
	wg.Wait()
	if n := d.get("stream") + d.get("memory") + d.get("host"); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
