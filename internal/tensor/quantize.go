package tensor

import (
	"fmt"
	"math"
	"strings"
)

// largest holds the formats Quantize writes, with the largest magnitude of either
// sign each of them can store.
var largest = map[DType]float64{
	F32: math.MaxFloat32, F16: maxF16, BF16: maxBF16,
	Q4_0: 7 * maxF16, Q4_1: maxF16, Q5_0: 15 * maxF16, Q5_1: maxF16, Q8_0: 127 * maxF16,
	Q4_K: maxScale * maxF16, Q5_K: maxScale * maxF16, Q6_K: 31 * 127 * maxF16,
}

// CanQuantize reports whether Quantize writes the format.
func (t DType) CanQuantize() bool { return largest[t] > 0 }

// Quantize writes src in format t. The plain formats round to nearest, ties to
// even. The block formats choose scales, minima and codes for the least squared
// error (see fit.go and superfit.go); the result is deterministic and the same
// on every platform.
//
// An error is returned, and dst is left as it was, if t is a format that is only
// read, or if an element is NaN, infinite, or larger than what t can store (a
// *ValueError, which names the element). Quantize panics on sizes that do not fit, as
// Dequantize does. It may be called concurrently for different dst.
func Quantize(dst []byte, t DType, src []float32) error {
	return QuantizeWeighted(dst, t, src, nil)
}

// QuantizeWeighted is Quantize with the squared error of element i counted
// importance[i] times, typically the mean square of the activation it is
// multiplied with. The plain formats ignore it, and a block whose importance is
// all zero counts its elements alike. Importance must be finite and not
// negative; nil means all alike.
func QuantizeWeighted(dst []byte, t DType, src, importance []float32) error {
	if !t.CanQuantize() {
		return fmt.Errorf("tensor: cannot quantize to %v, only to %s", t, writable())
	}
	if want := t.RowBytes(len(src)); len(dst) != want {
		panic(fmt.Sprintf("tensor: %d elements of %v take %d bytes, got %d", len(src), t, want, len(dst)))
	}
	if importance != nil && len(importance) != len(src) {
		panic(fmt.Sprintf("tensor: importance of %d elements for %d", len(importance), len(src)))
	}
	if err := checkRange(t, src, importance); err != nil {
		return err
	}
	switch t {
	case F32:
		encodeF32(dst, src)
	case F16:
		encodeF16(dst, src)
	case BF16:
		encodeBF16(dst, src)
	default:
		encodeBlocks(dst, t, src, importance)
	}
	return nil
}

func encodeBlocks(dst []byte, t DType, src, importance []float32) {
	n, size := t.BlockElems(), t.BlockBytes()
	var elems, weights [QKK]float64
	x, w := elems[:n], weights[:n]
	for ; len(src) > 0; src, dst = src[n:], dst[size:] {
		for i, v := range src[:n] {
			x[i] = float64(v)
		}
		importance = loadWeights(w, importance)
		encodeBlock(dst[:size], t, x, w)
	}
}

// encodeBlock writes one block of elements x, w their weights in the error.
func encodeBlock(dst []byte, t DType, x, w []float64) {
	switch t {
	case Q4_0:
		encodeQ4_0(dst, x, w)
	case Q4_1:
		encodeQ4_1(dst, x, w)
	case Q5_0:
		encodeQ5_0(dst, x, w)
	case Q5_1:
		encodeQ5_1(dst, x, w)
	case Q8_0:
		encodeQ8_0(dst, x, w)
	case Q4_K:
		encodeQ4K(dst, x, w)
	case Q5_K:
		encodeQ5K(dst, x, w)
	case Q6_K:
		encodeQ6K(dst, x, w)
	}
}

// loadWeights fills w from the front of importance and returns the rest of it.
func loadWeights(w []float64, importance []float32) []float32 {
	sum := 0.0
	for i := range w {
		if importance != nil {
			w[i] = float64(importance[i])
		}
		sum += w[i]
	}
	if importance == nil || sum == 0 {
		for i := range w {
			w[i] = 1
		}
	}
	if importance == nil {
		return nil
	}
	return importance[len(w):]
}

// ValueError is a number that a format cannot store.
type ValueError struct {
	Index int // of the element
	Value float32
	DType DType
	Limit float64 // largest magnitude the format stores
}

func (e *ValueError) Error() string {
	if a := math.Abs(float64(e.Value)); !(a <= math.MaxFloat32) {
		return fmt.Sprintf("element %d is %v, %v holds finite numbers only", e.Index, e.Value, e.DType)
	}
	return fmt.Sprintf("element %d is %v, %v holds magnitudes up to %.5g: use F32 or BF16", e.Index, e.Value, e.DType, e.Limit)
}

func checkRange(t DType, src, importance []float32) error {
	limit := largest[t]
	for i, v := range src {
		if !(math.Abs(float64(v)) <= limit) {
			return &ValueError{Index: i, Value: v, DType: t, Limit: limit}
		}
	}
	for i, v := range importance {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return fmt.Errorf("tensor: importance of element %d is %v, want a finite number from 0 on", i, v)
		}
	}
	return nil
}

// writable lists the formats Quantize writes.
func writable() string {
	var names []string
	for _, t := range DTypes() {
		if t.CanQuantize() {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, " ")
}
