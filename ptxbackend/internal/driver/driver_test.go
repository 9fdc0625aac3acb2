package driver

import (
	"errors"
	"fmt"
	"testing"
)

// TestErrorIs says which codes callers branch on.
func TestErrorIs(t *testing.T) {
	for code, want := range map[int]error{
		CodeOutOfMemory: ErrNoMemory, CodeNoDevice: ErrNoDriver, CodeSystemNotReady: ErrNoDriver, CodeDriverMismatch: ErrNoDriver,
		CodeIllegalAddress: ErrLost, CodeLaunchFailed: ErrLost, CodeECCUncorrectable: ErrLost, CodeUnknown: ErrLost, CodeInvalidPC: ErrLost,
		CodeInvalidValue: nil, CodeInvalidPTX: nil, CodeLaunchResources: nil,
		713: nil, 720: nil, // memory that is not registered, a cooperative launch too large: mistakes, not the end
	} {
		err := fmt.Errorf("wrapped: %w", &Error{Op: "cuX", Code: code, Name: "N"})
		for _, e := range []error{ErrNoMemory, ErrNoDriver, ErrLost} {
			if got := errors.Is(err, e); got != (e == want) {
				t.Errorf("code %d: errors.Is(%v) is %v", code, e, got)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Op: "cuX", Code: 1, Name: "N"}
	if got := e.Error(); got != "cuX: N (1)" {
		t.Errorf("got %q", got)
	}
	e.Detail = "do that"
	if got := e.Error(); got != "cuX: N (1): do that" {
		t.Errorf("got %q", got)
	}
}

func TestInfo(t *testing.T) {
	i := Info{Name: "NVIDIA H200", Major: 9, SMs: 132, Memory: 150754820096, MemoryClockKHz: 3201000, BusBits: 6144}
	if got, want := i.String(), "NVIDIA H200, sm_90, 132 multiprocessors, 140.4 GiB at 4917 GB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
