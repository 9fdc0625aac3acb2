package tensor

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"
)

// sameBits takes any NaN for any other.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || (a != a && b != b)
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func TestDequantizeIsTheSlowReader(t *testing.T) {
	for _, dt := range DTypes() {
		t.Run(dt.String(), func(t *testing.T) {
			blocks := 400
			src := randomBytes(uint64(dt), blocks*dt.BlockBytes())
			dst := make([]float32, blocks*dt.BlockElems())
			Dequantize(dst, dt, src)
			for i, got := range dst {
				n, bb := i/dt.BlockElems(), dt.BlockBytes()
				want := slowElement(dt, src[n*bb:(n+1)*bb], i%dt.BlockElems())
				if !sameBits(got, want) {
					t.Fatalf("block %d % x element %d: %v, the slow reader has %v", n, src[n*bb:(n+1)*bb], i%dt.BlockElems(), got, want)
				}
			}
		})
	}
}

// Blocks worked out by hand from the layouts.
func TestDequantizeKnownBlocks(t *testing.T) {
	one, two := []byte{0, 0x3c}, []byte{0, 0x40} // 1 and 2 in binary16
	q4k := cat(two, one, []byte{3, 0xc1, 0, 0, 5, 0x40, 0, 0, 0, 0x21, 0, 0}, make([]byte, 128))
	q4k[16] = 0xf2 // element 0 has code 2, element 32 code 15
	iq4xs := cat(two, []byte{0x01, 0x80, 0x0f, 0, 0, 0x30}, make([]byte, 128))
	iq4xs[8], iq4xs[8+112] = 0xf0, 0x80
	for _, c := range []struct {
		t     DType
		block []byte
		want  map[int]float32
	}{
		{Q4_0, cat(two, []byte{0x9f, 0}, make([]byte, 14)), map[int]float32{0: 14, 16: 2, 1: -16, 31: -16}},
		{Q5_1, cat(two, one, []byte{1, 0, 1, 0}, []byte{0x9f}, make([]byte, 15)), map[int]float32{0: 63, 16: 51, 1: 1}},
		// groups 0, 1 and 5: scales 3, 1 and 1+16*3, minima 5, 0 and 2+16*1
		{Q4_K, q4k, map[int]float32{0: 2*3*2 - 5, 32: 2 * 1 * 15, 160: -18, 1: -5}},
		// groups 0 and 7: scales 15+16*1 and 3+16*2
		{IQ4_XS, iq4xs, map[int]float32{0: 2 * -1 * -127, 16: 2 * -1 * 113, 224: 2 * 3 * -127, 240: 2 * 3 * 1}},
		{MXFP4, cat([]byte{128, 0x97, 0x08}, make([]byte, 14)), map[int]float32{0: 12, 16: -1, 1: 0}},
	} {
		dst := make([]float32, c.t.BlockElems())
		Dequantize(dst, c.t, c.block)
		for i, want := range c.want {
			if dst[i] != want {
				t.Errorf("%v: element %d is %v, want %v", c.t, i, dst[i], want)
			}
		}
	}
}

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// The formats ggufkit does not know, pinned to what version 0.19 of the gguf
// package for Python reads from the same blocks.
func TestDequantizeIsThePythonPackage(t *testing.T) {
	for _, c := range []struct {
		t      DType
		scales []int // offsets of the upper bytes of binary16 numbers
		sum    uint32
	}{
		{Q2_K, []int{81, 83}, 0x2149c20f},
		{Q3_K, []int{109}, 0x8307afa8},
		{IQ4_NL, []int{1}, 0xde911845},
		{IQ4_XS, []int{1}, 0x51d7e6f1},
	} {
		src := randomBytes(uint64(c.t)+100, 500*c.t.BlockBytes())
		for i := 0; i < len(src); i += c.t.BlockBytes() {
			for _, off := range c.scales {
				src[i+off] &^= 0x40 // under 2: no infinity, no NaN
			}
		}
		y := make([]float32, 500*c.t.BlockElems())
		Dequantize(y, c.t, src)
		b := make([]byte, 4*len(y))
		for i, v := range y {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		if got := crc32.ChecksumIEEE(b); got != c.sum {
			t.Errorf("%v: checksum %#x, want %#x", c.t, got, c.sum)
		}
	}
}

func TestDequantizePanicsOnWrongSizes(t *testing.T) {
	for _, c := range []struct {
		t        DType
		dst, src int
	}{{Q4_0, 32, 17}, {Q4_0, 31, 18}, {Q4_K, 256, 145}, {F32, 1, 3}, {DType(77), 1, 1}, {DType(77), 0, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v: %d elements from %d bytes did not panic", c.t, c.dst, c.src)
				}
			}()
			Dequantize(make([]float32, c.dst), c.t, make([]byte, c.src))
		}()
	}
}
