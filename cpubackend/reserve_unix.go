//go:build unix

package cpubackend

import "golang.org/x/sys/unix"

// reservation is zeroed memory outside the Go heap that takes room only where it
// has been written.
type reservation struct{ bytes []byte }

func reserve(n int) (reservation, error) {
	if n == 0 {
		return reservation{}, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|noReserve)
	return reservation{b}, err
}

func (r *reservation) release() error {
	b := r.bytes
	if r.bytes = nil; b == nil {
		return nil
	}
	return unix.Munmap(b)
}
