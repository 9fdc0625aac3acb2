//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

func TestMemory(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	free, total, err := dev.Memory()
	must(t, err)
	if free != 1<<30 || total != 1<<30 {
		t.Errorf("%d of %d are free", free, total)
	}
	p := alloc(t, dev, 1000)
	if p == 0 || p%256 != 0 {
		t.Errorf("address %#x", uint64(p))
	}
	if free, _, _ := dev.Memory(); free != 1<<30-1000 {
		t.Errorf("%d are free", free)
	}
	_, err = dev.Alloc(2 << 30)
	want(t, err, driver.CodeOutOfMemory, "2048.0 MiB were asked for", "1024.0 MiB are free")
	if !errors.Is(err, driver.ErrNoMemory) || errors.Is(err, driver.ErrLost) {
		t.Errorf("%v does not match ErrNoMemory alone", err)
	}
	d.fail("cuMemGetInfo_v2", 1, driver.CodeInvalidValue)
	_, err = dev.Alloc(2 << 30)
	want(t, err, driver.CodeOutOfMemory, "2048.0 MiB were asked for")
	_, err = dev.Alloc(0)
	want(t, err, driver.CodeInvalidValue, "0 bytes")
	must(t, dev.Free(p))
	want(t, dev.Free(p), driver.CodeInvalidValue, "freed before")
	must(t, dev.Free(0))
}

func TestHostMemory(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	a, err := dev.HostAlloc(100)
	must(t, err)
	if len(a) != 100 || !bytes.Equal(a, make([]byte, 100)) {
		t.Errorf("%d bytes: %v", len(a), a)
	}
	b, err := dev.HostAlloc(5000)
	must(t, err)
	for _, c := range []struct {
		name string
		mem  []byte
		want bool
	}{
		{"all", a, true}, {"part", a[10:20], true}, {"end", b[4999:], true}, {"heap", make([]byte, 4), false}, {"first of the other", b[:1], true},
	} {
		if got := dev.pinned(c.mem); got != c.want {
			t.Errorf("%s: pinned is %v", c.name, got)
		}
	}
	d.fail("cuMemHostAlloc", 1, driver.CodeOutOfMemory)
	_, err = dev.HostAlloc(1 << 20)
	want(t, err, driver.CodeOutOfMemory, "1.0 MiB of page-locked")
	_, err = dev.HostAlloc(-1)
	want(t, err, driver.CodeInvalidValue)
	must(t, dev.HostFree(a))
	want(t, dev.HostFree(a), driver.CodeInvalidValue, "not from HostAlloc")
	want(t, dev.HostFree(b[1:]), driver.CodeInvalidValue)
	must(t, dev.HostFree(b))
	must(t, dev.HostFree(nil))
}

// TestCopies takes bytes to the device and back by every way, in sizes around the
// halves of the staging memory.
func TestCopies(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	s := newStream(t, dev)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 4095, stageBytes - 1, stageBytes, stageBytes + 1, 2 * stageBytes, 3*stageBytes + 17} {
		heap := make([]byte, n)
		for i := range heap {
			heap[i] = byte(rng.Uint32())
		}
		p, q := alloc(t, dev, int64(n)), alloc(t, dev, int64(n))
		must(t, s.CopyIn(p, heap))
		sent := bytes.Clone(heap)
		clear(heap) // CopyIn is done with it
		must(t, s.Copy(q, p, int64(n)))
		back := make([]byte, n)
		must(t, s.CopyOut(back, q)) // has it without Sync
		if !bytes.Equal(back, sent) {
			t.Errorf("%d bytes through staging differ", n)
		}
		host, err := dev.HostAlloc(n)
		must(t, err)
		must(t, s.CopyOut(host, p))
		must(t, s.Sync())
		if !bytes.Equal(host, sent) {
			t.Errorf("%d bytes to page-locked memory differ", n)
		}
		must(t, s.Fill(p, 0x5c, int64(n)))
		must(t, s.CopyIn(q, host))
		must(t, s.CopyOut(host, p))
		must(t, s.CopyOut(back, q))
		must(t, s.Sync())
		if !bytes.Equal(back, sent) || host[n-1] != 0x5c || host[0] != 0x5c {
			t.Errorf("%d bytes from page-locked memory differ", n)
		}
		must(t, errors.Join(dev.Free(p), dev.Free(q), dev.HostFree(host)))
	}
	must(t, errors.Join(s.CopyIn(1, nil), s.CopyOut(nil, 1), s.Copy(1, 1, 0), s.Fill(1, 1, 0)))
	want(t, s.Copy(1, 1, -1), driver.CodeInvalidValue)
	want(t, s.Fill(1, 1, -1), driver.CodeInvalidValue)
	must(t, s.Close())
	if n := d.get("host") + d.get("event") + d.get("stream"); n != 0 {
		t.Errorf("%d things of the stream are left", n)
	}
}
