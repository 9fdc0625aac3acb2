package wasm

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func reserve(n uint64) []byte {
	if n == 0 {
		return nil
	}
	p, err := windows.VirtualAlloc(0, uintptr(n), windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n)
}

// commit makes b[from:to] readable and writable; it is zero.
func commit(b []byte, from, to uint64) bool {
	p := uintptr(unsafe.Pointer(&b[from]))
	_, err := windows.VirtualAlloc(p, uintptr(to-from), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err == nil
}

func release(b []byte) {
	if b != nil {
		// Fails only for an address that is not a reservation of ours.
		_ = windows.VirtualFree(uintptr(unsafe.Pointer(&b[0])), 0, windows.MEM_RELEASE)
	}
}
