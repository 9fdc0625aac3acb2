//go:build !unix

package backendtest

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

func testWeightsLost(t *testing.T, _ func() backend.Backend) {
	t.Skip("a mapped file cannot be truncated on this system")
}
