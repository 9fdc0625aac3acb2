package tensor

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// gaussian are n variates near to normal, the sum of twelve uniform ones, which
// unlike a logarithm is the same on every platform.
func gaussian(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		sum := -6.0
		for range 12 {
			sum += r.Float64()
		}
		x[i] = float32(sum)
	}
	return x
}

func quantizable() (list []DType) {
	for _, dt := range DTypes() {
		if dt.CanQuantize() {
			list = append(list, dt)
		}
	}
	return list
}

// through writes x in a format and reads it back.
func through(t testing.TB, dt DType, x, importance []float32) []float32 {
	t.Helper()
	b, y := make([]byte, dt.RowBytes(len(x))), make([]float32, len(x))
	if err := QuantizeWeighted(b, dt, x, importance); err != nil {
		t.Fatal(err)
	}
	Dequantize(y, dt, b)
	return y
}

// rmse is the root mean square of y-x, its squares weighted by w if given.
func rmse(x, y, w []float32) float64 {
	var sum, all float64
	for i := range x {
		weight, e := 1.0, float64(y[i])-float64(x[i])
		if w != nil {
			weight = float64(w[i])
		}
		sum += weight * e * e
		all += weight
	}
	return math.Sqrt(sum / all)
}

// The errors on normal data, to notice a search that got worse. Plain absmax
// scales would give 0.0953 for Q4_0 and 0.0055 for Q8_0.
func TestQuantizeErrorOnNormalData(t *testing.T) {
	x := gaussian(3, 1<<16)
	want := map[DType]float64{
		F32: 0, F16: 2.1e-4, BF16: 1.67e-3, Q4_0: 0.0807, Q4_1: 0.0684, Q5_0: 0.0397,
		Q5_1: 0.0330, Q8_0: 0.00485, Q4_K: 0.0690, Q5_K: 0.0341, Q6_K: 0.0166,
	}
	for _, dt := range quantizable() {
		got := rmse(x, through(t, dt, x, nil), nil)
		t.Logf("%-5v %.3g", dt, got)
		if got > want[dt]*1.01 {
			t.Errorf("%v: RMSE %.5g, want at most %.5g", dt, got, want[dt]*1.01)
		}
	}
}

// Checksums pin the bytes: a platform that fused multiply and add, or a changed
// search, shows here.
func TestQuantizeBytesAreTheSameEverywhere(t *testing.T) {
	x := gaussian(5, 8192)
	want := map[DType]uint32{
		F32: 0x4fef440, F16: 0x257624d, BF16: 0xe78df76d, Q4_0: 0x9b4e9d59, Q4_1: 0x99ed2431, Q5_0: 0x9c19a94c,
		Q5_1: 0x827516ea, Q8_0: 0x3d074276, Q4_K: 0x1ae4a7a2, Q5_K: 0x2e5e83fb, Q6_K: 0x132d973,
	}
	for _, dt := range quantizable() {
		b := make([]byte, dt.RowBytes(len(x)))
		if err := Quantize(b, dt, x); err != nil {
			t.Fatal(err)
		}
		if got := crc32.ChecksumIEEE(b); got != want[dt] {
			t.Errorf("%v: checksum %#x, want %#x", dt, got, want[dt])
		}
	}
}

// A block that came out of a format goes back into it: exactly where a block has
// one scale, nearly so where super-blocks share scales.
func TestQuantizeKeepsWhatTheFormatHolds(t *testing.T) {
	x := gaussian(7, 1<<14)
	limit := map[DType]float64{Q4_K: 0.1, Q5_K: 0.25, Q6_K: 0.05, Q4_1: 0.01, Q5_1: 0.01}
	for _, dt := range quantizable() {
		y := through(t, dt, x, nil)
		first, again := rmse(x, y, nil), rmse(y, through(t, dt, y, nil), nil)
		t.Logf("%-5v again %.3g of the first error", dt, again/first)
		if again > first*limit[dt] {
			t.Errorf("%v: writing what was read changes it by %.3g, %.3g of the first error", dt, again, again/first)
		}
	}
}

func TestQuantizeWeightedServesTheImportant(t *testing.T) {
	x := gaussian(11, 1<<14)
	w := make([]float32, len(x))
	r := rand.New(rand.NewPCG(1, 1))
	for i := range w {
		w[i] = float32(math.Exp(3 * r.NormFloat64()))
	}
	for _, dt := range quantizable() {
		if dt.BlockElems() == 1 {
			continue
		}
		plain, weighted := rmse(x, through(t, dt, x, nil), w), rmse(x, through(t, dt, x, w), w)
		t.Logf("%-5v weighted error %.3g, without weights %.3g", dt, weighted, plain)
		if weighted > 0.9*plain {
			t.Errorf("%v: weighting lowers the weighted error only from %.4g to %.4g", dt, plain, weighted)
		}
		none := through(t, dt, x, make([]float32, len(x)))
		if a, b := rmse(x, none, nil), rmse(x, through(t, dt, x, nil), nil); a != b {
			t.Errorf("%v: no importance at all gives error %v, want %v as without", dt, a, b)
		}
	}
}

func TestQuantizeRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	good := gaussian(1, 256)
	with := func(i int, v float32) []float32 {
		x := append([]float32(nil), good...)
		x[i] = v
		return x
	}
	negative, infinite := make([]float32, 256), make([]float32, 256)
	negative[17], infinite[18] = -1, -inf
	for _, c := range []struct {
		t     DType
		x, w  []float32
		wants []string
	}{
		{Q2_K, good, nil, []string{"Q2_K", "F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K BF16"}},
		{DType(99), good, nil, []string{"DType(99)", "Q8_0"}},
		{Q4_K, with(200, nan), nil, []string{"element 200", "NaN"}},
		{F16, with(3, inf), nil, []string{"element 3", "-Inf"}},
		{F32, with(3, inf), nil, []string{"element 3"}},
		{F16, with(9, 65505), nil, []string{"element 9", "65505", "65504", "BF16"}},
		{BF16, with(9, math.MaxFloat32), nil, []string{"element 9"}},
		{Q4_0, with(9, -1e30), nil, []string{"element 9", "-1e+30"}},
		{Q6_K, good, negative, []string{"importance", "17"}},
		{Q4_0, good, infinite, []string{"importance", "18"}},
	} {
		n := 0
		if c.t.Valid() {
			n = c.t.RowBytes(len(c.x))
		}
		err := QuantizeWeighted(make([]byte, n), c.t, c.x, c.w)
		if err == nil {
			t.Errorf("%v: no error, want %q", c.t, c.wants)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q does not mention %q", c.t, err, want)
			}
		}
	}
}

func TestQuantizeAllocatesNothing(t *testing.T) {
	x := gaussian(1, 512)
	y := make([]float32, len(x))
	for _, dt := range quantizable() {
		b := make([]byte, dt.RowBytes(len(x)))
		if n := testing.AllocsPerRun(5, func() {
			if err := Quantize(b, dt, x); err != nil {
				t.Fatal(err)
			}
			Dequantize(y, dt, b)
		}); n != 0 {
			t.Errorf("%v: %v allocations", dt, n)
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	for _, dt := range quantizable() {
		b.Run(fmt.Sprint(dt), func(b *testing.B) {
			src := gaussian(1, 4096)
			dst := make([]byte, dt.RowBytes(len(src)))
			b.SetBytes(int64(4 * len(src)))
			for b.Loop() {
				if err := Quantize(dst, dt, src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(src))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mweights/s")
		})
	}
}

func BenchmarkDequantize(b *testing.B) {
	for _, dt := range DTypes() {
		b.Run(fmt.Sprint(dt), func(b *testing.B) {
			dst := make([]float32, 4096)
			src := make([]byte, dt.RowBytes(len(dst))) // zeros: the time does not depend on the values
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				Dequantize(dst, dt, src)
			}
			b.ReportMetric(float64(len(dst))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mweights/s")
		})
	}
}
