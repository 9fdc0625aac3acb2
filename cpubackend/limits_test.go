package cpubackend

import "testing"

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
