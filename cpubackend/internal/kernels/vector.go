package kernels

import "math"

// RMSNorm sets dst = x / sqrt(mean(x^2) + eps) * w. dst may be x.
func RMSNorm(dst, x, w []float32, eps float32) {
	dst, w = dst[:len(x)], w[:len(x)]
	if len(x) > 0 {
		best.rmsNorm(dst, x, w, eps)
	}
}

// Add adds x to dst.
func Add(dst, x []float32) { best.add(dst, x[:len(dst)]) }

// SiLUMul sets dst = gate * sigmoid(gate) * up. dst may be gate or up.
func SiLUMul(dst, gate, up []float32) {
	best.siluMul(dst, gate[:len(dst)], up[:len(dst)])
}

func rmsNormGeneric(dst, x, w []float32, eps float32) {
	sum := dotGeneric(x, x)
	scale := rmsScale(sum, len(x), eps)
	for i, v := range x {
		dst[i] = v * scale * w[i]
	}
}

func rmsScale(sum float32, n int, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(sum)/float64(n)+float64(eps)))
}

func addGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func siluMulGeneric(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = g / (1 + exp32(-g)) * up[i]
	}
}
