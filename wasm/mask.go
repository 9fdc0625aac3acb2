package wasm

import "math"

var negInf = float32(math.Inf(-1))

// excluded is a run of -Inf to copy from.
var excluded = func() (v [512]float32) {
	for i := range v {
		v[i] = negInf
	}
	return v
}()

// applyMask excludes the tokens whose bit is clear. Most masks are runs: nearly all
// tokens are allowed, or nearly none.
func applyMask(logits []float32, mask []uint32) {
	const all = math.MaxUint32
	for w := 0; w < len(mask); {
		switch bits := mask[w]; bits {
		case all:
			for w++; w+4 <= len(mask) && mask[w]&mask[w+1]&mask[w+2]&mask[w+3] == all; {
				w += 4
			}
		case 0:
			start := w
			for w++; w+4 <= len(mask) && mask[w]|mask[w+1]|mask[w+2]|mask[w+3] == 0; {
				w += 4
			}
			exclude(logits[start*32 : min(w*32, len(logits))])
		default:
			part := logits[w*32 : min(w*32+32, len(logits))]
			for i := range part {
				if bits>>i&1 == 0 {
					part[i] = negInf
				}
			}
			w++
		}
	}
}

// exclude sets all of dst to -Inf.
func exclude(dst []float32) {
	for len(dst) > 0 {
		dst = dst[copy(dst, excluded[:]):]
	}
}
