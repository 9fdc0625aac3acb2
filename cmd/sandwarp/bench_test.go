package main

import (
	"bytes"
	"strings"
	"testing"
)

// A model split between two backends is no share of either's limits.
func TestBenchSplit(t *testing.T) {
	l, err := measureLimits("cpu+ptx", 1)
	if err != nil || l != (limits{}) {
		t.Errorf("%+v, %v", l, err)
	}
	var out bytes.Buffer
	b := &bencher{io: streams{out: &out}}
	if err := b.table([]benchResult{{Backend: "cpu+ptx", Test: "tg8", Threads: 1, Rate: 20, Samples: []float64{20}}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got := strings.Fields(lines[len(lines)-1]); len(got) < 6 || got[4] != "-" || got[5] != "-" {
		t.Errorf("%q", got)
	}
}
