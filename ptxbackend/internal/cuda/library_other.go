//go:build !(linux && !android && (amd64 || arm64)) && !(windows && (amd64 || arm64))

package cuda

import (
	"fmt"
	"runtime"
)

// There is no driver here: Open fails in openLibrary, and nothing else is reached.
var libraryPaths []string

var errPlatform = fmt.Errorf("NVIDIA GPUs are used on Linux and Windows (amd64, arm64), not on %s/%s", runtime.GOOS, runtime.GOARCH)

func openLibrary([]string) (uintptr, string, error) { return 0, "", errPlatform }
func findSymbol(uintptr, string) uintptr            { return 0 }
func invoke(uintptr, []uintptr) uintptr             { return codeNotSupported }
func mapMemory(int) ([]byte, error)                 { return nil, errPlatform }
func unmapMemory([]byte)                            {}
func threadID() int                                 { return 0 }
func driverBuild() string                           { return "" }
