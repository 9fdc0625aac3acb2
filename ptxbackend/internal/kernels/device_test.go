package kernels

import (
	"os"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// openDevice returns the device kernels are tested on: an emulated one of the
// target's generation, or the first real one where SANDWARP_GPU is 1. That runs
// what is written for sm_80 too.
func openDevice(t testing.TB, target ptx.Target) driver.Device {
	t.Helper()
	if os.Getenv("SANDWARP_GPU") != "1" {
		info := driver.Info{Name: "emulated " + target.Arch, Major: 8}
		if target.Hopper() {
			info.Major = 9
		}
		dev, err := emu.New(emu.Options{Info: info}).Open(0)
		must(t, err)
		return dev
	}
	drv, err := cuda.Open()
	must(t, err)
	dev, err := drv.Open(0)
	must(t, err)
	if i := dev.Info(); target.Hopper() && (i.Major != 9 || i.Minor != 0) {
		must(t, dev.Close())
		t.Skipf("%s has compute capability %d.%d, not 9.0", i.Name, i.Major, i.Minor)
	}
	return dev
}
