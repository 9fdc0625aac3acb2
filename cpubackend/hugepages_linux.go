package cpubackend

import "golang.org/x/sys/unix"

// preferHugePages asks for pages of 2 MiB: the same memory takes a five-hundredth of
// the faults and of the entries in the address translation.
func preferHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
