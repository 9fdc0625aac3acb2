//go:build (amd64 || arm64) && !noasm

package cpubackend

// pause tells the processor n times (at least 1) that it is in a spinning loop.
//
//go:noescape
func pause(n uint32)
