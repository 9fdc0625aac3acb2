package cpubackend

import "golang.org/x/sys/unix"

// noReserve keeps untouched memory out of the system's commit accounting.
const noReserve = unix.MAP_NORESERVE
