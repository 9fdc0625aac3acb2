package modeltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// encode stores x in one of the plain formats.
func encode(t tensor.DType, x []float32) []byte {
	b := make([]byte, 0, t.RowBytes(len(x)))
	for _, v := range x {
		switch t {
		case tensor.F32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		case tensor.F16:
			b = binary.LittleEndian.AppendUint16(b, tensor.F32ToF16(v))
		case tensor.BF16:
			b = binary.LittleEndian.AppendUint16(b, tensor.F32ToBF16(v))
		default:
			panic(fmt.Sprintf("modeltest: %v is not a plain format", t))
		}
	}
	return b
}

// scales says where a block format keeps its float16 scale, where (if at all) the
// float16 offset that centres its unsigned quants, and what the latter is for a
// scale of 1. Offsets are subtracted in the K formats and added in the others.
type scales struct {
	scale, offset int // byte offsets in the block; offset -1 for none
	centre        float64
}

var blockScales = map[tensor.DType]scales{
	tensor.Q4_0: {0, -1, 0}, tensor.Q4_1: {0, 2, -7.5}, tensor.Q5_0: {0, -1, 0}, tensor.Q5_1: {0, 2, -15.5}, tensor.Q8_0: {0, -1, 0},
	tensor.Q2_K: {80, 82, 1.5}, tensor.Q3_K: {108, -1, 0}, tensor.Q4_K: {0, 2, 7.5}, tensor.Q5_K: {0, 2, 15.5}, tensor.Q6_K: {208, -1, 0},
	tensor.IQ4_NL: {0, -1, 0}, tensor.IQ4_XS: {0, -1, 0},
}

// RandomBlocks returns n elements in a block format: blocks of random bits, so
// that all codes occur, whose scales vary from block to block around what gives
// the elements the standard deviation std. n is a multiple of the block. It panics
// on a plain format.
func RandomBlocks(r *rand.Rand, t tensor.DType, n int, std float64) []byte {
	b := make([]byte, t.RowBytes(n))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	const sample = 8 // blocks
	unit := make([]byte, sample*t.BlockBytes())
	for i := range unit {
		unit[i] = byte(r.Uint32())
	}
	eachBlock(t, unit, func(block []byte) { setScale(t, block, 1) })
	scale := std / deviation(t, unit, sample*t.BlockElems())
	eachBlock(t, b, func(block []byte) { setScale(t, block, scale*(0.75+0.5*r.Float64())) })
	return b
}

func eachBlock(t tensor.DType, b []byte, f func(block []byte)) {
	for n := t.BlockBytes(); len(b) > 0; b = b[n:] {
		f(b[:n])
	}
}

func setScale(t tensor.DType, block []byte, scale float64) {
	if t == tensor.MXFP4 { // a power of two, in the first byte
		block[0] = byte(127 + math.Round(math.Log2(scale)))
		return
	}
	s, ok := blockScales[t]
	if !ok {
		panic(fmt.Sprintf("modeltest: %v is not a block format", t))
	}
	binary.LittleEndian.PutUint16(block[s.scale:], tensor.F32ToF16(float32(scale)))
	if s.offset >= 0 {
		binary.LittleEndian.PutUint16(block[s.offset:], tensor.F32ToF16(float32(scale*s.centre)))
	}
}

func deviation(t tensor.DType, b []byte, n int) float64 {
	x := make([]float32, n)
	tensor.Dequantize(x, t, b)
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(n))
}
