//go:build linux && !android && (amd64 || arm64)

package cuda

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// libraryPaths are where the library may be: where the loader looks, and where
// WSL, container runtimes and NixOS put it without telling the loader.
var libraryPaths = []string{
	"libcuda.so.1",
	"/usr/lib/wsl/lib/libcuda.so.1",
	"/usr/local/nvidia/lib64/libcuda.so.1",
	"/run/opengl-driver/lib/libcuda.so.1",
}

// openLibrary opens the first of paths that can be.
func openLibrary(paths []string) (handle uintptr, path string, err error) {
	runtime.LockOSThread() // the loader keeps its reason by thread
	defer runtime.UnlockOSThread()
	var first error
	for _, p := range paths {
		h, err := purego.Dlopen(p, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err == nil {
			return h, p, nil
		}
		if first == nil {
			first = err
		}
	}
	return 0, "", fmt.Errorf("%w; install NVIDIA's driver, or in a container start it with the NVIDIA container toolkit (--gpus all)", first)
}

// findSymbol is the address of a function, 0 if the library lacks it.
func findSymbol(handle uintptr, name string) uintptr {
	p, err := purego.Dlsym(handle, name)
	if err != nil {
		return 0
	}
	return p
}

// invoke calls a C function.
func invoke(fn uintptr, args []uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// mapMemory returns zeroed memory outside the Go heap, at a page's start.
func mapMemory(bytes int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("cuda: mmap of %d bytes: %w", bytes, err)
	}
	return b, nil
}

func unmapMemory(b []byte) { _ = unix.Munmap(b) }

// threadID identifies the thread the goroutine runs on.
func threadID() int { return unix.Gettid() }

// driverBuild is the version of the loaded kernel module, "" if it is not known.
func driverBuild() string {
	b, err := os.ReadFile("/sys/module/nvidia/version")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return strings.TrimSpace(string(b))
}
