//go:build nogpu

package main

import "errors"

// findGPUs finds none: the program was built without the GPU backend, and so needs no
// dynamic linker.
func findGPUs() ([]gpu, string) { return nil, "" }

func gpuLimits() (copied, flops float64, err error) {
	return 0, 0, errors.New("built without the GPU backend")
}
