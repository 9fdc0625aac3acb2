package wasm_test

import (
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/enginetest"
)

func TestWazeroRules(t *testing.T)      { enginetest.Rules(t, wasm.Wazero()) }
func TestInterpreterRules(t *testing.T) { enginetest.Rules(t, wasm.WazeroInterpreter()) }

// Real plugins do the same on both engines, for the same fuel.
func TestSameOnBothEngines(t *testing.T) {
	for _, g := range enginetest.Guests(t) {
		t.Run(g.Name, func(t *testing.T) {
			t.Logf("%d calls", enginetest.Same(t, g, wasm.Wazero(), wasm.WazeroInterpreter()))
		})
	}
}
