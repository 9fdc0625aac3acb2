//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package wasm

import (
	"os"

	"golang.org/x/sys/unix"
)

func reserve(n uint64) []byte {
	if n == 0 {
		return nil
	}
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b
}

// commit makes b[from:to] readable and writable; it is zero.
func commit(b []byte, from, to uint64) bool {
	page := uint64(os.Getpagesize())
	from &^= page - 1
	to = min((to+page-1)&^(page-1), uint64(len(b)))
	return unix.Mprotect(b[from:to], unix.PROT_READ|unix.PROT_WRITE) == nil
}

func release(b []byte) {
	if b != nil {
		// Fails only for an address that is not a mapping of ours.
		_ = unix.Munmap(b)
	}
}
