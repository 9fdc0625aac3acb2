package ptxbackend

import timing "github.com/sandwarp/sandwarp/ptxbackend/internal/measure"

// Limits are what a GPU itself can do; shares in benchmarks are shares of them.
type Limits struct {
	Copy   float64 // bytes a second that a copy within its memory reads and writes
	Read   float64 // bytes a second, reading alone
	Matrix float64 // floating-point operations a second: products of halves, sums in 32 bits
}

// MeasureLimits measures the GPU that New opens, in about a second and with up to 4
// GiB of its memory.
func MeasureLimits() (Limits, error) {
	b, err := New()
	if err != nil {
		return Limits{}, err
	}
	defer b.Close()
	g := b.(*gpu)
	m, err := timing.New(g.dev, g.target)
	if err != nil {
		return Limits{}, g.fail("measure the device", err)
	}
	defer m.Close()
	l, err := m.Limits()
	if err != nil {
		return Limits{}, g.fail("measure the device", err)
	}
	return Limits{Copy: l.Copy, Read: l.Read, Matrix: l.Matrix()}, nil
}
