package wasm

import "math"

var negInf = float32(math.Inf(-1))

// excluded is a run of -Inf to copy from.
var excluded = func() (v [32]float32) {
	for i := range v {
		v[i] = negInf
	}
	return v
}()

// applyMask excludes the tokens whose bit is clear.
func applyMask(logits []float32, mask []uint32) {
	for w, bits := range mask {
		part := logits[w*32 : min(w*32+32, len(logits))]
		switch bits {
		case math.MaxUint32:
		case 0:
			copy(part, excluded[:])
		default:
			for i := range part {
				if bits>>i&1 == 0 {
					part[i] = negInf
				}
			}
		}
	}
}

// exclude sets all of dst to -Inf.
func exclude(dst []float32) {
	n := copy(dst, excluded[:])
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}
