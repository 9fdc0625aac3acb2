//go:build unix

package cpubackend

import (
	"syscall"
	"testing"
	"time"
)

// processTime is the processor time this process has used.
func processTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
