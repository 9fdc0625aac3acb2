//go:build !noasm

package kernels

func archSets() []*isa { return nil }
