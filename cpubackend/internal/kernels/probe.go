package kernels

import (
	"encoding/binary"
	"runtime"
)

// The limits of the machine, so that a benchmark can print shares of them.

// ReadSum reads b as one stream and combines its words with exclusive or; what
// it takes is the time of reading.
func ReadSum(b []byte) uint64 { return best.readSum(b) }

// PeakVNNI runs iters rounds of the fastest int8 multiply-add the chosen
// instruction set has, on registers alone, and returns the operations done (a
// multiplication and an addition are two).
func PeakVNNI(iters int) (ops int64) { return best.peakInt8(iters) }

// PeakFMA is PeakVNNI for float32.
func PeakFMA(iters int) (ops int64) { return best.peakFMA(iters) }

func readSumGeneric(b []byte) (sum uint64) {
	for len(b) >= 32 {
		sum ^= binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[8:]) ^
			binary.LittleEndian.Uint64(b[16:]) ^ binary.LittleEndian.Uint64(b[24:])
		b = b[32:]
	}
	for ; len(b) >= 8; b = b[8:] {
		sum ^= binary.LittleEndian.Uint64(b)
	}
	for i, v := range b {
		sum ^= uint64(v) << (8 * i)
	}
	return sum
}

func peakInt8Generic(iters int) int64 {
	var a, b, c, d int32
	for i := range iters {
		x, y := int32(int8(i)), int32(int8(i>>3))
		a += x * y
		b += x * (y + 1)
		c += (x + 1) * y
		d += (x + 1) * (y + 1)
	}
	runtime.KeepAlive(a ^ b ^ c ^ d)
	return 8 * int64(iters)
}

func peakFMAGeneric(iters int) int64 {
	a, b, c, d := float32(1), float32(2), float32(3), float32(4)
	for range iters {
		a = a*0.5 + 1
		b = b*0.5 + 1
		c = c*0.5 + 1
		d = d*0.5 + 1
	}
	runtime.KeepAlive(a + b + c + d)
	return 8 * int64(iters)
}
