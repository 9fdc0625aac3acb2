package gguf

import (
	"errors"
	"fmt"
)

// ErrTruncated is what a FormatError wraps when the file ends before what its
// header promises, at opening or later, while it is mapped.
var ErrTruncated = errors.New("gguf: the file is truncated")

// FormatError says what is wrong with a file, where, and what to do about it.
type FormatError struct {
	File   string // path, or the name given to Parse
	Field  string // what was being read: `metadata "general.alignment"`, `tensor "output.weight" offset`
	Offset int64  // where that is in the file, in bytes from the start
	Reason string

	cause error // ErrTruncated or nil
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("gguf: %s: %s at byte %d: %s", e.File, e.Field, e.Offset, e.Reason)
}

// Unwrap makes errors.Is(err, ErrTruncated) work.
func (e *FormatError) Unwrap() error { return e.cause }
