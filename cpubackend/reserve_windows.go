package cpubackend

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// reservation is zeroed memory outside the Go heap that takes physical room only
// where it has been written; all of it counts against the system's commit limit.
type reservation struct{ bytes []byte }

func reserve(n int) (reservation, error) {
	if n == 0 {
		return reservation{}, nil
	}
	addr, err := windows.VirtualAlloc(0, uintptr(n), windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return reservation{}, err
	}
	// The address is no Go pointer, so reading it through one is safe.
	return reservation{unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), n)}, nil
}

func (r *reservation) release() error {
	b := r.bytes
	if r.bytes = nil; b == nil {
		return nil
	}
	return windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, windows.MEM_RELEASE)
}
