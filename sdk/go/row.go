package plugin

import (
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// Row is one sequence for which a token is to be chosen. It is valid during
// Sample only.
type Row struct {
	Seq *Seq

	frame []byte
	h     abi.Header
	row   abi.Row
	i     uint32
}

// Vocab is the number of tokens.
func (r *Row) Vocab() int { return int(r.h.Vocab()) }

// Pos is the number of tokens before the one to choose.
func (r *Row) Pos() int { return int(r.row.Pos()) }

// Seed is this choice's seed.
func (r *Row) Seed() uint64 { return r.row.Seed() }

// History is the last tokens, oldest first, as many as Manifest.History asks.
func (r *Row) History() []int32 {
	return slice[int32](r.frame, r.row.HistOff(), r.row.HistN())
}

// Candidates is the list of the n most likely tokens, best first, in candidates
// mode; Set edits it, UseCandidates and KeepCandidates take over what was edited. It
// has room for as many as Manifest.Candidates, also where fewer are there.
func (r *Row) Candidates() (list abi.Candidates, n int) {
	size := r.h.CandCap() * abi.CandidateSize
	off := r.h.CandOff() + r.i*size
	return abi.Candidates(r.frame[off : off+size]), int(r.row.CandN())
}

// Logits is all logits, in dense mode. They lie in memory shared with the host.
func (r *Row) Logits() []float32 {
	if r.h.LogitsOff() == 0 {
		return nil
	}
	return slice[float32](r.frame, r.h.LogitsOff()+r.i*r.h.RowStride(), r.h.Vocab())
}

// Mask is the set of allowed tokens, in mask and dense mode: a bit each, empty
// at first. UseMask applies it.
func (r *Row) Mask() []uint32 {
	if r.h.MaskOff() == 0 {
		return nil
	}
	return slice[uint32](r.frame, r.h.MaskOff()+r.i*r.h.MaskStride(), (r.h.Vocab()+31)/32)
}

// Pick chooses the token.
func (r *Row) Pick(token int32) { r.row.Choose(abi.ChoicePick, token) }

// UseLogits takes over the edited Logits.
func (r *Row) UseLogits() { r.row.Choose(abi.ChoiceEdit, -1) }

// UseCandidates leaves only the first n of the edited Candidates.
func (r *Row) UseCandidates(n int) {
	r.row.SetCandN(uint32(n))
	r.row.Choose(abi.ChoiceEdit, -1)
}

// KeepCandidates takes over the first n of the edited Candidates; all other
// tokens stay as they are.
func (r *Row) KeepCandidates(n int) {
	r.row.SetCandN(uint32(n))
	r.row.Choose(abi.ChoiceKeep, -1)
}

// UseMask excludes the tokens not in Mask, and then applies a bias list, which
// may be nil.
func (r *Row) UseMask(list Biases) {
	r.setOut(list)
	r.row.Choose(abi.ChoiceMask, -1)
}

// UseBiases adds the list to the logits; -Inf excludes a token.
func (r *Row) UseBiases(list Biases) {
	r.setOut(list)
	r.row.Choose(abi.ChoiceBias, -1)
}

func (r *Row) setOut(list Biases) {
	if len(list) > 0 {
		r.row.SetOut(address(list), uint32(len(list)/abi.CandidateSize))
	}
}

// Biases is a list of tokens and what is added to their logits. Its memory must
// stay as it is until the next call.
type Biases []byte

// Add appends a token.
func (b Biases) Add(token int32, v float32) Biases {
	n := len(b)
	b = append(b, make([]byte, abi.CandidateSize)...)
	abi.Candidates(b[n:]).Set(0, token, v)
	return b
}

// slice views n 4-byte values of the frame, whose offsets are multiples of 4.
func slice[T int32 | uint32 | float32](frame []byte, off, n uint32) []T {
	b := frame[off : off+4*n]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// address is where b lies, in the 32-bit memory of a guest.
func address(b []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}
