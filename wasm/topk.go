package wasm

import (
	"math"
	"slices"
)

// A candidate is a token and its logit in one integer that grows with the logit,
// and among equal logits falls with the id.
type candidate uint64

func newCandidate(logit float32, id int32) candidate {
	bits := math.Float32bits(logit + 0) // -0 is 0
	if bits>>31 != 0 {
		bits = ^bits
	} else {
		bits |= 1 << 31
	}
	return candidate(bits)<<32 | candidate(^uint32(id))
}

func (c candidate) id() int32 { return int32(^uint32(c)) }

func (c candidate) logit() float32 {
	bits := uint32(c >> 32)
	if bits>>31 != 0 {
		bits &^= 1 << 31
	} else {
		bits = ^bits
	}
	return math.Float32frombits(bits)
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
		dst = gather(dst[:base], logits, limit)
		if len(dst)-base >= k || limit == lowest {
			break
		}
	}
	best := dst[base:]
	if len(best) > k+k/2 {
		narrow(best, k)
		best = best[:k]
	}
	slices.Sort(best)
	slices.Reverse(best)
	return dst[:base+min(k, len(best))]
}

// lowest is the least logit that qualifies.
const lowest = -math.MaxFloat32

// threshold estimates the value that want logits reach, from every so manieth.
func threshold(logits []float32, want int) float32 {
	const samples, most = 1024, 64
	rank := want*samples/len(logits) + 3
	if len(logits) < 4*samples || rank > most {
		return lowest
	}
	var best [most]float32 // descending

	for i := range rank {
		best[i] = lowest
	}
	stride := len(logits) / samples
	for i := 0; i < samples*stride; i += stride {
		v := logits[i]
		if !(v > best[rank-1]) {
			continue
		}
		j := rank - 1
		for ; j > 0 && v > best[j-1]; j-- {
			best[j] = best[j-1]
		}
		best[j] = v
	}
	return best[rank-1]
}

// gather appends the logits that reach limit.
func gather(dst []candidate, logits []float32, limit float32) []candidate {
	var found [256]uint32
	i := 0
	for len(logits)-i >= blockFloats {
		n, next := blocksAbove(logits[i:], limit, &found)
		for _, b := range found[:n] {
			at := i + int(b)
			for j, v := range logits[at : at+blockFloats] {
				if v >= limit {
					dst = append(dst, newCandidate(v, int32(at+j)))
				}
			}
		}
		i += next
	}
	for ; i < len(logits); i++ {
		if logits[i] >= limit {
			dst = append(dst, newCandidate(logits[i], int32(i)))
		}
	}
	return dst
}

// blockFloats is the number of logits that are looked at together.
const blockFloats = 32

// blocksAboveGo writes to found where the blocks of logits begin that hold a
// value that reaches limit. It ends when found is full or less than a block is
// left, and returns their number and how many logits it has seen.
func blocksAboveGo(logits []float32, limit float32, found *[256]uint32) (n, seen int) {
	for ; len(logits)-seen >= blockFloats && n < len(found); seen += blockFloats {
		for _, v := range logits[seen : seen+blockFloats] {
			if v >= limit {
				found[n] = uint32(seen)
				n++
				break
			}
		}
	}
	return n, seen
}

// narrow moves the k best to the front, in any order (quickselect; the pivot is
// the median of three, and after 64 rounds a sort bounds the time).
func narrow(c []candidate, k int) {
	for round := 0; len(c) > k && k > 0; round++ {
		if round == 64 {
			slices.Sort(c)
			slices.Reverse(c)
			return
		}
		a, b, d := c[0], c[len(c)/2], c[len(c)-1]
		p, i, j := max(min(a, b), min(max(a, b), d)), 0, len(c)-1
		for i <= j {
			for c[i] > p {
				i++
			}
			for c[j] < p {
				j--
			}
			if i <= j {
				c[i], c[j] = c[j], c[i]
				i++
				j--
			}
		}
		switch { // c[:j+1] >= p >= c[i:]
		case k <= j:
			c = c[:j+1]
		case k >= i:
			c, k = c[i:], k-i
		default:
			return
		}
	}
}
