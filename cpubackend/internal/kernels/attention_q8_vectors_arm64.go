//go:build !noasm

package kernels

// attentionQ8 is the assembly over pages of Q8_0, by the logarithm of the number of
// rows done at a time.
type attentionQ8 struct {
	score [3]func(dst *float32, stride int, q *byte, qstride int, k, kd *byte, cells, groups int, scale float32)
	weigh [3]func(acc *float32, stride int, digits *byte, scales *float32, v *byte, vstride int)
}

func (a *attentionQ8) into(s *isa) {
	s.scoresQ8, s.weightedDigits = a.scores, a.weightedDigits
	s.splitWeights = func(digits []byte, scales, p []float32, pStride, g int, d []byte) {
		splitWeightsNEON(&digits[0], &scales[0], &p[0], pStride, g, &d[0])
	}
}

func (a *attentionQ8) scores(dst []float32, stride int, q []cell, rows int, page []byte, groups, cells, _ int, scale float32) {
	scales := &page[PageLen*cells*cellLen]
	for r := 0; r < rows; {
		log, n := headsNEON(rows - r)
		for ; a.score[log] == nil; log, n = log-1, n/2 {
		}
		a.score[log](&dst[r*stride], stride, q[r].bytes(), rows*cellBytes, &page[0], scales, cells, groups, scale)
		r += n
	}
}

func (a *attentionQ8) weightedDigits(acc []float32, stride int, digits []byte, scales []float32, g int, v []byte, vStride, _ int) {
	for r := 0; r < g; {
		log, n := headsNEON(g - r)
		for ; a.weigh[log] == nil; log, n = log-1, n/2 {
		}
		a.weigh[log](&acc[r*stride], stride, &digits[r*2*PageLen], &scales[r], &v[0], vStride)
		r += n
	}
}

var (
	q8NEON = attentionQ8{
		score: [3]func(*float32, int, *byte, int, *byte, *byte, int, int, float32){scoresQ8x1NEON, scoresQ8x2NEON, nil},
		weigh: [3]func(*float32, int, *byte, *float32, *byte, int){weightedDigitsx1NEON, nil, nil},
	}
	q8DotProd = attentionQ8{
		score: [3]func(*float32, int, *byte, int, *byte, *byte, int, int, float32){scoresQ8x1DotProd, scoresQ8x2DotProd, scoresQ8x4DotProd},
		weigh: [3]func(*float32, int, *byte, *float32, *byte, int){weightedDigitsx1DotProd, weightedDigitsx2DotProd, nil},
	}
)
