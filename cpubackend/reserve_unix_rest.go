//go:build unix && !linux

package cpubackend

const noReserve = 0
