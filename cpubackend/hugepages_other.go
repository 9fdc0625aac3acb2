//go:build !linux

package cpubackend

func preferHugePages([]byte) {}
