package main

import "github.com/sandwarp/sandwarp/cpubackend"

// limits are what the machine a model runs on can do.
type limits struct {
	cpu        cpubackend.Limits
	copy, flop float64 // of the GPU, if the whole model runs there
}

func (l limits) larger(o limits) limits {
	return limits{l.cpu.Max(o.cpu), max(l.copy, o.copy), max(l.flop, o.flop)}
}

// meter measures the machine of a backend. A model that is split between two has no
// limit of its own.
type meter struct {
	cpu *cpubackend.Meter
	gpu bool
}

func newMeter(backend string, threads int) (m *meter, err error) {
	m = &meter{gpu: backend == "ptx"}
	if backend == "cpu" {
		m.cpu, err = cpubackend.NewMeter(threads)
	}
	return m, err
}

func (m *meter) measure() (l limits, err error) {
	switch {
	case m.cpu != nil:
		l.cpu = m.cpu.Measure()
	case m.gpu:
		l.copy, l.flop, err = gpuLimits()
	}
	return l, err
}

func (m *meter) close() {
	if m.cpu != nil {
		_ = m.cpu.Close() // it held nothing but memory
	}
}
