//go:build windows && (amd64 || arm64)

package cuda

import (
	"fmt"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// libraryPaths are where the library may be: the driver installs it with Windows.
var libraryPaths = []string{"nvcuda.dll"}

// openLibrary opens the first of paths that can be; a plain name is looked for
// only in the system's folder, so that no DLL lying about is taken for it.
func openLibrary(paths []string) (handle uintptr, path string, err error) {
	for _, p := range paths {
		flags := uintptr(windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
		if filepath.IsAbs(p) {
			flags = windows.LOAD_WITH_ALTERED_SEARCH_PATH
		}
		h, e := windows.LoadLibraryEx(p, 0, flags)
		if e == nil {
			return uintptr(h), p, nil
		}
		if err == nil {
			err = fmt.Errorf("%s: %w; install NVIDIA's driver", p, e)
		}
	}
	return 0, "", err
}

// findSymbol is the address of a function, 0 if the library lacks it.
func findSymbol(handle uintptr, name string) uintptr {
	p, err := windows.GetProcAddress(windows.Handle(handle), name)
	if err != nil {
		return 0
	}
	return p
}

// invoke calls a C function.
func invoke(fn uintptr, args []uintptr) uintptr {
	r, _, _ := syscall.SyscallN(fn, args...)
	return r
}

// mapMemory returns zeroed memory outside the Go heap, at a page's start.
func mapMemory(bytes int) ([]byte, error) {
	p, err := windows.VirtualAlloc(0, uintptr(bytes), windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, fmt.Errorf("cuda: VirtualAlloc of %d bytes: %w", bytes, err)
	}
	// The address is not the Go heap's, so nothing moves it.
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), bytes), nil
}

func unmapMemory(b []byte) {
	_ = windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, windows.MEM_RELEASE)
}

// threadID identifies the thread the goroutine runs on.
func threadID() int { return int(windows.GetCurrentThreadId()) }

// driverBuild is not asked for here.
func driverBuild() string { return "" }
