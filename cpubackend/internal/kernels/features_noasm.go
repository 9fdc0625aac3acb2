//go:build noasm || !amd64

package kernels

func archSets() []*isa { return nil }
