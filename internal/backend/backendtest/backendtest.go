// Package backendtest is the conformance test of a backend: what it computes is
// compared with plan/ref in float64, and what it promises (the rules of package
// backend) is tried out. A backend's own test says
//
//	func TestConformance(t *testing.T) { backendtest.Run(t, New) }
//
// Models are small and random, the same in every run.
package backendtest

import (
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Options say what is special about a backend.
type Options struct {
	// Tolerance is how far, in relative RMS, logits may be from float64 with
	// weights and a KV cache of these formats; nil for what int8 activations and
	// otherwise float32 give.
	Tolerance func(weights tensor.DType, cache backend.KVType) float64
	// Emulated is for hardware that is emulated: it leaves out what takes longest and
	// caches in Q8_0, which only the CPU has, and does not count allocations, which
	// the emulator may make.
	Emulated bool
}

// under is the backend under test.
type under struct {
	open func() backend.Backend
	Options
}

// Run tests the backend that open starts; each test starts its own. -short leaves
// most weight formats out.
func Run(t *testing.T, open func() backend.Backend) { RunWith(t, open, Options{}) }

// RunWith is Run with options.
func RunWith(t *testing.T, open func() backend.Backend, o Options) {
	for _, c := range []struct {
		name string
		test func(*testing.T, under)
	}{
		{"Logits", testLogits},
		{"Schedules", testSchedules},
		{"FusedAndNot", testFused},
		{"DecodeIsPrefill", testDecodeIsPrefill},
		{"Threads", testThreads},
		{"CopyPage", testCopyPage},
		{"Split", testSplit},
		{"NoLogits", testNoLogits},
		{"BadBatches", testBadBatches},
		{"BadLimits", testBadLimits},
		{"Cancel", testCancel},
		{"Concurrent", testConcurrent},
		{"NoAllocation", testNoAllocation},
		{"Close", testClose},
		{"WeightsLost", testWeightsLost},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, under{open, o}) })
	}
}

// tolerance is how far, in relative RMS, logits may be from float64: rounded
// activations dominate, then the cache. Eight bits of keys and values are what
// eight bits of activations are: a number is off by up to a 254th of the largest in
// its block, evenly spread.
func (u under) tolerance(weights tensor.DType, cache backend.KVType) float64 {
	switch {
	case u.Tolerance != nil:
		return u.Tolerance(weights, cache)
	case weights.BlockElems() > 1 || cache == backend.KVQ8_0:
		return 6e-2
	case weights != tensor.F32 || cache != backend.KVF32:
		return 5e-3
	}
	return 1e-5
}

// relRMS is sqrt(sum (a-b)^2 / sum b^2).
func relRMS[F float32 | float64](a [][]float32, b [][]F) float64 {
	num, den := 0.0, 0.0
	for r := range b {
		for i, y := range b[r] {
			d := float64(a[r][i]) - float64(y)
			num += d * d
			den += float64(y) * float64(y)
		}
	}
	return math.Sqrt(num / den)
}

// near fails the test unless got is within tol of want. NaN is far from anything.
func near[F float32 | float64](t *testing.T, got [][]float32, want [][]F, tol float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d rows of logits, want %d", len(got), len(want))
	}
	if e := relRMS(got, want); !(e <= tol) {
		t.Errorf("logits differ by %.2g relative RMS, at most %.2g allowed", e, tol)
	}
}
