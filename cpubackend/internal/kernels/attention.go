package kernels

import "github.com/sandwarp/sandwarp/internal/tensor"

// Attention over n cached positions of one KV head inside a page. k and v are
// (n, d) and contiguous; the g query heads that share the KV head come together,
// so that each key and value is read once for all of them.

// ScoresF16 sets dst[i*dstStride+j] = scale * q[i] . k[j] for q (g, d) and k
// (n, d).
func ScoresF16(dst []float32, dstStride int, q []float32, g int, k []uint16, n, d, ahead int, scale float32) {
	if g > 0 && n > 0 {
		checkPage(len(dst), dstStride, len(q), g, len(k), n, d)
		best.scoresF16(dst, dstStride, q, g, k, n, d, ahead, scale)
	}
}

// ScoresF32 is ScoresF16 over keys in float32.
func ScoresF32(dst []float32, dstStride int, q []float32, g int, k []float32, n, d, ahead int, scale float32) {
	if g > 0 && n > 0 {
		checkPage(len(dst), dstStride, len(q), g, len(k), n, d)
		best.scoresF32(dst, dstStride, q, g, k, n, d, ahead, scale)
	}
}

// WeightedSumF16 adds sum over j of p[i*pStride+j] * v[j] to acc[i], acc (g, d)
// and v (n, d).
func WeightedSumF16(acc []float32, p []float32, pStride int, g int, v []uint16, n, d, ahead int) {
	if g > 0 && n > 0 {
		checkPage(len(p), pStride, len(acc), g, len(v), n, d)
		best.weightedSumF16(acc, p, pStride, g, v, n, d, ahead)
	}
}

// WeightedSumF32 is WeightedSumF16 over values in float32.
func WeightedSumF32(acc []float32, p []float32, pStride int, g int, v []float32, n, d, ahead int) {
	if g > 0 && n > 0 {
		checkPage(len(p), pStride, len(acc), g, len(v), n, d)
		best.weightedSumF32(acc, p, pStride, g, v, n, d, ahead)
	}
}

// checkPage panics if (g, n) with a stride, (g, d) or (n, d) do not fit.
func checkPage(gn, stride, gd, g, nd, n, d int) {
	if (g-1)*stride+n > gn || stride < n && g > 1 || g*d > gd || n*d > nd || d <= 0 {
		panic("kernels: attention operands are too short")
	}
}

// attentionRun is how many columns of a page are widened at a time.
const attentionRun = 256

func scoresF16Generic(dst []float32, dstStride int, q []float32, g int, k []uint16, n, d, _ int, scale float32) {
	var buf [attentionRun]float32
	for j := range n {
		for c := 0; c < d; c += attentionRun {
			run := buf[:min(attentionRun, d-c)]
			f16ToF32Generic(run, k[j*d+c:j*d+c+len(run)])
			for i := range g {
				s := scale * dotGeneric(run, q[i*d+c:])
				if c > 0 {
					s += dst[i*dstStride+j]
				}
				dst[i*dstStride+j] = s
			}
		}
	}
}

func scoresF32Generic(dst []float32, dstStride int, q []float32, g int, k []float32, n, d, _ int, scale float32) {
	for j := range n {
		for i := range g {
			dst[i*dstStride+j] = scale * dotGeneric(k[j*d:(j+1)*d], q[i*d:])
		}
	}
}

func weightedSumF16Generic(acc []float32, p []float32, pStride int, g int, v []uint16, n, d, _ int) {
	for j := range n {
		for c, h := range v[j*d : (j+1)*d] {
			x := tensor.F16ToF32(h)
			for i := range g {
				acc[i*d+c] += p[i*pStride+j] * x
			}
		}
	}
}

func weightedSumF32Generic(acc []float32, p []float32, pStride int, g int, v []float32, n, d, _ int) {
	for j := range n {
		for i := range g {
			w, a := p[i*pStride+j], acc[i*d:(i+1)*d]
			for c, x := range v[j*d : (j+1)*d] {
				a[c] += w * x
			}
		}
	}
}
