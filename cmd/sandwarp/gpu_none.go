//go:build nogpu

package main

import (
	"errors"
	"io"
)

// listGPUs has nothing to say: the program was built without the GPU backend, and
// so needs no dynamic linker.
func listGPUs(io.Writer) error { return nil }

func gpuLimits() (copied, flops float64, err error) {
	return 0, 0, errors.New("built without the GPU backend")
}
