package wasm

import (
	"cmp"
	"math"
	"slices"
)

// candidate is a token and its logit.
type candidate struct {
	logit float32
	id    int32
}

// before orders candidates: higher logit first, lower id among equals.
func before(a, b candidate) int {
	if c := cmp.Compare(b.logit, a.logit); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// topK appends to dst the k best of logits, best first. NaN and -Inf never
// qualify, so fewer may come back.
//
// A sample of the logits suggests a threshold that a few times k values pass;
// those are gathered in one sweep and sorted. If the sample misled, the sweep
// repeats with a lower threshold.
func topK(dst []candidate, logits []float32, k int) []candidate {
	if k <= 0 || len(logits) == 0 {
		return dst
	}
	base := len(dst)
	for margin := 2; ; margin *= 4 {
		limit := threshold(logits, k*margin)
		dst = above(dst[:base], logits, limit)
		if len(dst)-base >= k || limit == lowest {
			break
		}
	}
	best := dst[base:]
	if len(best) > 4*k { // many equal logits, or a misleading sample
		narrow(best, k)
		best = best[:k]
	}
	slices.SortFunc(best, before)
	return dst[:base+min(k, len(best))]
}

// lowest is the least logit that qualifies.
const lowest = -math.MaxFloat32

// threshold estimates the value that want logits reach.
func threshold(logits []float32, want int) float32 {
	const samples = 1024
	if len(logits) < 4*samples || want*4 > len(logits) {
		return lowest
	}
	var s [samples]float32
	stride := len(logits) / samples
	for i := range s {
		v := logits[i*stride]
		if v != v || v < lowest {
			v = lowest
		}
		s[i] = v
	}
	slices.Sort(s[:])
	rank := want*samples/len(logits) + 2
	if rank >= samples {
		return lowest
	}
	return s[samples-1-rank]
}

// above appends the logits that reach limit.
func above(dst []candidate, logits []float32, limit float32) []candidate {
	i := 0
	for ; i+8 <= len(logits); i += 8 {
		b := (*[8]float32)(logits[i:])
		if !(b[0] >= limit || b[1] >= limit || b[2] >= limit || b[3] >= limit ||
			b[4] >= limit || b[5] >= limit || b[6] >= limit || b[7] >= limit) {
			continue
		}
		for j, v := range b {
			if v >= limit {
				dst = append(dst, candidate{v, int32(i + j)})
			}
		}
	}
	for ; i < len(logits); i++ {
		if logits[i] >= limit {
			dst = append(dst, candidate{logits[i], int32(i)})
		}
	}
	return dst
}

// narrow moves the k best to the front, in any order (quickselect; the pivot is
// the median of three, and after 64 rounds a sort bounds the time).
func narrow(c []candidate, k int) {
	for round := 0; len(c) > k && k > 0; round++ {
		if round == 64 {
			slices.SortFunc(c, before)
			return
		}
		three := []candidate{c[0], c[len(c)/2], c[len(c)-1]}
		slices.SortFunc(three, before)
		p, i, j := three[1], 0, len(c)-1
		for i <= j {
			for before(c[i], p) < 0 {
				i++
			}
			for before(c[j], p) > 0 {
				j--
			}
			if i <= j {
				c[i], c[j] = c[j], c[i]
				i++
				j--
			}
		}
		switch { // c[:j+1] <= p <= c[i:]
		case k <= j:
			c = c[:j+1]
		case k >= i:
			c, k = c[i:], k-i
		default:
			return
		}
	}
}

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

// fill sets all of dst to -Inf.
func exclude(dst []float32) {
	n := copy(dst, excluded[:])
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}
