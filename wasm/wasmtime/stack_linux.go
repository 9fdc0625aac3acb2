//go:build cgo && (amd64 || arm64)

package wasmtime

import "golang.org/x/sys/unix"

// maxStack is the stack a guest may use, in bytes. Guests run on the stacks of
// threads that Go makes with the C library's default, the limit of the process: a
// guest gets half of it, at most 4 MiB, and the host functions it calls the rest.
// Before that, the metered module's own bound ends most recursions.
func maxStack() int {
	var l unix.Rlimit
	const unlimited = 1 << 40 // then the C library takes 2 MiB
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &l); err != nil || l.Cur > unlimited {
		return 1 << 20
	}
	return int(min(max(l.Cur/2, 256<<10), 4<<20))
}
