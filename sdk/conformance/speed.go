package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// speed says how long calls took, and how long one may take that uses all of the fuel
// the plugin declares.
func (c *checker) speed() (string, error) {
	n := len(c.calls)
	if n == 0 {
		return "", errNotHere
	}
	times := make([]time.Duration, n)
	for i, one := range c.calls {
		times[i] = one.time
	}
	slices.Sort(times)
	p50, p99 := times[n/2], times[n*99/100]
	if p99 > c.opt.P99 {
		return "", fmt.Errorf("p50 %v, p99 %v; at most %v wanted", p50, p99, c.opt.P99)
	}
	detail := fmt.Sprintf("p50 %v, p99 %v", p50, p99)
	fuel := min(c.p.Manifest().Fuel, mostFuel)
	if fuel == 0 {
		return detail, nil
	}
	worst := p50 + time.Duration(float64(fuel)*perInstruction(c.calls))
	detail += fmt.Sprintf("; a call with all its fuel takes about %v", worst.Round(worst/100+1))
	if worst > c.opt.P99 {
		detail += fmt.Sprintf(", more than %v: declare less if you can", c.opt.P99)
	}
	return detail, nil
}

// perInstruction is about how many nanoseconds one takes, told from how much longer the
// calls with the most instructions took than usual ones: what the host does besides is
// in both. Of calls that hardly differ nothing can be told; then it is what the ABI says
// a unit of fuel takes at most.
func perInstruction(calls []call) float64 {
	const atMost, differ = 1.0, 20_000
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.fuel, b.fuel) })
	n := len(calls)
	usual, most := middle(calls[n/4:n-n/4]), middle(calls[n-max(n/100, 1):])
	if most.fuel < usual.fuel+differ || most.time <= usual.time {
		return atMost
	}
	return float64(most.time-usual.time) / float64(most.fuel-usual.fuel)
}

// middle has the median of the times and of the instructions.
func middle(calls []call) (m call) {
	times, fuels := make([]time.Duration, len(calls)), make([]uint64, len(calls))
	for i, c := range calls {
		times[i], fuels[i] = c.time, c.fuel
	}
	slices.Sort(times)
	slices.Sort(fuels)
	if n := len(calls); n > 0 {
		m = call{times[n/2], fuels[n/2]}
	}
	return m
}
