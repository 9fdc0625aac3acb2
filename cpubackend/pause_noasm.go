//go:build !(amd64 || arm64) || noasm

package cpubackend

// pause lets a little time pass.
//
//go:noinline
func pause(n uint32) {
	for range n {
	}
}
