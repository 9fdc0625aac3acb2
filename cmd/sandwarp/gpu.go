//go:build !nogpu

package main

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend" // also registers the backend "ptx"
)

// findGPUs lists the GPUs, or says why there is none.
func findGPUs() (list []gpu, none string) {
	found, about, err := ptxbackend.Devices()
	switch {
	case err != nil:
		return nil, err.Error()
	case len(found) == 0:
		return nil, fmt.Sprintf("the driver (%s) lists none", about)
	}
	for _, d := range found {
		list = append(list, gpu{
			Number: d.Number, Name: d.Name, SMs: d.SMs, Memory: d.Memory,
			Capability: d.Capability, Kernels: d.Kernels, Driver: about,
		})
	}
	return list, ""
}

// gpuLimits measures the GPU: bytes a second of a copy, and floating-point
// operations a second.
func gpuLimits() (copied, flops float64, err error) {
	l, err := ptxbackend.MeasureLimits()
	return l.Copy, l.Matrix, err
}
