package cpubackend

import (
	"runtime"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	m, err := NewMeter(2)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first, second := m.Measure(), m.Measure()
	l := first.Max(second)
	t.Logf("%s (%s): %.1f GB/s, %.0f GOP/s int8, %.0f GFLOP/s", CPUName(), Features(), l.ReadBandwidth/1e9, l.IntPeak/1e9, l.FloatPeak/1e9)
	// Anything that runs Go reads over 50 MB/s and is far from 10 PB/s.
	for _, v := range []float64{first.ReadBandwidth, first.IntPeak, first.FloatPeak, second.ReadBandwidth, second.IntPeak, second.FloatPeak} {
		if !(v > 5e7 && v < 1e16) {
			t.Errorf("implausible: %+v, %+v", first, second)
		}
	}
	if l.ReadBandwidth < second.ReadBandwidth || l.IntPeak < first.IntPeak || l.FloatPeak < second.FloatPeak {
		t.Errorf("%+v is not the larger of %+v and %+v", l, first, second)
	}
	if CPUName() == "" || Features() == "" {
		t.Error("the processor or its features have no name")
	}
}

// The time of workers that share a core counts from the first that begins, whichever
// that is: from a later one it would be short, and what was measured too good.
func TestTogetherFromTheFirstStart(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 10 {
		var began, ended [3]time.Time
		took := together(len(began), func(i int) {
			began[i] = time.Now()
			for time.Since(began[i]) < 2*time.Millisecond {
			}
			ended[i] = time.Now()
		})
		first, last := began[0], ended[0]
		for i := range began {
			if began[i].Before(first) {
				first = began[i]
			}
			if ended[i].After(last) {
				last = ended[i]
			}
		}
		if want := last.Sub(first); took < want {
			t.Errorf("took %v, the workers %v", took, want)
		}
	}
}
