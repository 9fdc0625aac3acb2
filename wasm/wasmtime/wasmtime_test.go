//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plugintest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/enginetest"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
	"github.com/sandwarp/sandwarp/wasm/wasmtime"
)

func engine(t testing.TB) wasm.Engine {
	t.Helper()
	e, err := wasmtime.New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRules(t *testing.T) { enginetest.Rules(t, engine(t)) }

// Real plugins do the same as on wazero, for the same fuel.
func TestSameAsWazero(t *testing.T) {
	for _, g := range append(enginetest.Examples(t), enginetest.FrameSize()) {
		t.Run(g.Name, func(t *testing.T) {
			t.Logf("%d calls", enginetest.Same(t, g, wasm.Wazero(), engine(t)))
		})
	}
}

// The example plugins of all SDKs keep all rules here, too, and do the same on wazero.
func TestConformance(t *testing.T) {
	for _, g := range enginetest.Examples(t) {
		t.Run(g.Name, func(t *testing.T) {
			if !strings.Contains(g.Name, "/examples/") {
				t.Skip("not an example")
			}
			if testing.Short() && !strings.Contains(g.Name, "/c/") {
				t.Skip("the same as in C")
			}
			conformance.Run(t, g.Module, conformance.Options{
				Plugin: wasm.Options{Engine: engine(t)}, Engines: []wasm.Engine{wasm.Wazero()}, P99: time.Second,
			})
		})
	}
}

// Guests written in Go are the largest there are.
func TestSameForGoGuests(t *testing.T) {
	for _, name := range []string{"bias", "redact"} {
		b := plugintest.GoGuest(t, name)
		t.Logf("%s: %d calls", name, enginetest.Same(t, enginetest.NewExample(name, b), wasm.Wazero(), engine(t)))
	}
}

func TestImmediates(t *testing.T) { enginetest.Immediates(t, engine(t)) }

func TestAtTheLimits(t *testing.T) { enginetest.AtTheLimits(t, engine(t)) }

func TestPadded(t *testing.T) {
	for _, g := range enginetest.Examples(t) {
		for _, e := range []wasm.Engine{engine(t)} {
			enginetest.Padded(t, g, e)
		}
	}
}

func TestAddresses(t *testing.T) { enginetest.Addresses(t, engine(t)) }

func TestHostileRequests(t *testing.T) {
	enginetest.Requests(t, engine(t), modeltest.Tiny("llama", tensor.F16, 1), 5)
}

func TestHostile(t *testing.T) { t.Logf("%d", enginetest.Matrix(t, engine(t))) }

func TestDamagedCache(t *testing.T) {
	flips := enginetest.Many(20, 100, 1000)
	if names := enginetest.CacheFlips(t, engine(t), flips); len(names) != 2 {
		t.Errorf("%d files: compiled code was not kept", len(names))
	}
}

func TestStopLatency(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	enginetest.StopLatency(t, engine(t), enginetest.Many(1, 2, 100))
}

func TestDamagedCacheSwapped(t *testing.T)  { enginetest.CacheSwapped(t, engine(t)) }
func TestDamagedCacheLinks(t *testing.T)    { enginetest.CacheLinks(t, engine(t)) }
func TestDamagedCacheOfOthers(t *testing.T) { enginetest.CacheOfOthers(t, engine(t)) }
func TestDamagedCacheShared(t *testing.T)   { enginetest.CacheShared(t, engine(t)) }

// Damaged plugins do on Wasmtime what they do on wazero.
func TestMutants(t *testing.T) {
	enginetest.Mutants(t, engine(t), wasm.WazeroInterpreter(), enginetest.Many(200, 1000, 20_000), 3)
}

// What our own scan calls valid and invalid, Wasmtime does, but for limits of memories
// and tables in more than 32 bits, which version 3.0 of the specification has.
func TestValidation(t *testing.T) {
	enginetest.Validation(t, wasmtime.Validate, enginetest.Many(1000, 5000, 200_000), 4, false, "memory section, offset", "table section, offset")
	enginetest.Validation(t, wasmtime.Validate, enginetest.Many(1000, 5000, 200_000), 5, true)
}

func TestPrices(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	enginetest.Prices(t, engine(t), uint64(enginetest.Many(0, 1, 20))*1_000_000)
}

// What the engine costs beside wazero: a call of an exported function that does
// nothing, and a load of a small plugin, compiled and from the cache.
func BenchmarkCall(b *testing.B) {
	m := &Builder{}
	m.Func("f", []byte{I32, I32}, []byte{I32}, nil, LocalGet(0))
	for name, e := range map[string]wasm.Engine{"wazero": wasm.Wazero(), "wasmtime": engine(b)} {
		b.Run(name, func(b *testing.B) {
			c, err := e.Compile(b.Context(), m.Bytes(), nil, "")
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			in, err := c.NewInstance(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			f, stack := in.Func("f"), make([]uint64, 2)
			for b.Loop() {
				if err := f.Call(stack); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	module := enginetest.Examples(b)[0].Module
	for name, e := range map[string]wasm.Engine{"wazero": wasm.Wazero(), "wasmtime": engine(b)} {
		for _, dir := range []string{"", b.TempDir()} {
			b.Run(fmt.Sprintf("%s/cached=%v", name, dir != ""), func(b *testing.B) {
				for b.Loop() {
					p, err := wasm.Load(b.Context(), module, wasm.Options{Engine: e, CacheDir: dir})
					if err != nil {
						b.Fatal(err)
					}
					p.Close()
				}
			})
		}
	}
}
