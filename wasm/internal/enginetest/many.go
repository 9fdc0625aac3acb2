package enginetest

import (
	"flag"
	"testing"
)

// make reliability-wasm runs the tests in full length.
var reliability = flag.Bool("reliability", false, "run tests of reliability in full length")

// Many is how often something is tried: in a short, a normal, or a full test run.
func Many(short, normal, full int) int {
	switch {
	case *reliability:
		return full
	case testing.Short():
		return short
	}
	return normal
}
