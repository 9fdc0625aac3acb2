package gguf

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop gives back the memory of the whole pages of b, a view of f's tensor data. The
// bytes stay readable: they come from the system's cache of the file, or its disk,
// when they are read again. Nothing happens where f is not mapped. Safe for
// concurrent use.
func (f *File) Drop(b []byte) {
	if f.unmap == nil || len(b) == 0 {
		return
	}
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (page - 1)
	if skip >= len(b) {
		return
	}
	if b = b[skip : skip+(len(b)-skip)/page*page]; len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // memory that is not given back does no harm
	}
}
