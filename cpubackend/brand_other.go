//go:build !linux && !darwin

package cpubackend

import "os"

// brandName is what Windows says; other systems have no such variable.
func brandName() string { return os.Getenv("PROCESSOR_IDENTIFIER") }
