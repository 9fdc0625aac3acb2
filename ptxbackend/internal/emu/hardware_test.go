package emu_test

import (
	"os"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu/emufuzz"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestHardware compares the emulator with a GPU.
func TestHardware(t *testing.T) {
	if os.Getenv("SANDWARP_GPU") != "1" {
		t.Skip("SANDWARP_GPU=1 compares the emulator with the GPU")
	}
	drv, err := cuda.Open()
	if err != nil {
		t.Fatal(err)
	}
	gpu, err := drv.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.Close()
	if err := gpu.Enter(); err != nil {
		t.Fatal(err)
	}
	defer gpu.Leave()
	emulator, err := emu.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Close()
	programs := 300
	if testing.Short() {
		programs = 30
	}
	for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
		t.Run(target.Arch, func(t *testing.T) {
			if i := gpu.Info(); target.Hopper() && (i.Major != 9 || i.Minor != 0) {
				t.Skipf("%s has compute capability %d.%d, not 9.0", i.Name, i.Major, i.Minor)
			}
			n, err := emufuzz.Fuzz(emulator, gpu, target, programs, 1, os.Stdout)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				t.Errorf("%d differences between the emulator (first) and %s (second)", n, gpu.Info().Name)
			}
		})
	}
}
