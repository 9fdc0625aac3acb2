//go:build !noasm

package kernels

// attentionQ8 is the assembly over pages of Q8_0, by the number of rows done at a
// time, less one.
type attentionQ8 struct {
	score [4]func(dst *float32, stride int, q *byte, qstride int, k, kd *byte, cells, groups, ahead int, scale float32)
	weigh [4]func(acc *float32, stride int, digits *byte, scales *float32, v *byte, vstride, ahead int)
	split func(digits *byte, scales, p *float32, pstride, g int, d *byte)
}

func (a *attentionQ8) into(s *isa) {
	s.scoresQ8, s.splitWeights, s.weightedDigits = a.scores, a.splitWeights, a.weightedDigits
}

func (a *attentionQ8) scores(dst []float32, stride int, q []cell, rows int, page []byte, groups, cells, ahead int, scale float32) {
	scales := &page[PageLen*cells*cellLen]
	for r := 0; r < rows; {
		n := headsAtOnce(rows - r)
		a.score[n-1](&dst[r*stride], stride, q[r].bytes(), rows*cellBytes, &page[0], scales, cells, groups, ahead, scale)
		r += n
		ahead = 0 // once is enough
	}
}

func (a *attentionQ8) splitWeights(digits []byte, scales, p []float32, pStride, g int, d []byte) {
	a.split(&digits[0], &scales[0], &p[0], pStride, g, &d[0])
}

func (a *attentionQ8) weightedDigits(acc []float32, stride int, digits []byte, scales []float32, g int, v []byte, vStride, ahead int) {
	for r := 0; r < g; {
		n := headsAtOnce(g - r)
		if a.weigh[n-1] == nil {
			n = 2
		}
		a.weigh[n-1](&acc[r*stride], stride, &digits[r*2*PageLen], &scales[r], &v[0], vStride, ahead)
		r += n
		ahead = 0
	}
}

var (
	q8AVX2 = attentionQ8{
		score: [4]func(*float32, int, *byte, int, *byte, *byte, int, int, int, float32){scoresQ8x1AVX2, scoresQ8x2AVX2, scoresQ8x3AVX2, scoresQ8x4AVX2},
		weigh: [4]func(*float32, int, *byte, *float32, *byte, int, int){weightedDigitsx1AVX2, weightedDigitsx2AVX2, nil, nil},
		split: splitWeightsAVX2,
	}
	q8AVXVNNI = attentionQ8{
		score: [4]func(*float32, int, *byte, int, *byte, *byte, int, int, int, float32){scoresQ8x1AVXVNNI, scoresQ8x2AVXVNNI, scoresQ8x3AVXVNNI, scoresQ8x4AVXVNNI},
		weigh: [4]func(*float32, int, *byte, *float32, *byte, int, int){weightedDigitsx1AVXVNNI, weightedDigitsx2AVXVNNI, nil, nil},
		split: splitWeightsAVX2,
	}
	q8AVX512 = attentionQ8{
		score: [4]func(*float32, int, *byte, int, *byte, *byte, int, int, int, float32){scoresQ8x1AVX512, scoresQ8x2AVX512, scoresQ8x3AVX512, scoresQ8x4AVX512},
		weigh: [4]func(*float32, int, *byte, *float32, *byte, int, int){weightedDigitsx1AVX512, weightedDigitsx2AVX512, weightedDigitsx3AVX512, weightedDigitsx4AVX512},
		split: splitWeightsAVX512,
	}
)
