package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// eachSet runs f once for every instruction set this machine has.
func eachSet(t *testing.T, f func(t *testing.T)) {
	was := best
	defer func() { best = was }()
	for _, s := range sets {
		if !s.supported() {
			t.Logf("%s: not on this machine", s.name)
			continue
		}
		best = s
		t.Run(s.name, f)
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func normals(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// scaleOffsets says where the half-precision scales of a block are.
var scaleOffsets = map[tensor.DType][]int{
	tensor.Q4_0: {0}, tensor.Q4_1: {0, 2}, tensor.Q5_0: {0}, tensor.Q5_1: {0, 2}, tensor.Q8_0: {0},
	tensor.Q2_K: {80, 82}, tensor.Q3_K: {108}, tensor.Q4_K: {0, 2}, tensor.Q5_K: {0, 2}, tensor.Q6_K: {208},
	tensor.IQ4_NL: {0}, tensor.IQ4_XS: {0}, tensor.MXFP4: nil,
}

// fillWeights makes n elements of any format: every code is a random byte (or
// fill, if that is not negative), and scales are ordinary numbers of both signs.
func fillWeights(r *rand.Rand, dst []byte, t tensor.DType, fill int) {
	switch t {
	case tensor.F32:
		for i := 0; i < len(dst); i += 4 {
			binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(float32(r.NormFloat64())))
		}
		return
	case tensor.F16, tensor.BF16:
		for i := 0; i < len(dst); i += 2 {
			h := tensor.F32ToF16(float32(r.NormFloat64()))
			if t == tensor.BF16 {
				h = tensor.F32ToBF16(float32(r.NormFloat64()))
			}
			binary.LittleEndian.PutUint16(dst[i:], h)
		}
		return
	}
	for i := range dst {
		dst[i] = byte(r.Uint32())
		if fill >= 0 {
			dst[i] = byte(fill)
		}
	}
	for b := 0; b < len(dst); b += t.BlockBytes() {
		for _, o := range scaleOffsets[t] {
			binary.LittleEndian.PutUint16(dst[b+o:], tensor.F32ToF16(float32(r.NormFloat64()*0.02)))
		}
		if t == tensor.MXFP4 {
			dst[b] = byte(118 + r.IntN(8))
		}
	}
}

func randomMat(t testing.TB, r *rand.Rand, dt tensor.DType, n, k, fill int, alloc func(int) []byte) *Mat {
	t.Helper()
	d := tensor.Desc{Name: "w", DType: dt, Shape: []int{n, k}}
	data := alloc(d.Bytes())
	fillWeights(r, data, dt, fill)
	m, err := NewMat(d, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func heap(n int) []byte { return make([]byte, n) }
