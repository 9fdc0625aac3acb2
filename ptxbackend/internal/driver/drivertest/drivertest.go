// Package drivertest is what every driver.Driver must do: the emulator in any run of
// the tests, the real one where there is a GPU.
package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Options say what of the rules is tested beyond the behaviour.
type Options struct {
	Allocations bool // that what a step does allocates nothing
	Large       bool // copies of tens of megabytes
	Unbroken    bool // leave out what breaks the device
}

// suite is a driver's open device and what it is tested with.
type suite struct {
	drv    driver.Driver
	dev    driver.Device
	target ptx.Target
	opt    Options
}

// Run tests a driver with at least one device, the first of which is used. The last
// test breaks the device; with a real one, the process may be of no use afterwards.
func Run(t *testing.T, drv driver.Driver, o Options) {
	devices, err := drv.Devices()
	must(t, err)
	if len(devices) == 0 {
		t.Fatal("the driver has no device")
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"Info", testInfo}, {"Memory", testMemory}, {"Copies", testCopies}, {"Launch", testLaunch}, {"Shared", testShared},
		{"Graph", testGraph}, {"Events", testEvents}, {"Goroutines", testGoroutines}, {"Misuse", testMisuse},
		{"Allocations", testAllocations}, {"Close", testClose}, {"Lost", testLost},
	} {
		if c.name == "Lost" && o.Unbroken {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			dev, err := drv.Open(0)
			must(t, err)
			defer func() { must(t, dev.Close()) }()
			must(t, dev.Enter())
			defer dev.Leave()
			s := &suite{drv: drv, dev: dev, target: ptx.SM80, opt: o}
			if i := dev.Info(); i.Major == 9 && i.Minor == 0 {
				s.target = ptx.SM90a
			}
			c.run(t, s)
		})
	}
}

func testInfo(t *testing.T, s *suite) {
	cuda, isa := s.drv.Version()
	if cuda < 11000 || isa < s.target.Version {
		t.Errorf("CUDA %d, PTX %d", cuda, isa)
	}
	i := s.dev.Info()
	t.Logf("%v, %s; CUDA %d, PTX %d", i, i.UUID, cuda, isa)
	if i.Name == "" || i.UUID == "" || i.Major < 8 || i.SMs < 1 || i.Memory < 1<<28 || i.L2 < 1<<20 || i.SharedPerBlock < 48<<10 ||
		i.SharedPerSM < i.SharedPerBlock || i.ClockKHz < 100000 || i.MemoryClockKHz < 100000 || i.BusBits < 32 {
		t.Errorf("implausible: %+v", i)
	}
	listed, err := s.drv.Devices()
	must(t, err)
	if listed[0] != i {
		t.Errorf("Devices says %+v, the device %+v", listed[0], i)
	}
}

func testMemory(t *testing.T, s *suite) {
	free, total, err := s.dev.Memory()
	must(t, err)
	if free <= 0 || free > total {
		t.Errorf("%d of %d bytes are free", free, total)
	}
	seen := map[driver.Ptr]bool{}
	for _, n := range []int64{1, 255, 256, 257, 1 << 20} {
		p, err := s.dev.Alloc(n)
		must(t, err)
		if p == 0 || p%256 != 0 || seen[p] {
			t.Errorf("%d bytes are at %#x", n, uint64(p))
		}
		seen[p] = true
	}
	for p := range seen {
		must(t, s.dev.Free(p))
	}
	if _, err := s.dev.Alloc(total + 1<<30); !errors.Is(err, driver.ErrNoMemory) {
		t.Errorf("more than there is: %v", err)
	}
	if _, err := s.dev.Alloc(-1); err == nil {
		t.Error("-1 bytes were allocated")
	}
	b, err := s.dev.HostAlloc(1000)
	must(t, err)
	if len(b) != 1000 {
		t.Errorf("%d bytes of host memory", len(b))
	}
	must(t, s.dev.HostFree(b))
}

func testCopies(t *testing.T, s *suite) {
	st := s.stream(t)
	rng := rand.New(rand.NewPCG(3, 4))
	sizes := []int{1, 3, 256, 65537}
	if s.opt.Large {
		sizes = append(sizes, 4<<20, 4<<20+1, 33<<20+5)
	}
	for _, n := range sizes {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		p, q := s.alloc(t, n), s.alloc(t, n)
		host, err := s.dev.HostAlloc(n)
		must(t, err)
		heap := bytes.Clone(want)
		must(t, st.CopyIn(p, heap))
		must(t, st.Copy(q, p, int64(n)))
		must(t, st.CopyOut(host, q))
		must(t, st.Sync())
		if !bytes.Equal(host, want) {
			t.Errorf("%d bytes from the heap differ", n)
		}
		must(t, st.Fill(p, 0xa5, int64(n)))
		must(t, st.CopyIn(q, host))
		back, filled := make([]byte, n), make([]byte, n)
		must(t, st.CopyOut(back, q))
		must(t, st.CopyOut(filled, p))
		must(t, st.Sync())
		if !bytes.Equal(back, want) {
			t.Errorf("%d bytes from page-locked memory differ", n)
		}
		if !bytes.Equal(filled, bytes.Repeat([]byte{0xa5}, n)) {
			t.Errorf("%d bytes are not filled", n)
		}
		must(t, errors.Join(s.dev.Free(p), s.dev.Free(q), s.dev.HostFree(host)))
	}
	must(t, st.Close())
}

// testLaunch runs chains of launches that may overlap, over ragged sizes.
func testLaunch(t *testing.T, s *suite) {
	f, st := load(t, s.dev, step(s.target)), s.stream(t)
	for _, n := range []int{1, threads - 1, threads, 1000, 40000} {
		p, q := s.alloc(t, 4*n), s.alloc(t, 4*n)
		host := make([]byte, 4*n)
		for i := range n {
			copy(host[4*i:], words(uint32(i)))
		}
		must(t, st.CopyIn(p, host))
		for i := range 6 {
			must(t, st.Launch(f, s.launchOf(pack(q, p, n, i), n)))
			p, q = q, p
		}
		must(t, st.CopyOut(host, p))
		must(t, st.Sync())
		for i := range n {
			want := uint32(i)
			for add := range uint32(6) {
				want = 2*want + add
			}
			if got := word(host, i); got != want {
				t.Fatalf("%d words: word %d is %d, want %d", n, i, got, want)
			}
		}
	}
}

// testShared uses more shared memory than a kernel gets without asking.
func testShared(t *testing.T, s *suite) {
	f, st := load(t, s.dev, flip(s.target)), s.stream(t)
	n := 60 << 10 / 4
	must(t, f.SetShared(4*n))
	blocks, err := f.Blocks(threads, 4*n)
	must(t, err)
	if most := s.dev.Info().SharedPerSM / (4 * n); blocks < 1 || blocks > most {
		t.Errorf("%d blocks fit, at most %d can", blocks, most)
	}
	if err := f.SetShared(s.dev.Info().SharedPerBlock + 1); err == nil {
		t.Error("more shared memory than there is was allowed")
	}
	p, host := s.alloc(t, 4*n), make([]byte, 4*n)
	for i := range n {
		copy(host[4*i:], words(uint32(i)))
	}
	must(t, st.CopyIn(p, host))
	must(t, st.Launch(f, &driver.Launch{Block: [3]uint32{threads}, Shared: 4 * n, Params: pack(p, n)}))
	must(t, st.CopyOut(host, p))
	must(t, st.Sync())
	for i := range n {
		if got := word(host, i); got != uint32(n-1-i) {
			t.Fatalf("word %d is %d, want %d", i, got, n-1-i)
		}
	}
}

// testGraph replays a recorded chain whose input changes.
func testGraph(t *testing.T, s *suite) {
	f, st := load(t, s.dev, step(s.target)), s.stream(t)
	n := 300
	p, q := s.alloc(t, 4*n), s.alloc(t, 4*n)
	in, err := s.dev.HostAlloc(4 * n)
	must(t, err)
	out, err := s.dev.HostAlloc(4 * n)
	must(t, err)
	must(t, st.BeginCapture())
	must(t, st.CopyIn(p, in))
	for i := range 4 {
		args := pack(q, p, n, i)
		must(t, st.Launch(f, s.launchOf(args, n)))
		clear(args)
		p, q = q, p
	}
	must(t, st.CopyOut(out, p))
	g, err := st.EndCapture()
	must(t, err)
	for round := range 3 {
		for i := range n {
			copy(in[4*i:], words(uint32(i*round)))
		}
		must(t, st.Replay(g))
		must(t, st.Sync())
		for i := range n {
			want := uint32(i * round)
			for add := range uint32(4) {
				want = 2*want + add
			}
			if got := word(out, i); got != want {
				t.Fatalf("replay %d: word %d is %d, want %d", round, i, got, want)
			}
		}
	}
	must(t, errors.Join(g.Close(), g.Close()))
}

// testEvents orders two streams by an event.
func testEvents(t *testing.T, s *suite) {
	f := load(t, s.dev, step(s.target))
	a, b := s.stream(t), s.stream(t)
	n := 50000
	p, q := s.alloc(t, 4*n), s.alloc(t, 4*n)
	begin, end := s.event(t), s.event(t)
	must(t, a.Fill(p, 0, int64(4*n)))
	must(t, a.Record(begin))
	for range 10 {
		must(t, a.Launch(f, s.launchOf(pack(p, p, n, 1), n)))
	}
	must(t, a.Record(end))
	must(t, b.Wait(end))
	must(t, b.Launch(f, s.launchOf(pack(q, p, n, 0), n)))
	out := make([]byte, 4)
	must(t, b.CopyOut(out, q+driver.Ptr(4*(n-1))))
	if got := word(out, 0); got != 2*(1<<10-1) {
		t.Errorf("got %d, want %d", got, 2*(1<<10-1))
	}
	must(t, end.Sync())
	ms, err := end.Since(begin)
	must(t, err)
	if ms < 0 || ms > 60000 {
		t.Errorf("%v ms", ms)
	}
	must(t, errors.Join(begin.Close(), end.Close(), begin.Close()))
}

// testGoroutines works from several at once.
func testGoroutines(t *testing.T, s *suite) {
	f := load(t, s.dev, step(s.target))
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { errs[i] = s.work(f, i) })
	}
	wg.Wait()
	must(t, errors.Join(errs...))
}

func (s *suite) work(f driver.Function, seed int) (err error) {
	if err := s.dev.Enter(); err != nil {
		return err
	}
	defer s.dev.Leave()
	st, err := s.dev.NewStream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	p, err := s.dev.Alloc(4000)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.dev.Free(p)) }()
	host := make([]byte, 4000)
	for round := range 5 {
		for i := range 1000 {
			copy(host[4*i:], words(uint32(seed*i)))
		}
		if err := errors.Join(st.CopyIn(p, host), st.Launch(f, s.launchOf(pack(p, p, 1000, round), 1000)), st.CopyOut(host, p), st.Sync()); err != nil {
			return err
		}
		for i := range 1000 {
			if got, want := word(host, i), uint32(2*seed*i+round); got != want {
				return fmt.Errorf("goroutine %d: word %d is %d, want %d", seed, i, got, want)
			}
		}
	}
	return nil
}

// testMisuse makes mistakes that must be errors and leave the device as it was.
func testMisuse(t *testing.T, s *suite) {
	f, st := load(t, s.dev, step(s.target)), s.stream(t)
	p := s.alloc(t, 4096)
	k, err := flip(s.target).Kernel()
	must(t, err)
	m, err := s.dev.Load(&ptx.Module{Target: s.target, Kernels: []*ptx.Kernel{k}})
	must(t, err)
	for name, mistake := range map[string]func() error{
		"a kernel that is not there": func() error { _, err := m.Function(&ptx.Kernel{Name: "absent"}); return err },
		"too few parameters":         func() error { return st.Launch(f, s.launchOf(pack(p, p, 1), 1)) },
		"freeing what is not ours":   func() error { return s.dev.Free(p + 256) },
		"ending no capture":          func() error { _, err := st.EndCapture(); return err },
		"too many threads":           func() error { return st.Launch(f, &driver.Launch{Block: [3]uint32{4096}, Params: pack(p, p, 1, 1)}) },
		"a bad instruction": func() error {
			_, err := s.dev.Load(&ptx.Module{Target: s.target, Kernels: []*ptx.Kernel{{Name: "k", Body: []ptx.Instr{{Op: "no.such.op"}}}}})
			return err
		},
	} {
		if err := mistake(); err == nil {
			t.Errorf("%s: no error", name)
		} else if errors.Is(err, driver.ErrLost) {
			t.Errorf("%s: the device was lost: %v", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	must(t, errors.Join(m.Unload(), m.Unload()))
	must(t, st.CopyIn(p, words(20)))
	must(t, st.Launch(f, s.launchOf(pack(p, p, 1, 2), 1)))
	out := make([]byte, 4)
	must(t, errors.Join(st.CopyOut(out, p), st.Sync()))
	if got := word(out, 0); got != 42 {
		t.Errorf("afterwards: got %d, want 42", got)
	}
}

func testAllocations(t *testing.T, s *suite) {
	if !s.opt.Allocations {
		t.Skip("not asked for")
	}
	f, st := load(t, s.dev, step(s.target)), s.stream(t)
	p := s.alloc(t, 4096)
	host, err := s.dev.HostAlloc(4096)
	must(t, err)
	l := s.launchOf(pack(p, p, 100, 1), 100)
	must(t, st.BeginCapture())
	must(t, st.Launch(f, l))
	g, err := st.EndCapture()
	must(t, err)
	if n := testing.AllocsPerRun(50, func() {
		must(t, st.CopyIn(p, host))
		must(t, st.Launch(f, l))
		must(t, st.Replay(g))
		must(t, st.CopyOut(host, p))
		must(t, st.Sync())
	}); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

// testClose closes a device with everything still there, and then uses it.
func testClose(t *testing.T, s *suite) {
	dev, err := s.drv.Open(0)
	must(t, err)
	must(t, dev.Enter())
	defer dev.Leave()
	o := &suite{drv: s.drv, dev: dev, target: s.target}
	f, st := load(t, dev, step(s.target)), o.stream(t)
	p := o.alloc(t, 4096)
	must(t, st.Launch(f, s.launchOf(pack(p, p, 1, 1), 1)))
	must(t, dev.Close())
	must(t, dev.Close())
	if _, err := dev.Alloc(1); err == nil {
		t.Error("Alloc after Close succeeded")
	}
	s.alloc(t, 1) // the other opening of the device is as it was
}

// testLost lets a kernel trap: the loss is heard of at the latest at Sync, and stays.
func testLost(t *testing.T, s *suite) {
	f, st := load(t, s.dev, fault(s.target)), s.stream(t)
	err := errors.Join(st.Launch(f, &driver.Launch{}), st.Sync())
	if !errors.Is(err, driver.ErrLost) {
		t.Fatalf("a trap: %v", err)
	}
	t.Log(err)
	if err := st.Sync(); !errors.Is(err, driver.ErrLost) {
		t.Errorf("Sync afterwards: %v", err)
	}
	if _, err := s.dev.Alloc(1); !errors.Is(err, driver.ErrLost) {
		t.Errorf("Alloc afterwards: %v", err)
	}
}

func (s *suite) stream(t *testing.T) driver.Stream {
	t.Helper()
	st, err := s.dev.NewStream()
	must(t, err)
	return st
}

func (s *suite) event(t *testing.T) driver.Event {
	t.Helper()
	e, err := s.dev.NewEvent()
	must(t, err)
	return e
}

func (s *suite) alloc(t *testing.T, bytes int) driver.Ptr {
	t.Helper()
	p, err := s.dev.Alloc(int64(bytes))
	must(t, err)
	return p
}
