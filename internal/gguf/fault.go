package gguf

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// Guard runs fn, which reads views of f, and returns an error wrapping
// ErrTruncated if a page of the file could not be read: it was truncated on disk
// while mapped, or the disk failed. Such a fault would otherwise end the process.
// Any other panic of fn goes on.
//
// The protection covers this goroutine alone. A long-lived worker calls
// debug.SetPanicOnFault(true) once itself and hands what it recovers to FaultError.
func Guard(f *File, fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if err = f.FaultError(r); err == nil {
				panic(r)
			}
		}
	}()
	fn()
	return nil
}

// FaultError turns what recover returned into an error if it is a memory fault
// inside this file's mapping, and returns nil for everything else: that panic is
// not about the file and must go on.
func (f *File) FaultError(recovered any) error {
	fault, ok := recovered.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok || !f.Contains(fault.Addr()) {
		return nil
	}
	at := int64(fault.Addr() - f.base())
	return &FormatError{
		File: f.Name, Field: f.placeName(at), Offset: at, cause: ErrTruncated,
		Reason: fmt.Sprintf("the page cannot be read any more: the file, %d bytes when it was opened, was truncated or its disk failed; restore the file and load it again", len(f.data)),
	}
}

// Contains reports whether an address lies in the file's mapping, whose last page
// is mapped to its end.
func (f *File) Contains(addr uintptr) bool {
	size := uintptr(len(f.data))
	if f.unmap != nil {
		page := uintptr(os.Getpagesize())
		size = (size + page - 1) / page * page
	}
	return !f.closed.Load() && addr-f.base() < size
}

func (f *File) base() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(f.data))) }

// placeName says what a file offset holds. Faults report the page or the byte,
// whichever the system knows, so the name is a hint.
func (f *File) placeName(at int64) string {
	for i := len(f.byPlace) - 1; i >= 0; i-- {
		if t := f.tensors[f.byPlace[i]]; t.Offset <= at {
			return fmt.Sprintf("data of tensor %q", t.Name)
		}
	}
	return "header"
}
