//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// TestLaunch checks what C sees of a launch.
func TestLaunch(t *testing.T) {
	const hex = " params 0100000000000000 efbeadde 7461696c21\n"
	l := &driver.Launch{Grid: [3]uint32{7, 2}, Block: [3]uint32{128, 1, 3}, Shared: 4096, Params: params(1, 0xdeadbeef), Dependent: true}
	plain := *l
	plain.Dependent = false
	for _, c := range []struct {
		name           string
		version, major int
		l              *driver.Launch
		want           string
	}{
		{"dependent", 13000, 9, l, "attrs 1\n attr 6=1" + hex},
		{"not asked for", 13000, 9, &plain, "attrs 0\n" + hex},
		{"not on this GPU", 13000, 8, l, "attrs 0\n" + hex},
		{"not with this driver", 11070, 9, l, "attrs 0\n" + hex},
		{"ones for zeroes", 13000, 9, &driver.Launch{Params: l.Params}, "grid 1 1 1 block 1 1 1 shared 0 attrs 0\n" + hex},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDouble(t)
			d.set("version", c.version)
			d.set("major", c.major)
			_, dev := d.open(t)
			f := load(t, dev, "idle")
			s := newStream(t, dev)
			d.clear()
			must(t, s.Launch(f, c.l))
			d.has(t, "cuLaunchKernelEx idle ", c.want)
			if c.l == l {
				d.has(t, "grid 7 2 1 block 128 1 3 shared 4096")
			}
		})
	}
	t.Run("does not wait", func(t *testing.T) {
		d := newDouble(t)
		_, dev := d.open(t)
		k := kernel("idle")
		k.Body = k.Body[1:]
		m, err := dev.Load(moduleOf(k))
		must(t, err)
		f, err := m.Function(k)
		must(t, err)
		must(t, newStream(t, dev).Launch(f, l))
		d.has(t, "cuLaunchKernelEx idle ", "attrs 0\n"+hex)
	})
	t.Run("without cuLaunchKernelEx", func(t *testing.T) {
		d := newDouble(t, "-DOLD")
		d.set("version", 11040)
		_, dev := d.open(t)
		f := load(t, dev, "idle")
		s := newStream(t, dev)
		must(t, s.Launch(f, l))
		d.has(t, "cuLaunchKernel idle grid 7 2 1 block 128 1 3 shared 4096\n"+hex)
	})
}

func TestLaunchMisuse(t *testing.T) {
	d := newDouble(t)
	lib, dev := d.open(t)
	other, err := lib.Open(0)
	must(t, err)
	must(t, other.Enter())
	foreign := load(t, other, "store")
	f := load(t, dev, "store")
	s := newStream(t, dev)
	want(t, s.Launch(foreign, &driver.Launch{Params: params(1, 1)}), driver.CodeInvalidValue, "not of this device")
	want(t, s.Launch(nil, &driver.Launch{}), driver.CodeInvalidValue)
	want(t, s.Launch(f, &driver.Launch{Params: make([]byte, 20)}), driver.CodeInvalidValue, "store takes 21 bytes", "not 20")
	want(t, s.Launch(f, &driver.Launch{Params: params(1, 1), Shared: -1}), driver.CodeInvalidValue)
	d.fail("cuLaunchKernelEx", 1, driver.CodeLaunchResources)
	want(t, s.Launch(f, &driver.Launch{Params: params(1, 1), Grid: [3]uint32{5}, Shared: 70000}), driver.CodeLaunchResources, "kernel store, grid [5 1 1]", "70000 bytes", "more registers")
	must(t, f.(*function).m.Unload())
	want(t, s.Launch(f, &driver.Launch{Params: params(1, 1)}), codeInvalidHandle, "module of store was closed")
	must(t, other.Close())
	other.Leave()
}

// TestGraph records stores and replays them.
func TestGraph(t *testing.T) {
	for _, debug := range []string{"", "1"} {
		t.Run("debug="+debug, func(t *testing.T) {
			d := newDouble(t)
			t.Setenv("SANDWARP_CUDA_SYNC", debug)
			_, dev := d.open(t)
			f := load(t, dev, "store")
			s := newStream(t, dev)
			p := alloc(t, dev, 4096)
			in, err := dev.HostAlloc(4)
			must(t, err)
			out, err := dev.HostAlloc(16)
			must(t, err)
			must(t, s.BeginCapture())
			want(t, s.BeginCapture(), driver.CodeInvalidValue, "recording already")
			must(t, s.Fill(p, 0xff, 16))
			block := params(p, 77)
			must(t, s.Launch(f, &driver.Launch{Params: block, Dependent: true}))
			clear(block) // it was copied
			must(t, s.CopyIn(p+4, in))
			must(t, s.Copy(p+8, p+4, 4))
			must(t, s.CopyOut(out, p))
			want(t, s.CopyIn(p, make([]byte, 4)), driver.CodeInvalidValue, "HostAlloc")
			want(t, s.CopyOut(make([]byte, 4), p), driver.CodeInvalidValue, "HostAlloc")
			g, err := s.EndCapture()
			must(t, err)
			must(t, s.Sync())
			if le32(out) != 0 {
				t.Error("recording did something")
			}
			for i := range 3 {
				in[0] = byte(i + 1)
				must(t, s.Replay(g))
				must(t, s.Sync())
				if got := fmt.Sprint(le32(out), out[4], out[8], out[12]); got != fmt.Sprint(77, i+1, i+1, 255) {
					t.Errorf("replay %d: got %s", i, got)
				}
			}
			if debug == "" {
				d.has(t, "cuStreamBeginCapture_v2 1", "cuStreamEndCapture", "cuGraphInstantiateWithFlags 0", "cuGraphDestroy", "cuGraphUpload", "cuGraphLaunch")
			}
			must(t, g.Close())
			must(t, g.Close())
			want(t, s.Replay(g), codeInvalidHandle, "graph was closed")
			_, err = s.EndCapture()
			want(t, err, driver.CodeInvalidValue, "BeginCapture first")
			if n := d.get("graph") + d.get("exec"); n != 0 {
				t.Errorf("%d graphs are left", n)
			}
		})
	}
}

// TestGraphDependent checks that a driver that cannot record overlap is not asked to.
func TestGraphDependent(t *testing.T) {
	for version, attrs := range map[int]string{12020: "attrs 0", 12030: "attrs 1"} {
		t.Run(cudaName(version), func(t *testing.T) {
			d := newDouble(t)
			d.set("version", version)
			_, dev := d.open(t)
			f, s := load(t, dev, "idle"), newStream(t, dev)
			must(t, s.BeginCapture())
			d.clear()
			must(t, s.Launch(f, &driver.Launch{Params: params(1, 1), Dependent: true}))
			d.has(t, attrs)
			must(t, s.Close()) // while recording
			d.has(t, "cuStreamEndCapture", "cuGraphDestroy", "cuStreamDestroy_v2")
			if n := d.get("graph"); n != 0 {
				t.Errorf("%d graphs are left", n)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	s := newStream(t, dev)
	a, err := dev.NewEvent()
	must(t, err)
	b, err := dev.NewEvent()
	must(t, err)
	must(t, s.Record(a))
	must(t, s.Record(b))
	_, err = b.Since(a)
	want(t, err, codeNotReady, "call Sync first")
	must(t, b.Sync())
	if ms, err := b.Since(a); ms != 1.5 || err != nil {
		t.Errorf("%v ms, %v", ms, err)
	}
	must(t, s.Wait(a))
	d.has(t, "cuStreamWaitEvent 0")
	want(t, s.Record(nil), driver.CodeInvalidValue)
	must(t, a.Close())
	must(t, a.Close())
	want(t, s.Record(a), codeInvalidHandle, "event was closed")
	want(t, s.Wait(a), codeInvalidHandle)
	want(t, a.Sync(), codeInvalidHandle)
	_, err = b.Since(a)
	want(t, err, codeInvalidHandle)
	_, err = b.Since(nil)
	want(t, err, driver.CodeInvalidValue)
	must(t, s.Close())
	must(t, s.Close())
	want(t, s.Sync(), codeInvalidHandle, "stream was closed")
}

// TestLost breaks the device: the error comes late, stays, and Close is quiet.
func TestLost(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	fault, store := load(t, dev, "fault"), load(t, dev, "store")
	s := newStream(t, dev)
	p := alloc(t, dev, 256)
	must(t, s.Launch(fault, &driver.Launch{Params: params(p, 0)}))
	err := s.Sync()
	want(t, err, driver.CodeIllegalAddress, "outside of its memory", "SANDWARP_CUDA_SYNC=1")
	if !errors.Is(err, driver.ErrLost) {
		t.Errorf("%v does not match ErrLost", err)
	}
	for name, err := range map[string]error{
		"Launch": s.Launch(store, &driver.Launch{Params: params(p, 0)}), "CopyIn": s.CopyIn(p, []byte{1}), "Sync": s.Sync(),
	} {
		if !errors.Is(err, driver.ErrLost) {
			t.Errorf("%s after the loss: %v", name, err)
		}
	}
	must(t, dev.Free(p))
	must(t, s.Close())
	must(t, dev.Close())
	if d.get("retained") != 0 {
		t.Error("the context was kept")
	}
}

// TestDebug names the kernel that fails, also within a graph.
func TestDebug(t *testing.T) {
	d := newDouble(t)
	t.Setenv("SANDWARP_CUDA_SYNC", "1")
	_, dev := d.open(t)
	store, fault := load(t, dev, "store"), load(t, dev, "fault")
	p := alloc(t, dev, 256)
	s := newStream(t, dev)
	must(t, s.BeginCapture())
	must(t, s.Launch(store, &driver.Launch{Params: params(p, 5)}))
	must(t, s.Launch(fault, &driver.Launch{Params: params(p, 6), Grid: [3]uint32{3}}))
	g, err := s.EndCapture()
	must(t, err)
	want(t, s.Replay(g), driver.CodeIllegalAddress, "step 2 of 2", "in kernel fault, grid [3 1 1]", "32 registers")
}

// TestReplayFails names the graph.
func TestReplayFails(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	f, s := load(t, dev, "idle"), newStream(t, dev)
	must(t, s.BeginCapture())
	for range 6 {
		must(t, s.Launch(f, &driver.Launch{Params: params(1, 1)}))
	}
	g, err := s.EndCapture()
	must(t, err)
	d.fail("cuGraphLaunch", 1, driver.CodeLaunchFailed)
	want(t, s.Replay(g), driver.CodeLaunchFailed, "a graph of 6 launches (idle, idle, idle, idle, ...)")
}

// TestNoAllocations counts the allocations of what a step does.
func TestNoAllocations(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	d.set("logging", 0)
	f, s := load(t, dev, "store"), newStream(t, dev)
	p := alloc(t, dev, 4096)
	host, err := dev.HostAlloc(64)
	must(t, err)
	heap := make([]byte, 64)
	l := &driver.Launch{Params: params(p, 1), Dependent: true}
	must(t, s.BeginCapture())
	must(t, s.Launch(f, l))
	g, err := s.EndCapture()
	must(t, err)
	must(t, s.CopyIn(p, heap)) // makes the staging memory
	e, err := dev.NewEvent()
	must(t, err)
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"Enter", func() error { defer dev.Leave(); return dev.Enter() }},
		{"Launch", func() error { return s.Launch(f, l) }},
		{"Replay", func() error { return s.Replay(g) }},
		{"CopyIn", func() error { return s.CopyIn(p, host) }},
		{"CopyIn from the heap", func() error { return s.CopyIn(p, heap) }},
		{"CopyOut", func() error { return s.CopyOut(host, p) }},
		{"CopyOut to the heap", func() error { return s.CopyOut(heap, p) }},
		{"Copy", func() error { return s.Copy(p+64, p, 64) }},
		{"Fill", func() error { return s.Fill(p, 1, 64) }},
		{"Record", func() error { return s.Record(e) }},
		{"Sync", s.Sync},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := c.do(); err != nil {
				t.Fatal(c.name, err)
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

func TestCloseGivesBack(t *testing.T) {
	d := newDouble(t)
	_, dev := d.open(t)
	f, s := load(t, dev, "store"), newStream(t, dev)
	p := alloc(t, dev, 4096)
	_, err := dev.HostAlloc(64)
	must(t, err)
	e, err := dev.NewEvent()
	must(t, err)
	must(t, s.BeginCapture())
	must(t, s.Launch(f, &driver.Launch{Params: params(p, 1)}))
	g, err := s.EndCapture()
	must(t, err)
	must(t, s.CopyIn(p, make([]byte, 100)))
	must(t, s.Launch(f, &driver.Launch{Params: params(p, 1)}))
	d.clear()
	must(t, dev.Close())
	d.has(t, "cuCtxSynchronize", "cuGraphExecDestroy", "cuEventDestroy_v2", "cuStreamDestroy_v2", "cuModuleUnload", "cuMemFree_v2", "cuMemFreeHost", "cuCtxSetCurrent none", "cuDevicePrimaryCtxRelease_v2")
	d.alive(t)
	d.clear()
	m := f.(*function).m
	for name, err := range map[string]error{
		"Launch": s.Launch(f, &driver.Launch{Params: params(p, 1)}), "CopyIn": s.CopyIn(p, []byte{1}), "CopyOut": s.CopyOut([]byte{1}, p),
		"Copy": s.Copy(p, p, 1), "Fill": s.Fill(p, 1, 1), "BeginCapture": s.BeginCapture(), "Replay": s.Replay(g), "Record": s.Record(e),
		"Wait": s.Wait(e), "Sync": s.Sync(), "event Sync": e.Sync(), "Free": dev.Free(p), "HostFree": dev.HostFree([]byte{1}),
		"SetShared": f.SetShared(1), "Alloc": second(dev.Alloc(1)), "HostAlloc": second(dev.HostAlloc(1)), "NewStream": second(dev.NewStream()),
		"NewEvent": second(dev.NewEvent()), "Load": second(dev.Load(moduleOf(kernel("store")))), "Function": second(m.Function(kernel("store"))),
		"Blocks": second(f.Blocks(1, 1)), "EndCapture": second(s.EndCapture()), "Since": second(e.Since(e)),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	_, _, err = dev.Memory()
	want(t, err, codeInvalidHandle, "device was closed")
	must(t, errors.Join(g.Close(), e.Close(), s.Close(), m.Unload(), dev.Close()))
	if log := d.log(); log != "" {
		t.Errorf("after Close the driver was called:\n%s", log)
	}
}

func second[T any](_ T, err error) error { return err }

// BenchmarkStep is what the binding costs a step: the double does next to nothing
// for a launch of "idle", so most of it is the way there and back.
func BenchmarkStep(b *testing.B) {
	d := newDouble(b)
	_, dev := d.open(b)
	d.set("logging", 0)
	f, s := load(b, dev, "idle"), newStream(b, dev)
	l := &driver.Launch{Params: params(1, 1), Dependent: true}
	must(b, s.BeginCapture())
	must(b, s.Launch(f, l))
	g, err := s.EndCapture()
	must(b, err)
	for name, do := range map[string]func() error{
		"Enter":  func() error { defer dev.Leave(); return dev.Enter() },
		"Launch": func() error { return s.Launch(f, l) },
		"Replay": func() error { return s.Replay(g) },
		"Sync":   s.Sync,
	} {
		b.Run(name, func(b *testing.B) { // on another goroutine
			if name != "Enter" {
				must(b, dev.Enter())
				defer dev.Leave()
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
