package wasm_test

import (
	"testing"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/enginetest"
)

func TestWazeroRules(t *testing.T)      { enginetest.Rules(t, wasm.Wazero()) }
func TestInterpreterRules(t *testing.T) { enginetest.Rules(t, wasm.WazeroInterpreter()) }

// Real plugins do the same on both engines, for the same fuel.
func TestSameOnBothEngines(t *testing.T) {
	for _, g := range append(enginetest.Examples(t), enginetest.FrameSize()) {
		t.Run(g.Name, func(t *testing.T) {
			t.Logf("%d calls", enginetest.Same(t, g, wasm.Wazero(), wasm.WazeroInterpreter()))
		})
	}
}

func TestHostileCompiled(t *testing.T) { t.Logf("%d", enginetest.Matrix(t, wasm.Wazero())) }
func TestHostileInterpreted(t *testing.T) {
	t.Logf("%d", enginetest.Matrix(t, wasm.WazeroInterpreter()))
}

// Calls that never end are ended: the budget bounds their time.
func TestStopLatency(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	enginetest.StopLatency(t, wasm.Wazero(), enginetest.Many(1, 2, 100))
}

func TestDamagedCache(t *testing.T) {
	flips := enginetest.Many(20, 100, 1000)
	if names := enginetest.CacheFlips(t, wasm.Wazero(), flips); names == nil {
		t.Skip("this machine's engine is an interpreter, which writes no code")
	}
	enginetest.MeteredFlips(t, wasm.Wazero(), flips/50)
}

func TestDamagedCacheSwapped(t *testing.T)  { enginetest.CacheSwapped(t, wasm.Wazero()) }
func TestDamagedCacheLinks(t *testing.T)    { enginetest.CacheLinks(t, wasm.Wazero()) }
func TestDamagedCacheOfOthers(t *testing.T) { enginetest.CacheOfOthers(t, wasm.Wazero()) }
func TestDamagedCacheShared(t *testing.T)   { enginetest.CacheShared(t, wasm.Wazero()) }

// Damaged plugins, on the interpreter, which never makes machine code, and with the
// compiler beside it.
func TestMutants(t *testing.T) {
	n := enginetest.Many(300, 2000, 200_000)
	enginetest.Mutants(t, wasm.WazeroInterpreter(), nil, n*4/5, 1)
	enginetest.Mutants(t, wasm.Wazero(), wasm.WazeroInterpreter(), n/5, 2)
}

// What our own scan accepts, wazero does, too, as it is and metered. The reverse does
// not hold: it reads vector instructions less strictly.
func TestValidation(t *testing.T) {
	e := wasm.WazeroInterpreter()
	enginetest.Validation(t, enginetest.CompiledBy(t, e), enginetest.Many(500, 2000, 100_000), 6, true, "")
}

// No engine takes an immediate for an instruction.
func TestImmediates(t *testing.T) {
	for _, e := range []wasm.Engine{wasm.Wazero(), wasm.WazeroInterpreter()} {
		enginetest.Immediates(t, e)
	}
}

func TestAtTheLimits(t *testing.T) { enginetest.AtTheLimits(t, wasm.Wazero()) }

func TestPadded(t *testing.T) {
	for _, g := range enginetest.Examples(t) {
		for _, e := range []wasm.Engine{wasm.Wazero(), wasm.WazeroInterpreter()} {
			enginetest.Padded(t, g, e)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, e := range []wasm.Engine{wasm.Wazero(), wasm.WazeroInterpreter()} {
		enginetest.Addresses(t, e)
	}
}

// Through the runtime, with a model: what other requests get does not change.
func TestHostileRequests(t *testing.T) {
	model, tokens := modeltest.Tiny("llama", tensor.F16, 1), 5
	if enginetest.Many(0, 0, 1) == 1 {
		model, tokens = demo.GGUF, 12
	}
	t.Run("compiler", func(t *testing.T) { enginetest.Requests(t, wasm.Wazero(), model, tokens) })
	t.Run("interpreter", func(t *testing.T) { enginetest.Requests(t, wasm.WazeroInterpreter(), model, tokens) })
}

// No work is so cheap in fuel that it makes a call long.
func TestPrices(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	enginetest.Prices(t, wasm.Wazero(), uint64(enginetest.Many(0, 1, 20))*1_000_000)
}
