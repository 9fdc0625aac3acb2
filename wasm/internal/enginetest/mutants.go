package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Mutants loads and tries n damaged plugins on an engine. Whatever becomes of one,
// the process lives, and keeps to its memory; what no valid module is, or cannot be a
// plugin, is refused before the engine sees it. Every plugin that can still be loaded
// runs on a second engine, too, unless that is nil, and must do the same.
func Mutants(t *testing.T, e, second wasm.Engine, n int, seed uint64) {
	bases := mutantBases(t)
	r := rand.New(rand.NewPCG(seed, 7))
	var refused refusals
	loaded, differ := 0, 0
	m := watchMemory()
	for i := range n {
		b := Mutate(r, bases)
		var did string
		err := refused.time(func() (err error) {
			did, err = try(e, b)
			return err
		})
		if err == nil {
			loaded++
		} else if causeOf(err) == engineSaid {
			t.Errorf("mutant %d of seed %d reached the engine: %v", i, seed, err)
		}
		if second != nil && (err == nil || i%16 == 0) {
			if again, err2 := try(second, b); (err == nil) != (err2 == nil) || err == nil && did != again {
				if differ++; differ <= 5 {
					t.Errorf("mutant %d of seed %d:\n%s: %s%s\n%s: %s%s", i, seed, e.Name(), did, firstLine(err), second.Name(), again, firstLine(err2))
				}
			}
		}
		m.look()
	}
	if refused.n == 0 || loaded == 0 {
		t.Fatalf("%d of %d mutants were refused: they are no test", refused.n, n)
	}
	t.Logf("%d mutants on %s, %d loaded, %d refused; memory +%d MiB", n, e.Name(), loaded, refused.n, m.grown()>>20)
	if p99 := refused.report(t); p99 > 50*time.Millisecond { // 5 ms on a quiet machine
		t.Errorf("refusing takes %v", p99)
	}
	if m.grown() > 96<<20 { // 32 MiB for one alone; the collector lags
		t.Errorf("memory grew by %d MiB", m.grown()>>20)
	}
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// mutantBases are the committed plugins and small ones of every kind.
func mutantBases(t *testing.T) [][]byte {
	t.Helper()
	var bases [][]byte
	for _, x := range Examples(t) {
		if len(x.Module) <= 64<<10 {
			bases = append(bases, x.Module)
		}
	}
	for range 3 { // small ones more often: more of them stay valid
		bases = append(bases,
			attacker(abi.ModeMask).Module(), attacker(abi.ModeCandidates).Module(), attacker(abi.ModeDense).Module(),
			NewGuest(abi.KindFilter, "").Module(), NewGuest(abi.KindTokenizer, "").Module(), sections().Module())
	}
	return bases
}

// sections is a filter with a section of every kind.
func sections() *Guest {
	g := NewGuest(abi.KindFilter, "")
	typ := g.Type([]byte{I32}, []byte{I32, I64})
	log := g.Import("sw1", "log", []byte{I32, I32, I32}, []byte{I32})
	g.Table(2, 5)
	g.Global(F64, Cat([]byte{0x44}, make([]byte, 8)))
	f := g.Func("", []byte{I32}, []byte{I32}, []byte{F32, V128},
		Block(None, LocalGet(0), BrIf(0), I32Const(1), I32Const(2), I32Const(3), Call(log), Drop),
		Block(None, Loop(None, LocalGet(0), BrTable(1, 1, 1))), I32Const(3))
	g.RawFunc("", typ, Cat([]byte{0}, I32Const(7), Op(2), S(int64(typ)), I64Const(1), End, End))
	g.Func("", nil, nil, nil, zero, zero, zero, Op(0xfc, 8, 0, 0), Op(0xfc, 9, 0))
	g.Start(g.Func("", nil, nil, nil, I32Const(5), Call(f), Drop))
	g.Elem(0, f)
	g.Passive([]byte("abc"))
	g.Data(4, []byte("xyz"))
	return g
}

// mutantLimits make mutants cheap.
var mutantLimits = wasm.Limits{Module: 1 << 20, Fuel: 100_000, ConfigureFuel: 200_000, Memory: 4 << 20, Stack: 64 << 10}

// try loads a module and calls all it may have. It says what happened, unless the
// module is refused.
func try(e wasm.Engine, module []byte) (string, error) {
	p, err := wasm.Load(context.Background(), module, wasm.Options{
		Engine: e, Limits: mutantLimits, Instances: 1, OnFault: wasm.FailClosed,
		Breaker: wasm.Breaker{Faults: math.MaxInt32}, Log: func(int, string) {},
	})
	if err != nil {
		return "", err
	}
	defer p.Close()
	var did strings.Builder
	note := func(what string, err error, results ...any) {
		var f *wasm.Fault
		switch {
		case errors.As(err, &f):
			err = errors.New(string(f.Reason)) // engines have words of their own
		case err != nil:
			err = errors.New("error")
		}
		fmt.Fprintln(&did, what, err, results, p.Stats().Fuel)
	}
	switch p.Manifest().Kind {
	case abi.KindSampler:
		note("open", p.OpenSeq(Attacker, nil))
		for range 2 {
			logits := ramp()
			pick, err := p.Process(Attacker, []int32{1, 2}, logits)
			note("process", err, pick, sum(logits))
			note("accept", p.Accept(Attacker, []int32{1}))
		}
	case abi.KindFilter:
		note("open", p.OpenSeq(1, nil))
		for _, flags := range []uint32{0, abi.FlagEnd} {
			out, n, stop, err := p.Filter(1, []byte("hello ann@example.org"), flags)
			note("filter", err, string(out), n, stop)
		}
		p.CloseSeq(1)
	case abi.KindTokenizer:
		ids, err := p.Encode(nil, "hello", false)
		note("encode", err, ids)
		b, err := p.Decode(nil, []int32{1, 2}, true)
		note("decode", err, string(b))
	}
	return did.String(), nil
}

// memory watches the process's memory.
type memory struct{ start, most uint64 }

func watchMemory() *memory {
	runtime.GC()
	debug.FreeOSMemory()
	m := &memory{start: Resident()}
	m.most = m.start
	return m
}

func (m *memory) look() { m.most = max(m.most, Resident()) }

func (m *memory) grown() uint64 { return m.most - m.start }

// Resident is the memory the process has in use, 0 where that is not told.
func Resident() uint64 {
	_, resident := statm()
	return resident
}

// mapped is how many bytes of addresses the process has, 0 where that is not told.
func mapped() uint64 {
	size, _ := statm()
	return size
}

func statm() (size, resident uint64) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, 0
	}
	page := uint64(os.Getpagesize())
	return size * page, resident * page
}
