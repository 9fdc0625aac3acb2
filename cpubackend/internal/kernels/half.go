package kernels

import "github.com/sandwarp/sandwarp/internal/tensor"

// F32ToF16 rounds src to half precision, to nearest, ties to even.
func F32ToF16(dst []uint16, src []float32) { best.f32ToF16(dst[:len(src)], src) }

// F16ToF32 widens src, exactly.
func F16ToF32(dst []float32, src []uint16) { best.f16ToF32(dst[:len(src)], src) }

func f32ToF16Generic(dst []uint16, src []float32) {
	for i, v := range src {
		dst[i] = tensor.F32ToF16(v)
	}
}

func f16ToF32Generic(dst []float32, src []uint16) {
	for i, v := range src {
		dst[i] = tensor.F16ToF32(v)
	}
}
