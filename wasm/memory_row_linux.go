package wasm

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/sandwarp/sandwarp/abi"
)

// rowAlign is what rows in a frame must be multiples of to be mapped; 0 if they
// cannot.
func rowAlign() uint32 {
	if size := os.Getpagesize(); size <= abi.WindowAlign {
		return uint32(size)
	}
	return 0
}

// rowBytes is a row's size in whole pages.
func rowBytes(vocab int) int {
	size := int(rowAlign())
	if size == 0 {
		return 0
	}
	return (4*vocab + size - 1) / size * size
}

func newRowFile(bytes int) *rowFile {
	fd, err := unix.MemfdCreate("sandwarp-rows", unix.MFD_CLOEXEC)
	if err != nil {
		return nil
	}
	return &rowFile{fd: fd, bytes: bytes}
}

// open maps the row at an offset for the host.
func (f *rowFile) open(at int64) *sharedRow {
	if at == f.next && unix.Ftruncate(f.fd, at+int64(f.bytes)) != nil {
		return nil
	}
	b, err := unix.Mmap(f.fd, at, f.bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	return &sharedRow{mem: b, at: at}
}

// discard gives a row's memory back to the system.
func (f *rowFile) discard(r *sharedRow) {
	// Fails only where the system cannot; then the row is cleared when it is read.
	if unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, r.at, int64(f.bytes)) != nil {
		clear(r.mem)
	}
	_ = unix.Munmap(r.mem)
}

// mapInto maps the row into a guest's memory.
func (r *sharedRow) mapInto(m *linear, off uint32) bool {
	if uint64(off)+uint64(len(r.mem)) > m.size || int(off)%os.Getpagesize() != 0 {
		return false
	}
	sharedRows.mu.Lock()
	fd := sharedRows.files[len(r.mem)].fd
	sharedRows.mu.Unlock()
	_, err := unix.MmapPtr(fd, r.at, m.at(off), uintptr(len(r.mem)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_POPULATE)
	return err == nil
}

// unmapPages puts zeros of the guest's own in a row's place.
func unmapPages(m *linear, off uint32, n int) bool {
	_, err := unix.MmapPtr(-1, 0, m.at(off), uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED)
	return err == nil
}
