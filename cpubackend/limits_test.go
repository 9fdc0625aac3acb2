package cpubackend

import "testing"

func TestMeasureLimits(t *testing.T) {
	l := MeasureLimits(2)
	t.Logf("%s (%s): %.1f GB/s, %.0f GOP/s int8, %.0f GFLOP/s", CPUName(), Features(), l.ReadBandwidth/1e9, l.IntPeak/1e9, l.FloatPeak/1e9)
	// Anything that runs Go reads over 50 MB/s and is far from 10 PB/s.
	for _, v := range []float64{l.ReadBandwidth, l.IntPeak, l.FloatPeak} {
		if !(v > 5e7 && v < 1e16) {
			t.Errorf("implausible: %+v", l)
		}
	}
	if CPUName() == "" || Features() == "" {
		t.Error("the processor or its features have no name")
	}
}
