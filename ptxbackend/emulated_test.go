package ptxbackend

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/backend/backendtest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

var targets = []ptx.Target{ptx.SM80, ptx.SM90a}

// emulated is a GPU of few multiprocessors, which share work as many would.
func emulated(t testing.TB) driver.Device {
	t.Helper()
	dev, err := emu.New(emu.Options{Info: driver.Info{SMs: 2}, Memory: 1 << 30}).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// on is the backend on an emulated GPU, with kernels written for a target.
func on(t testing.TB, target ptx.Target) func() backend.Backend {
	return func() backend.Backend { return newGPU(emulated(t), target) }
}

// What is multiplied is rounded to halves, and so is the cache.
func tolerance(_, _ tensor.DType) float64 { return 5e-3 }

func TestConformance(t *testing.T) {
	for i, target := range targets {
		if testing.Short() && i == 0 {
			continue // the goldens are for both
		}
		t.Run(target.Arch, func(t *testing.T) {
			backendtest.RunWith(t, on(t, target), backendtest.Options{Tolerance: tolerance, Emulated: true})
		})
	}
}
