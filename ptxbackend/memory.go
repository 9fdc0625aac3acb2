package ptxbackend

import (
	"errors"
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// memory is what one owner has of the device, given back in one go. Its methods are
// called with the device entered.
type memory struct {
	gpu    *gpu
	device []driver.Ptr
	host   [][]byte
	bytes  int64 // of the device
}

// alloc returns device memory, for what the message of an error calls it. No bytes
// are the null address.
func (m *memory) alloc(what string, bytes int64) (driver.Ptr, error) {
	if bytes == 0 {
		return 0, nil
	}
	p, err := m.gpu.dev.Alloc(bytes)
	if err != nil {
		return 0, m.gpu.fail(fmt.Sprintf("%s, %s", what, size(bytes)), err)
	}
	m.device = append(m.device, p)
	m.bytes += bytes
	return p, nil
}

// pinned returns page-locked host memory.
func (m *memory) pinned(what string, bytes int) ([]byte, error) {
	if bytes == 0 {
		return nil, nil
	}
	b, err := m.gpu.dev.HostAlloc(bytes)
	if err != nil {
		return nil, m.gpu.fail(fmt.Sprintf("%s, %s of the host's memory", what, size(int64(bytes))), err)
	}
	m.host = append(m.host, b)
	return b, nil
}

// release gives everything back. Twice is fine.
func (m *memory) release() error {
	var errs []error
	for _, p := range m.device {
		errs = append(errs, m.gpu.dev.Free(p))
	}
	for _, b := range m.host {
		errs = append(errs, m.gpu.dev.HostFree(b))
	}
	m.device, m.host, m.bytes = nil, nil, 0
	return m.gpu.ignoreIfLost(errors.Join(errs...))
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", bytes)
}

func roundUp[T int | int64](n, to T) T { return (n + to - 1) / to * to }
