package ptxbackend

import (
	"os"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/backend/backendtest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

var targets = []ptx.Target{ptx.SM80, ptx.SM90a}

// onGPU says that the tests are to run on the machine's GPU: SANDWARP_GPU is 1.
var onGPU = os.Getenv("SANDWARP_GPU") == "1"

// device is an emulated GPU of the target's generation, of few multiprocessors, which
// share work as many would; or the machine's.
func device(t testing.TB, target ptx.Target) driver.Device {
	t.Helper()
	major := 8
	if target.Hopper() {
		major = 9
	}
	drv := emu.New(emu.Options{Info: driver.Info{SMs: 2, Major: major}, Memory: 1 << 30})
	if onGPU {
		var err error
		if drv, err = cuda.Open(); err != nil {
			t.Fatal(err)
		}
	}
	dev, err := drv.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if i := dev.Info(); target.Hopper() && i.Target() != target {
		dev.Close()
		t.Skipf("%s has compute capability %d.%d, not 9.0", i.Name, i.Major, i.Minor)
	}
	return dev
}

// on is the backend with kernels written for a target.
func on(t testing.TB, target ptx.Target) func() backend.Backend {
	return func() backend.Backend { return newGPU(device(t, target), target) }
}

// What is multiplied is rounded to halves, and so is the cache.
func tolerance(tensor.DType, backend.KVType) float64 { return 5e-3 }

func TestConformance(t *testing.T) {
	for i, target := range targets {
		if testing.Short() && i == 0 {
			continue // the goldens are for both
		}
		t.Run(target.Arch, func(t *testing.T) {
			backendtest.RunWith(t, on(t, target), backendtest.Options{Tolerance: tolerance, Emulated: !onGPU})
		})
	}
}
