package cuda

import (
	"os"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/drivertest"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestHardware takes the real driver through what every driver must do, where
// SANDWARP_GPU is 1.
func TestHardware(t *testing.T) {
	if os.Getenv("SANDWARP_GPU") != "1" {
		t.Skip("set SANDWARP_GPU=1 on a machine with an NVIDIA GPU")
	}
	drv, err := Open()
	must(t, err)
	t.Run("compile error", func(t *testing.T) {
		dev, err := drv.Open(0)
		must(t, err)
		must(t, dev.Enter())
		defer dev.Leave()
		defer dev.Close()
		_, err = dev.Load(&ptx.Module{Target: ptx.SM80, Kernels: []*ptx.Kernel{{Name: "broken", Body: []ptx.Instr{{Op: "no.such.op"}}}}})
		if err == nil || !strings.Contains(err.Error(), "of kernel broken: no.such.op;") {
			t.Errorf("got %v", err)
		}
	})
	t.Setenv("SANDWARP_CUDA_SYNC", "1")
	t.Run("one by one", func(t *testing.T) { drivertest.Run(t, drv, drivertest.Options{Large: true, Unbroken: true}) })
	t.Setenv("SANDWARP_CUDA_SYNC", "")
	t.Run("asynchronous", func(t *testing.T) { drivertest.Run(t, drv, drivertest.Options{Large: true, Allocations: true}) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
