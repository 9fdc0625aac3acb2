//go:build !linux

package enginetest

import "time"

// threadTime is not told here.
func threadTime() time.Duration { return 0 }
