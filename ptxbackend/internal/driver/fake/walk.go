package fake

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Walk runs run over a wrapped driver once for every call it makes, and fails that
// call: with each of codes in turn, at most `most` calls of an operation, spread
// over all of them (0 for every one). wrap makes a driver for each run. report hears
// of each run: where it failed, what run returned, and what it left alive. An error
// of the first run, in which nothing fails, ends the walk.
func Walk(wrap func() *Driver, run func(driver.Driver) error, codes []int, most int, report func(p Point, err, leaks error)) error {
	d := wrap()
	if err := run(d); err != nil {
		return fmt.Errorf("fake: with nothing failing: %w", err)
	}
	if err := d.Leaks(); err != nil {
		return fmt.Errorf("fake: with nothing failing: %w", err)
	}
	for _, op := range slices.Sorted(maps.Keys(d.counts)) {
		for _, nth := range spread(d.counts[op], most) {
			for _, code := range codes {
				p := Point{op, nth, code}
				d := wrap()
				d.Fail(op, nth, code)
				err := run(d)
				report(p, err, d.Leaks())
			}
		}
	}
	return nil
}

// spread picks at most `most` of 1..n, first and last among them.
func spread(n, most int) []int {
	if most <= 0 || n <= most {
		most = n
	}
	var out []int
	for i := range most {
		at := n
		if most > 1 {
			at = 1 + i*(n-1)/(most-1)
		}
		out = append(out, at)
	}
	return out
}
