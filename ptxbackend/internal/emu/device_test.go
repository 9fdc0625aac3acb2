package emu

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// addKernel adds a to one word; early reads or writes come before GridWait.
func addKernel(early string) *ptx.Builder {
	b := ptx.New("add_"+early, ptx.SM90a)
	x, a, w := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "a"), b.Param(ptx.U64, "w")
	b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() {
		b.Ld(ptx.Global, ptx.U32, w, 0, ptx.NC) // a weight: nobody writes it
		switch early {
		case "read":
			b.Ld(ptx.Global, ptx.U32, x, 0)
		case "write":
			b.St(ptx.Global, x, 0, a)
		}
	})
	if early != "none" {
		b.GridWait()
	}
	b.GridLaunch()
	b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() {
		if early != "none" {
			b.St(ptx.Global, x, 0, b.Add(b.Ld(ptx.Global, ptx.U32, x, 0), a))
		}
	})
	return b
}

func TestDependentLaunch(t *testing.T) {
	cases := []struct{ early, want string }{{"", ""}, {"read", "read before griddepcontrol.wait"},
		{"write", "written before griddepcontrol.wait"}, {"none", "ends without griddepcontrol.wait"}}
	for _, c := range cases {
		t.Run("early "+c.early, func(t *testing.T) {
			r := newBench(t, Options{})
			good, f := r.build(addKernel("")), r.build(addKernel(c.early))
			x, w := r.words(1), r.words(2)
			l := with(grid(1, 32), x, uint32(10), uint32(0), w)
			if err := r.run(good, l); err != nil {
				t.Fatal(err)
			}
			l.Dependent = true
			if err := r.run(good, l); err != nil {
				t.Fatal(err)
			}
			err := r.run(f, l)
			if c.want == "" {
				if v := r.read(x, 1)[0]; err != nil || v != 31 {
					t.Errorf("%v, value %d, want 31", err, v)
				}
				return
			}
			wantError(t, err, driver.CodeLaunchFailed, c.want)
		})
	}
}

// TestDependentAfterCopy: what was copied before is complete, so it may be read early.
func TestDependentAfterCopy(t *testing.T) {
	r := newBench(t, Options{})
	f := r.build(addKernel("read"))
	x, w := r.words(1), r.words(2)
	l := with(grid(1, 32), x, uint32(10), uint32(0), w)
	l.Dependent = true
	if err := r.run(f, l); err != nil {
		t.Fatal(err)
	}
	if err := r.s.Fill(x, 0, 4); err != nil {
		t.Fatal(err)
	}
	if err := r.run(f, l); err != nil {
		t.Fatal(err)
	}
}

func TestCapture(t *testing.T) {
	r := newBench(t, Options{})
	f := r.build(addKernel(""))
	x, y, w := r.words(1), r.words(0), r.words(2)
	host, err := r.d.HostAlloc(4)
	if err != nil {
		t.Fatal(err)
	}
	copy(host, []byte{5, 0, 0, 0})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(r.s.BeginCapture())
	check(r.s.CopyIn(x, host))
	l := with(grid(1, 32), x, uint32(10), uint32(0), w)
	check(r.s.Launch(f, &l))
	l.Dependent = true
	check(r.s.Launch(f, &l))
	l.Params[8] = 99 // parameters are those of when it was recorded
	check(r.s.Copy(y, x, 4))
	g, err := r.s.EndCapture()
	check(err)
	if v := r.read(x, 1)[0]; v != 1 {
		t.Fatalf("recording executed: %d", v)
	}
	check(r.s.Replay(g))
	if v := r.read(y, 1)[0]; v != 25 {
		t.Errorf("replayed: %d, want 25", v)
	}
	host[0] = 7 // host memory is that of when it is replayed
	check(r.s.Replay(g))
	if v := r.read(y, 1)[0]; v != 27 {
		t.Errorf("replayed again: %d, want 27", v)
	}
	out := make([]byte, 4)
	allocs := testing.AllocsPerRun(20, func() {
		check(r.s.CopyIn(x, host))
		check(r.s.Replay(g))
		check(r.s.CopyOut(out, y))
		check(r.s.Sync())
	})
	if allocs != 0 {
		t.Errorf("a replay allocates %v times", allocs)
	}
	check(g.Close())
	if err := r.s.Replay(g); err == nil {
		t.Error("a closed graph is replayed")
	}
	check(r.d.HostFree(host))
	if r.d.HostFree(host) == nil {
		t.Error("host memory is freed twice")
	}
}

func TestLaunchAllocations(t *testing.T) {
	for _, k := range []*ptx.Builder{copyPipeline(false, false), bulkPipeline(""), wgmmaKernel(64, true, "")} {
		r := newBench(t, Options{})
		f := r.build(k)
		in, out := r.words(make([]uint32, 16*512)...), r.space(64*64)
		l := with(grid(1, 128), in, uint32(7), uint32(0), out)
		if k.Target.Hopper() {
			l = with(grid(1, 160), in, uint32(7), uint32(0), out)
			if kn, _ := k.Kernel(); kn.Name == "wgmma" {
				l = with(grid(1, 128), in, in, out)
			}
		}
		run := func() {
			if err := r.s.Launch(f, &l); err != nil {
				t.Fatal(err)
			}
			if err := r.s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		for range 30 {
			run()
		}
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("a launch allocates %v times", n)
		}
		if err := r.s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadLaunch(t *testing.T) {
	r := newBench(t, Options{})
	k := ptx.New("shared", ptx.SM80)
	k.Param(ptx.U32, "n")
	k.Threads(64, 0)
	k.DynamicShared("d", 128)
	f := r.build(k)
	good := with(grid(1, 64), uint32(1))
	for name, change := range map[string]func(l *driver.Launch){
		"threads":    func(l *driver.Launch) { l.Block[0] = 32 },
		"parameters": func(l *driver.Launch) { l.Params = nil },
		"shared":     func(l *driver.Launch) { l.Shared = 100 << 10 },
		"grid":       func(l *driver.Launch) { l.Grid[1] = 1 << 16 },
	} {
		l := good
		change(&l)
		wantError(t, r.s.Launch(f, &l), driver.CodeInvalidValue, "kernel shared")
		if err := r.run(f, good); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	if err := f.SetShared(100 << 10); err != nil {
		t.Fatal(err)
	}
	l := good
	l.Shared = 100 << 10
	if err := r.run(f, l); err != nil {
		t.Error(err)
	}
	if err := f.SetShared(228 << 10); err == nil {
		t.Error("228 KiB are allowed")
	}
	if n, err := f.Blocks(64, 100<<10); err != nil || n != 2 {
		t.Errorf("%d blocks, %v", n, err)
	}
	if f.Resources().Shared != 0 {
		t.Errorf("%+v", f.Resources())
	}
}

func TestMemory(t *testing.T) {
	r := newBench(t, Options{Memory: 1 << 20})
	if _, err := r.d.Alloc(2 << 20); !errors.Is(err, driver.ErrNoMemory) {
		t.Errorf("error %v", err)
	}
	p, err := r.d.Alloc(1 << 19)
	if err != nil {
		t.Fatal(err)
	}
	if free, total, _ := r.d.Memory(); free != 1<<19 || total != 1<<20 {
		t.Errorf("%d of %d free", free, total)
	}
	for _, v := range r.read(p, 1000) {
		if v != 0xFFFFFFFF {
			t.Fatalf("fresh memory holds %#x", v)
		}
	}
	if err := r.s.CopyIn(p+1<<19-4, make([]byte, 8)); err == nil {
		t.Error("a copy passes the end")
	}
	if err := r.d.Free(p + 256); err == nil {
		t.Error("an address within is freed")
	}
	if err := r.d.Free(p); err != nil {
		t.Error(err)
	}
	if err := r.d.Free(p); err == nil {
		t.Error("memory is freed twice")
	}
	if err := r.s.CopyIn(p, make([]byte, 8)); err == nil {
		t.Error("freed memory is written")
	}
	if err := r.s.Sync(); err != nil {
		t.Errorf("none of that loses the device, but: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	b := ptx.New("odd", ptx.SM80)
	b.Emit("frobnicate.b32", b.Reg(ptx.U32))
	k, err := b.Kernel()
	if err != nil {
		t.Fatal(err)
	}
	r := newBench(t, Options{})
	_, err = r.d.Load(&ptx.Module{Target: ptx.SM80, Kernels: []*ptx.Kernel{k}})
	wantError(t, err, driver.CodeInvalidPTX, "frobnicate")
	if _, err := compile(k); err == nil || !strings.Contains(err.Error(), "not emulated") {
		t.Errorf("error %v", err)
	}
	old := newBench(t, Options{Info: driver.Info{Major: 8}})
	k, _ = ptx.New("hopper", ptx.SM90a).Kernel()
	_, err = old.d.Load(&ptx.Module{Target: ptx.SM90a, Kernels: []*ptx.Kernel{k}})
	wantError(t, err, driver.CodeNoBinaryForGPU, "sm_90a")
}

// TestManyBlocks executes every block of a grid in three dimensions once.
func TestManyBlocks(t *testing.T) {
	b := ptx.New("blocks", ptx.SM80)
	x := b.Param(ptx.U64, "x")
	i := b.Mad(b.Mad(b.Ctaid(2), b.Nctaid(1), b.Ctaid(1)), b.Nctaid(0), b.Ctaid(0))
	b.If(b.Setp(ptx.Eq, b.Add(b.Tid(0), b.Tid(1)), 0), func() {
		b.Red(ptx.Global, "", "add", b.Add(x, b.MulWide(i, 4)), 0, b.Add(i, 1))
	})
	for _, g := range [][3]uint32{{1, 1, 1}, {7, 1, 1}, {5, 3, 2}, {100, 9, 1}} {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			r := newBench(t, Options{Seed: 3})
			f := r.build(b)
			n := int(g[0] * g[1] * g[2])
			p := r.words(make([]uint32, n)...)
			if err := r.run(f, driver.Launch{Grid: g, Block: [3]uint32{8, 4, 1}, Params: params(p)}); err != nil {
				t.Fatal(err)
			}
			for i, v := range r.read(p, n) {
				if v != uint32(i+1) {
					t.Fatalf("block %d: %d", i, v)
				}
			}
		})
	}
}

// TestLate: host memory of HostAlloc is read and written when the stream is waited
// for, ordinary memory at once.
func TestLate(t *testing.T) {
	r := newBench(t, Options{})
	p := r.words(1)
	host, err := r.d.HostAlloc(8)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	host[0], host[1], host[2], host[3] = 2, 0, 0, 0
	check(r.s.CopyIn(p, host[:4]))
	host[0] = 3 // too early
	check(r.s.CopyOut(host[4:], p))
	if host[4] != 0xFF {
		t.Errorf("the copy arrived before Sync: %d", host[4])
	}
	e, err := r.d.NewEvent()
	check(err)
	check(r.s.Record(e))
	check(e.Sync())
	if host[4] != 3 {
		t.Errorf("copied %d, want what the memory held when it was waited for, 3", host[4])
	}
	plain := []byte{9, 0, 0, 0}
	check(r.s.CopyIn(p, plain))
	plain[0] = 10
	if v := r.read(p, 1)[0]; v != 9 {
		t.Errorf("copied %d, want 9", v)
	}
	e2, err := r.d.NewEvent()
	check(err)
	if _, err := e2.Since(e); err == nil {
		t.Error("the time of an event that was not recorded")
	}
	check(r.s.Record(e2))
	if ms, err := e2.Since(e); err != nil || ms < 0 {
		t.Errorf("%v ms, %v", ms, err)
	}
}

// TestRegisters: the estimate follows what is alive.
func TestRegisters(t *testing.T) {
	for _, n := range []int{1, 40, 120} {
		b := ptx.New("live", ptx.SM80)
		x := b.Param(ptx.U64, "x")
		var v []ptx.Reg
		for i := range n {
			v = append(v, b.Ld(ptx.Global, ptx.F32, x, 4*i))
		}
		b.For(0, 10, 1, func(ptx.Reg) {
			for _, r := range v {
				b.AddTo(r, r)
			}
		})
		for i, r := range v {
			b.St(ptx.Global, x, 4*i, r)
		}
		r := newBench(t, Options{})
		if got := r.build(b).Resources().Registers; got < n+4 || got > n+24 {
			t.Errorf("%d values: %d registers", n, got)
		}
	}
}
