//go:build !nogpu

package main

import (
	"fmt"
	"io"

	"github.com/sandwarp/sandwarp/ptxbackend" // also registers the backend "ptx"
)

// listGPUs writes a line for each GPU, or why there is none.
func listGPUs(out io.Writer) error {
	list, about, err := ptxbackend.Devices()
	if err != nil {
		_, err = fmt.Fprintf(out, "ptx  no GPU: %v\n", err)
		return err
	}
	if len(list) == 0 {
		_, err = fmt.Fprintf(out, "ptx  no GPU: the driver (%s) lists none\n", about)
		return err
	}
	for _, d := range list {
		kernels := "kernels " + d.Kernels
		if d.Kernels == "" {
			kernels = "not usable: compute capability 8.0 is needed"
		}
		if _, err := fmt.Fprintf(out, "ptx  %d: %s, %d multiprocessors, %d MiB, capability %s, %s, driver %s\n",
			d.Number, d.Name, d.SMs, d.Memory>>20, d.Capability, kernels, about); err != nil {
			return err
		}
	}
	return nil
}

// gpuLimits measures the GPU: bytes a second of a copy, and floating-point
// operations a second.
func gpuLimits() (copied, flops float64, err error) {
	l, err := ptxbackend.MeasureLimits()
	return l.Copy, l.Matrix, err
}
