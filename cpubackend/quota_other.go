//go:build !linux

package cpubackend

// quota is how many processors' time this process may use; 0 if there is no limit
// but their number.
func quota() float64 { return 0 }
