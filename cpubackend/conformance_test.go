package cpubackend

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend/backendtest"
)

func TestConformance(t *testing.T) { backendtest.Run(t, New) }
