package tensor

import (
	"math"
	"testing"
)

func TestF16Widens(t *testing.T) {
	for h := range 1 << 16 {
		if got, want := F16ToF32(uint16(h)), slowF16(uint16(h)); !sameBits(got, want) {
			t.Fatalf("%#04x widens to %v, want %v", h, got, want)
		}
	}
	if got := math.Float32bits(F16ToF32(0xfc01)); got != 0xffc02000 {
		t.Errorf("a signalling NaN widens to %#x, want it quiet with its payload", got)
	}
}

// Every binary16 value, every midpoint between two neighbours and the float32
// on either side of it.
func TestF16Rounds(t *testing.T) {
	check := func(f float32, want uint16) {
		t.Helper()
		if got := F32ToF16(f); got != want {
			t.Fatalf("%v (%#x) rounds to %#04x, want %#04x", f, math.Float32bits(f), got, want)
		}
		if got := F32ToF16(-f); got != want|0x8000 {
			t.Fatalf("%v rounds to %#04x, want %#04x", -f, got, want|0x8000)
		}
	}
	for h := range uint16(0x7c00) { // the last neighbour pair is 65504 and "65536"
		lo, hi := slowF16(h), slowF16(h+1)
		if h == 0x7bff {
			hi = 65536
		}
		mid := (lo + hi) / 2 // exact in float32
		check(lo, h)
		check(mid, h+h&1)
		check(math.Nextafter32(mid, -1), h)
		check(math.Nextafter32(mid, 1e9), h+1)
	}
	check(float32(math.Inf(1)), 0x7c00)
	check(math.MaxFloat32, 0x7c00)
	check(0x1p-149, 0)
	for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0x7fffffff} {
		if h := F32ToF16(math.Float32frombits(bits)); h&0x7e00 != 0x7e00 {
			t.Errorf("NaN %#x becomes %#04x", bits, h)
		}
	}
}

func TestBF16(t *testing.T) {
	for b := range uint16(0x7f80) {
		lo, hi := BF16ToF32(b), BF16ToF32(b+1)
		if b == 0x7f7f {
			continue // the midpoint is tested below
		}
		mid := lo + (hi-lo)/2
		for _, c := range []struct {
			f    float32
			want uint16
		}{{lo, b}, {mid, b + b&1}, {math.Nextafter32(mid, -1), b}, {math.Nextafter32(mid, hi), b + 1}, {-lo, b | 0x8000}} {
			if got := F32ToBF16(c.f); got != c.want {
				t.Fatalf("%v rounds to %#04x, want %#04x", c.f, got, c.want)
			}
		}
	}
	if got := F32ToBF16(math.MaxFloat32); got != 0x7f80 {
		t.Errorf("the largest float32 rounds to %#04x, want infinity", got)
	}
	if got := F32ToBF16(math.Float32frombits(0x7f800001)); got != 0x7fc0 {
		t.Errorf("a NaN with low payload becomes %#04x, want a quiet NaN", got)
	}
}
