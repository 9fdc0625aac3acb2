package ptxbackend

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Device describes a GPU of this machine.
type Device struct {
	// Number chooses it in SANDWARP_CUDA_DEVICE.
	Number     int
	Name       string
	UUID       string
	Capability string // "9.0"
	SMs        int    // multiprocessors
	Memory     int64  // bytes in all
	// Kernels is what kernels are compiled for on it, "sm_90a"; empty if the
	// backend cannot use it.
	Kernels string
}

// Devices lists the GPUs the NVIDIA driver knows, and what the driver is: "CUDA
// 13.0, PTX 9.0". The error says why there is no driver, where there is none. Safe
// for concurrent use.
func Devices() (list []Device, about string, err error) {
	drv, err := cuda.Open()
	if err != nil {
		return nil, "", failure("open the driver", err)
	}
	return devicesOf(drv)
}

func devicesOf(drv driver.Driver) (list []Device, about string, err error) {
	infos, err := drv.Devices()
	if err != nil {
		return nil, "", failure("list the devices", err)
	}
	for _, i := range infos {
		d := Device{Number: i.Ordinal, Name: i.Name, UUID: i.UUID, Capability: fmt.Sprintf("%d.%d", i.Major, i.Minor), SMs: i.SMs, Memory: i.Memory}
		if i.Major >= 8 {
			d.Kernels = i.Target().Arch
		}
		list = append(list, d)
	}
	return list, driver.About(drv), nil
}
