package wasm

import (
	"math"

	"github.com/sandwarp/sandwarp/abi"
)

// An answer must leave a token, whatever the logits are. Lists without -Inf leave
// what masks and choices leave, which is checked where they are read; the functions
// below see to the others, which are rare.

// forbids says whether a list has an entry of -Inf.
func forbids(list abi.Candidates) bool {
	for i := range len(list) / abi.CandidateSize {
		if list.Logit(i) < lowest {
			return true
		}
	}
	return false
}

// biasesExcludeAll says whether a mask, nil for all, and biases leave no token.
func (in *instance) biasesExcludeAll(mask []uint32, list abi.Candidates, vocab int) bool {
	if !forbids(list) {
		return false
	}
	in.marks(vocab)
	for i := range len(list) / abi.CandidateSize {
		if list.Logit(i) < lowest {
			in.mark(list.ID(i))
		}
	}
	left := false
	for id := 0; id < vocab && !left; id++ {
		allowed := mask == nil || mask[id/32]>>(id%32)&1 != 0
		left = allowed && in.seen[id/64]>>(id%64)&1 == 0
	}
	in.unmark(list)
	return !left
}

// listExcludesAll says whether candidates leave no token: of one listed twice the
// last entry counts. With keep, tokens not listed are left.
func (in *instance) listExcludesAll(list abi.Candidates, vocab int, keep bool) bool {
	if !forbids(list) {
		return false
	}
	in.marks(vocab)
	listed, left := 0, false
	for i := len(list)/abi.CandidateSize - 1; i >= 0; i-- {
		if in.mark(list.ID(i)) {
			listed++
			left = left || list.Logit(i) >= lowest
		}
	}
	in.unmark(list)
	return !left && (!keep || listed == vocab)
}

// marks makes room for a bit for each token.
func (in *instance) marks(vocab int) {
	if len(in.seen) < (vocab+63)/64 {
		in.seen = make([]uint64, (vocab+63)/64)
	}
}

// mark sets a token's bit; it says whether it was clear.
func (in *instance) mark(id int32) bool {
	word, bit := &in.seen[id/64], uint64(1)<<(id%64)
	was := *word
	*word |= bit
	return was&bit == 0
}

// unmark clears the bits of a list's tokens.
func (in *instance) unmark(list abi.Candidates) {
	for i := range len(list) / abi.CandidateSize {
		in.seen[list.ID(i)/64] = 0
	}
}

// biased is a logit and a bias, neither NaN nor +Inf, added; it stays finite if both
// are.
func biased(logit, bias float32) float32 {
	sum := logit + bias
	switch {
	case sum > math.MaxFloat32:
		return math.MaxFloat32
	case sum < lowest && logit >= lowest && bias >= lowest:
		return lowest
	}
	return sum
}
