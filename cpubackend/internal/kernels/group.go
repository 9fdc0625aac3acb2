package kernels

import (
	"encoding/binary"
	"math"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// group is 32 consecutive weights of a row in the one form all quantised
// formats reduce to: w[i] = d[i/16]*q[i] + m[i/16].
type group struct {
	q    [32]int8
	d, m [2]float32
}

// groupRun is how many groups are unpacked at a time: a super-block.
const groupRun = tensor.QKK / cellLen

// unpack fills groups from the blocks of format t at src. len(dst)*32 is a
// multiple of the format's block length.
func unpack(t tensor.DType, dst []group, src []byte) {
	switch t {
	case tensor.Q4_0:
		unpackQ4_0(dst, src)
	case tensor.Q4_1:
		unpackQ4_1(dst, src)
	case tensor.Q5_0:
		unpackQ5_0(dst, src)
	case tensor.Q5_1:
		unpackQ5_1(dst, src)
	case tensor.Q8_0:
		unpackQ8_0(dst, src)
	case tensor.Q2_K:
		unpackQ2K(dst, src)
	case tensor.Q3_K:
		unpackQ3K(dst, src)
	case tensor.Q4_K:
		unpackQ4K(dst, src)
	case tensor.Q5_K:
		unpackQ5K(dst, src)
	case tensor.Q6_K:
		unpackQ6K(dst, src)
	case tensor.IQ4_NL:
		unpackIQ4NL(dst, src)
	case tensor.IQ4_XS:
		unpackIQ4XS(dst, src)
	case tensor.MXFP4:
		unpackMXFP4(dst, src)
	default:
		panic("kernels: " + t.String() + " has no groups")
	}
}

// dot is the product of a group with a cell: the integer sums are exact.
func (g *group) dot(c *cell) float32 {
	var lo, hi int32
	for i := range 16 {
		lo += int32(g.q[i]) * int32(c.q[i])
		hi += int32(g.q[i+16]) * int32(c.q[i+16])
	}
	if g.d[0] == g.d[1] {
		return c.d*g.d[0]*float32(lo+hi) + g.m[0]*c.m2[0] + g.m[1]*c.m2[1]
	}
	return c.d*(g.d[0]*float32(lo)+g.d[1]*float32(hi)) + g.m[0]*c.m2[0] + g.m[1]*c.m2[1]
}

// both gives the two halves of a group the same scale and constant.
func (g *group) both(d, m float32) {
	g.d, g.m = [2]float32{d, d}, [2]float32{m, m}
}

// nibbles unpacks 16 bytes: low nibbles are the first 16 weights, high nibbles
// the others; minus is taken off each.
func (g *group) nibbles(codes *[16]byte, minus int8) {
	for i, c := range codes {
		g.q[i] = int8(c&15) - minus
		g.q[i+16] = int8(c>>4) - minus
	}
}

// fifth adds 16 to the weights whose bit is set in high.
func (g *group) fifth(high uint32) {
	for i := range g.q {
		g.q[i] += int8(high >> i & 1 << 4)
	}
}

// values looks 16 bytes of nibbles up in a table.
func (g *group) values(codes *[16]byte, table *[16]int8) {
	for i, c := range codes {
		g.q[i] = table[c&15]
		g.q[i+16] = table[c>>4]
	}
}

// f16 reads a little-endian half-precision number.
func f16(b []byte) float32 { return tensor.F16ToF32(binary.LittleEndian.Uint16(b)) }

func f32bits(u uint32) float32 { return math.Float32frombits(u) }
