//go:build noasm || (!amd64 && !arm64)

package kernels

func archSets() []*isa { return nil }
