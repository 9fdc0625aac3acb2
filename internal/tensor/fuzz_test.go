package tensor

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzDequantize: any bytes of the right length decode, to what the slow reader
// makes of them.
func FuzzDequantize(f *testing.F) {
	for i, dt := range DTypes() {
		f.Add(uint8(i), randomBytes(uint64(i), dt.BlockBytes()))
	}
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		dt := DTypes()[int(format)%len(DTypes())]
		block := make([]byte, dt.BlockBytes())
		copy(block, b)
		y := make([]float32, dt.BlockElems())
		Dequantize(y, dt, block)
		for i := range y {
			if want := slowElement(dt, block, i); !sameBits(y[i], want) {
				t.Fatalf("%v % x: element %d is %v, the slow reader has %v", dt, block, i, y[i], want)
			}
		}
	})
}

// errorBound is the largest RMS error of a block whose largest magnitude is
// peak. For one scale a block it is half the step of the scale that maps peak to
// the last code, a point of the search; a minimum lets the range be twice the
// peak. Super-blocks add half a step of the shared scales. The last term is what
// binary16 scales cannot resolve.
func errorBound(dt DType, peak float64) float64 {
	perPeak := map[DType]float64{
		F32: 0, F16: 0x1p-11, BF16: 0x1p-8,
		Q4_0: 1.01 / 14, Q5_0: 1.01 / 30, Q8_0: 1.01 / 254, Q4_1: 1.02 / 15, Q5_1: 1.03 / 31,
		Q4_K: 0.1, Q5_K: 0.065, Q6_K: 0.023,
	}[dt]
	floor := 0x1p-18
	switch dt {
	case F32:
		floor = 0
	case BF16:
		floor = 0x1p-134
	case F16:
		floor = 0x1p-25
	}
	return perPeak*peak + floor
}

func checkBound(t *testing.T, dt DType, x []float32) {
	t.Helper()
	b := make([]byte, dt.RowBytes(len(x)))
	err := Quantize(b, dt, x)
	peak := 0.0
	for _, v := range x {
		a := math.Abs(float64(v))
		if a != a {
			a = math.Inf(1)
		}
		peak = max(peak, a)
	}
	if refuse := peak > largest[dt]; refuse != (err != nil) {
		t.Fatalf("%v: peak %v gives error %v", dt, peak, err)
	} else if refuse {
		return
	}
	y := make([]float32, len(x))
	Dequantize(y, dt, b)
	if e := rmse(x, y, nil); !(e <= errorBound(dt, peak)) {
		t.Fatalf("%v: RMS error %g of a block with peak %g, want at most %g\nblock %v\nread  %v", dt, e, peak, errorBound(dt, peak), x, y)
	}
}

// FuzzQuantize: whatever the numbers, the error is bounded or Quantize refuses
// for a reason. shape says how the bytes become numbers.
func FuzzQuantize(f *testing.F) {
	for i := range DTypes() {
		for shape := range uint8(8) {
			f.Add(uint8(i), shape, int8(0), randomBytes(uint64(i), 64))
			f.Add(uint8(i), shape, int8(-24), randomBytes(uint64(i), 1024))
		}
	}
	f.Fuzz(func(t *testing.T, format, shape uint8, exp int8, b []byte) {
		list := quantizable()
		dt := list[int(format)%len(list)]
		checkBound(t, dt, shapedBlock(dt.BlockElems(), shape, int(exp), b))
	})
}

// shapedBlock makes n numbers: any bits, or scaled bytes with zeros, an offset
// or an outlier.
func shapedBlock(n int, shape uint8, exp int, b []byte) []float32 {
	x := make([]float32, n)
	at := func(i int) float64 {
		if len(b) == 0 {
			return 0
		}
		return float64(int8(b[i%len(b)]))
	}
	for i := range x {
		switch shape % 8 {
		case 0: // float32 bits as they come, non-finite ones too
			var word [4]byte
			for k := range word {
				word[k] = byte(at(4*i + k))
			}
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(word[:]))
		case 1: // each its own exponent
			x[i] = float32(math.Ldexp(at(2*i), exp+int(at(2*i+1))/8))
		case 2: // sparse
			if i%16 == 3 {
				x[i] = float32(math.Ldexp(at(i), exp))
			}
		case 3: // around an offset
			x[i] = float32(math.Ldexp(1000+at(i)/64, exp))
		case 4: // one outlier
			x[i] = float32(math.Ldexp(at(i), exp))
			if i == n/2 {
				x[i] *= 5000
			}
		case 5: // constant
			x[i] = float32(math.Ldexp(at(0), exp))
		case 6: // no negative ones
			x[i] = float32(math.Ldexp(math.Abs(at(i)), exp))
		default:
			x[i] = float32(math.Ldexp(at(i), exp))
		}
	}
	return x
}

// The same over shapes and magnitudes in a plain test run.
func TestQuantizeErrorIsBounded(t *testing.T) {
	for _, dt := range quantizable() {
		for shape := range uint8(8) {
			for exp := -150; exp <= 127; exp += 3 {
				checkBound(t, dt, shapedBlock(dt.BlockElems(), shape, exp, randomBytes(uint64(exp+200), 1024)))
			}
		}
	}
}
