package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// endlessCalls are filters that never end of themselves, with the default budget.
func endlessCalls() map[string]*Guest {
	filter := func(code ...[]byte) *Guest {
		g := NewGuest(abi.KindFilter, "")
		g.Manifest.Fuel = 0 // the default
		return g.With(abi.ExportFilter, Cat(code...), I64Const(0))
	}
	host := NewGuest(abi.KindFilter, "")
	host.Manifest.Fuel = 0
	host.Import("sw1", "op_lse", []byte{I32, I32}, []byte{F64})
	host.With(abi.ExportFilter, Loop(None, zero, I32Const(16_000), Call(0), Drop, Br(0)), I64Const(0))
	log := NewGuest(abi.KindFilter, "")
	log.Manifest.Fuel = 0
	log.Import("sw1", "log", []byte{I32, I32, I32}, []byte{I32})
	log.With(abi.ExportFilter, Loop(None, zero, zero, I32Const(1), Call(0), Drop, Br(0)), I64Const(0))
	recursion := filter(Call(0))
	recursion.Func("", nil, nil, nil, Call(0))
	fork := filter(Call(0)) // calls itself twice: the stack stays, the fuel goes
	fork.Func("", []byte{}, nil, nil, Call(0), Call(0))
	return map[string]*Guest{
		"loop": filter(endless), "grow": filter(grow), "recursion": recursion, "recursion twice": fork,
		"fill":      filter(Loop(None, zero, zero, I32Const(65536), MemoryFill, Br(0))),
		"host call": host, "log": log,
	}
}

// StopLatency measures how long calls that never end take until they are ended, in
// n tries each.
func StopLatency(t *testing.T, e wasm.Engine, n int) {
	for name, g := range endlessCalls() {
		p, err := wasm.Load(context.Background(), g.Module(), wasm.Options{
			Engine: e, Breaker: wasm.Breaker{Faults: math.MaxInt32}, Limits: wasm.Limits{Memory: 64 << 20}, Log: func(int, string) {},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.OpenSeq(1, nil); err != nil {
			t.Fatal(err)
		}
		times := make([]time.Duration, n)
		for i := range times {
			start := time.Now()
			_, _, _, err := p.Filter(1, []byte("x"), 0)
			times[i] = time.Since(start)
			if f := (*wasm.Fault)(nil); !errors.As(err, &f) || f.Reason != wasm.ReasonFuel && f.Reason != wasm.ReasonStack {
				t.Errorf("%s: %v", name, err)
			}
		}
		p.Close()
		slices.Sort(times)
		t.Logf("%-16s p50 %7s, p99 %7s, worst %7s", name, ms(times[n/2]), ms(times[n*99/100]), ms(times[n-1]))
		if times[n/2] > 2*time.Second { // 50 ms on a quiet machine
			t.Errorf("%s: ended after %v", name, times[n/2])
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
