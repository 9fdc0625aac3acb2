package kernels

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// The plain formats F32, F16 and BF16 multiply the float32 activations.

// plainRun is how many weights are widened at a time.
const plainRun = 256

// mulPlain chooses how a product of a plain format is done.
func (m *Mat) mulPlain(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	s := best
	switch {
	case s.tilePlain != nil && r1-r0 >= s.plainFrom:
		m.mulTilesPlain(s, y, stride, a, r0, r1, n0, n1)
	case s.decodePlain[m.dtype] != nil && m.K%s.decodeMultiple == 0:
		m.mulDecodePlain(s.decodePlain[m.dtype], y, stride, a, r0, r1, n0, n1)
	default:
		m.mulPlainGeneric(y, stride, a, r0, r1, n0, n1)
	}
}

// mulPlainGeneric is the meaning of Mul for the plain formats.
func (m *Mat) mulPlainGeneric(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	var buf [plainRun]float32
	size := m.dtype.BlockBytes()
	for n := n0; n < n1; n++ {
		for r := r0; r < r1; r++ {
			y[r*stride+n] = 0
		}
		w := m.row(n)
		for k := 0; k < m.K; k += plainRun {
			run := buf[:min(plainRun, m.K-k)]
			widen(m.dtype, run, w[k*size:])
			for r := r0; r < r1; r++ {
				y[r*stride+n] += dotGeneric(run, a.F32[r*a.K+k:])
			}
		}
	}
}

// widen reads len(dst) elements of a plain format.
func widen(t tensor.DType, dst []float32, src []byte) {
	switch t {
	case tensor.F32:
		for i := range dst {
			dst[i] = f32bits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case tensor.F16:
		for i := range dst {
			dst[i] = f16(src[2*i:])
		}
	case tensor.BF16:
		for i := range dst {
			dst[i] = tensor.BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	default:
		panic("kernels: " + t.String() + " is no plain format")
	}
}

// dotGeneric sums x[i]*y[i] in four lanes, len(y) >= len(x).
func dotGeneric(x, y []float32) float32 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}
