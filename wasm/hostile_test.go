package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

var (
	endless = Loop(None, Br(0))
	zero    = I32Const(0)
)

func TestHoldAtTheEnd(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, I64Const(abi.PackVerdict(abi.ActionHold, 0)))
	p := g.load(t, Options{})
	open(t, p, 1)
	if _, n, _, err := p.Filter(1, []byte("abc"), 0); n != 0 || err != nil {
		t.Errorf("hold: %d %v", n, err)
	}
	if _, _, _, err := p.Filter(1, []byte("abc"), abi.FlagEnd); err == nil {
		t.Error("held at the end")
	}
}

func TestBadFrames(t *testing.T) {
	for name, code := range map[string][]byte{
		"unaligned": I32Const(100), "zero": zero, "negative": I32Const(-65536),
		"beyond memory": I32Const(65536), "loop": Cat(endless, zero), "trap": Unreachable,
	} {
		g := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportFrame, code)
		p := g.load(t, Options{OnFault: FailClosed})
		open(t, p, 1)
		if _, err := p.Frame(1, 100_000); err == nil {
			t.Errorf("%s: Frame accepted it", name)
		}
		if _, err := p.Process(1, nil, make([]float32, 100_000)); err == nil {
			t.Errorf("%s: Process accepted it", name)
		}
	}
}

func TestHandles(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeMask).load(t, Options{})
	open(t, p, 7)
	if err := p.OpenSeq(7, nil); err == nil {
		t.Error("opened twice")
	}
	p.CloseSeq(7)
	p.CloseSeq(7)
	for _, seq := range []uint64{7, 8} {
		if _, err := p.Process(seq, nil, make([]float32, 10)); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
		if err := p.Accept(seq, []int32{1}); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
		if _, err := p.Frame(seq, 10); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
	}
	if _, _, _, err := p.Filter(7, []byte("x"), 0); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	if _, err := p.Encode(nil, "x", false); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	p.Close()
	if err := p.OpenSeq(9, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A trap on the Nth call, for every N, leaves the plugin usable, and three in a
// row make the breaker pause for longer and longer.
func TestTrapOnNthCall(t *testing.T) {
	most := int32(1000)
	if testing.Short() {
		most = 40
	}
	for n := int32(1); n <= most; n++ {
		count := Cat(I32Const(2048), I32Const(2048), I32Load(0), I32Const(1), I32Add, LocalTee(4), I32Store(0))
		g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, count,
			LocalGet(4), I32Const(n), I32Eq, If(None, Unreachable), LocalGet(2), ExtendU)
		g.locals[abi.ExportFilter] = []byte{I32}
		p := g.load(t, Options{})
		open(t, p, 1)
		last := n + 1
		if n <= 20 {
			last = 3*n + 1
		}
		for i := int32(1); i <= last; i++ {
			out, _, _, err := p.Filter(1, []byte("ok"), 0)
			if bad := i%n == 0; bad != (err != nil) || !bad && string(out) != "ok" {
				if n == 1 && i > 3 { // the breaker speaks now
					continue
				}
				t.Fatalf("n %d, call %d: %q %v", n, i, out, err)
			}
		}
	}
}

func TestBreaker(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, Unreachable)
	p := g.load(t, Options{})
	pass := stopClock(p)
	open(t, p, 1)
	reason := func() Reason {
		_, _, _, err := p.Filter(1, []byte("x"), 0)
		var f *Fault
		if !errors.As(err, &f) {
			t.Fatal(err)
		}
		return f.Reason
	}
	for range 3 {
		if r := reason(); r != ReasonTrap {
			t.Fatal(r)
		}
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if r := reason(); r != ReasonBreaker {
			t.Errorf("before %d s: %s", pause, r)
		}
		pass(pause*time.Second - time.Millisecond)
		if r := reason(); r != ReasonBreaker {
			t.Errorf("just before %d s: %s", pause, r)
		}
		pass(time.Millisecond)
		if r := reason(); r != ReasonTrap {
			t.Errorf("after %d s: %s", pause, r)
		}
	}
	if s := p.Stats(); s.Faults != 11 || s.Skipped != 16 {
		t.Errorf("%+v", s)
	}
}

// Errors in good order do not open the breaker: they may be the input's fault.
func TestErrorsDoNotOpenTheBreaker(t *testing.T) {
	p := newGuest(abi.KindTokenizer, "").with(abi.ExportDecode, I64Const(int64(abi.EINVAL))).load(t, Options{})
	for range 10 {
		_, err := p.Decode(nil, []int32{-1}, false)
		var f *Fault
		if !errors.As(err, &f) || f.Reason != ReasonError {
			t.Fatal(err)
		}
	}
	if _, err := p.Encode(nil, "x", false); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Faults != 10 || s.Resets != 0 {
		t.Errorf("%+v", s)
	}
}

// A guest at its limits keeps the host's memory within bounds.
func TestMemoryStaysBounded(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter,
		Loop(None, I32Const(1), MemoryGrow, I32Const(-1), Op(0x47), BrIf(0)), // all there is
		zero, I32Const(1), MemorySize, I32Const(16), Op(0x74), MemoryFill, I64Const(0))
	g.manifest.Fuel = 100_000_000
	p := g.load(t, Options{Limits: Limits{Memory: 8 << 20}, Breaker: Breaker{Faults: 1 << 20}})
	open(t, p, 1)
	for range 50 {
		p.Filter(1, []byte("x"), 0)
	}
	in := p.instances[0]
	if got := in.raw.MemSize(); got > 8<<20 {
		t.Errorf("%d bytes", got)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 256<<20 {
		t.Errorf("heap of %d MiB", m.HeapAlloc>>20)
	}
}

// Eight recursions side by side stay within 64 MiB each.
func TestRecursionMemory(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	peak := func() (kib int) {
		status, _ = os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		fmt.Sscanf(rest, "%d", &kib)
		return kib
	}
	// The frames are as large as they get for their price: values that live
	// across the call.
	g := newGuest(abi.KindFilter, "")
	var code []byte
	for i := range 200 {
		code = append(code, Cat(I32Const(int32(i)), I32Load(0))...)
	}
	code = append(code, Call(0)...)
	code = append(code, bytes.Repeat(Drop, 200)...)
	g.Func("", nil, nil, nil, code)
	g.with(abi.ExportFilter, Call(0), I64Const(0))
	g.manifest.Fuel = 150_000_000
	module := g.bytes()
	before := peak()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p, err := Load(context.Background(), module, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			open(t, p, 1)
			_, _, _, err = p.Filter(1, []byte("x"), 0)
			if f := (*Fault)(nil); !errors.As(err, &f) || f.Reason != ReasonStack {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	grown := (peak() - before) >> 10
	t.Logf("%d MiB for eight", grown)
	if grown > 8*64 {
		t.Errorf("%d MiB for eight", grown)
	}
}

// Whatever is done to a plugin's bytes, loading it ends soon, in an error or in a
// plugin that can be called.
func FuzzLoad(f *testing.F) {
	f.Add(newGuest(abi.KindFilter, "").bytes())
	f.Add(newGuest(abi.KindSampler, abi.ModeDense).bytes())
	f.Add(newGuest(abi.KindTokenizer, "").bytes())
	if b, err := os.ReadFile("../sdk/c/examples/redact.wasm"); err == nil {
		f.Add(b)
	}
	limits := Limits{Module: 32 << 10, Fuel: 100_000, ConfigureFuel: 100_000, Memory: 4 << 20}
	f.Fuzz(func(t *testing.T, module []byte) {
		p, err := Load(context.Background(), module, Options{Limits: limits, Engine: WazeroInterpreter()})
		if err != nil {
			return
		}
		defer p.Close()
		if p.OpenSeq(1, nil) == nil {
			p.Process(1, []int32{1}, make([]float32, 300))
			p.Accept(1, []int32{1})
			p.Filter(1, []byte("hello"), abi.FlagEnd)
			p.CloseSeq(1)
		}
		p.Encode(nil, "hello", false)
		p.Decode(nil, []int32{1, 2}, true)
	})
}

// Rows of one step that fail together are one reason to pause, not many.
func TestBreakerAfterABatch(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, Unreachable).load(t, Options{})
	pass := stopClock(p)
	seqs := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	open(t, p, seqs...)
	newStep(seqs...).run(p)
	if p.breaker.allow() || p.Stats().Faults != 10 {
		t.Errorf("%+v", p.Stats())
	}
	pass(time.Second)
	if !p.breaker.allow() {
		t.Errorf("it is to be left alone for %v", p.breaker.pause)
	}
}

// A plugin that starts only once, which it can tell by its store, leaves nothing behind
// when it does not start again.
func TestFailedRestartsLeaveNothing(t *testing.T) {
	if _, err := os.ReadFile("/proc/self/statm"); err != nil {
		t.Skip("no /proc")
	}
	size := func() (pages int) {
		b, _ := os.ReadFile("/proc/self/statm")
		fmt.Sscan(string(b), &pages)
		return pages
	}
	g := newGuest(abi.KindFilter, "")
	g.manifest.Capabilities = []string{abi.CapKV}
	i4 := []byte{I32, I32, I32, I32}
	get, set := g.Import("sw1", "kv_get", i4, []byte{I32}), g.Import("sw1", "kv_set", i4, []byte{I32})
	key := Cat(zero, I32Const(1), zero, I32Const(1))
	g.with(abi.ExportInit, key, Call(get), I32Const(0), Op(0x4a), If(None, Unreachable), key, Call(set), Drop)
	// Segments that are dropped cannot be captured: instances are made anew.
	g.Passive([]byte("x"))
	g.with(abi.ExportFilter, Op(0xfc, 9, 0), Unreachable)
	p := g.load(t, Options{Grant: []string{abi.CapKV}, Breaker: Breaker{Faults: 1 << 20}})
	open(t, p, 1)
	before := 0
	for i := range 120 {
		if i == 20 {
			before = size()
		}
		if _, _, _, err := p.Filter(1, []byte("x"), 0); err == nil {
			t.Fatal("no error")
		}
	}
	if grown := (size() - before) * os.Getpagesize() >> 20; grown > 4096 { // 256 MiB an instance
		t.Errorf("%d MiB of addresses", grown)
	}
}
