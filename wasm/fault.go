package wasm

import (
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	ErrClosed   = errors.New("plugin is closed")
	ErrKind     = errors.New("plugin is of another kind")
	ErrSequence = errors.New("no such open sequence")
	// ErrBusy means that all instances are full of open sequences.
	ErrBusy = errors.New("too many open sequences; raise Options.Instances")
)

// Reason is why a plugin failed.
type Reason string

// The reasons.
const (
	ReasonTrap    Reason = "trap"            // unreachable, division by zero, memory access out of bounds ...
	ReasonFuel    Reason = "out of fuel"     // used more instructions than allowed
	ReasonStack   Reason = "stack exhausted" // recursed too deeply
	ReasonPointer Reason = "bad pointer"     // answered with a range outside its memory
	ReasonResult  Reason = "bad result"      // answered something the ABI does not allow
	ReasonError   Reason = "error"           // reported an error of its own
	ReasonBreaker Reason = "breaker open"    // was not called, after repeated faults
)

// Fault is the failure of a plugin in a call.
type Fault struct {
	Plugin string
	Call   string // the export
	Reason Reason
	Detail string
}

func (f *Fault) Error() string {
	s := fmt.Sprintf("plugin %s: %s: %s", f.Plugin, f.Call, f.Reason)
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

// torn says that the instance's state cannot be trusted any more.
func (f *Fault) torn() bool { return f.Reason != ReasonError && f.Reason != ReasonBreaker }
