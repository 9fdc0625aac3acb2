package tokenizer

import (
	"hash/maphash"
	"math/rand/v2"
	"strings"
)

// pieces holds the bytes each id stands for, one after another.
type pieces struct {
	bytes []byte
	ends  []uint32 // end of each id's bytes; an id starts where the one before ends
}

func (p *pieces) of(id int32) []byte {
	lo := uint32(0)
	if id > 0 {
		lo = p.ends[id-1]
	}
	hi := p.ends[id]
	return p.bytes[lo:hi:hi]
}

// byteLetters is GPT-2's table of one printable letter for every byte: the
// printable bytes of Latin-1 are themselves, the others follow from U+0100 on.
var byteLetters = func() (letters [324]int16) {
	for i := range letters {
		letters[i] = -1
	}
	next := 256
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			letters[b] = int16(b)
			continue
		}
		letters[next] = int16(b)
		next++
	}
	return letters
}()

// appendUnlettered appends the bytes that text spells in GPT-2's letters. A letter
// outside the table stands for itself.
func appendUnlettered(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < 0x80 { // printable ASCII is itself, the rest is outside the table
			dst = append(dst, c)
			i++
			continue
		}
		r, size := decode(text, i)
		if r >= 0 && int(r) < len(byteLetters) && byteLetters[r] >= 0 {
			dst = append(dst, byte(byteLetters[r]))
		} else {
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}

// spaceMark is what SentencePiece writes for a space.
const spaceMark = "\u2581"

// appendUnmarked appends text with SentencePiece's mark for a space as a space.
func appendUnmarked(dst []byte, text string) []byte {
	for {
		i := strings.Index(text, spaceMark)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), ' ')
		text = text[i+len(spaceMark):]
	}
}

// index finds an id by its bytes: a hash table with open addressing over the
// pieces. A slot knows where its bytes are, as looking them up by id would be one
// more miss of the cache.
type index struct {
	slots []indexSlot // power of two
	seed  maphash.Seed
	of    *pieces
}

type indexSlot struct {
	hash   uint32
	id     int32  // id+1, 0: empty
	lo, hi uint32 // of the bytes
}

func newIndex(of *pieces, n int) index {
	return index{slots: make([]indexSlot, tableSize(n)), seed: maphash.MakeSeed(), of: of}
}

// tableSize is a power of two that n entries fill at most by 3/5.
func tableSize(n int) int {
	size := 16
	for 3*size < 5*n {
		size *= 2
	}
	return size
}

// add enters id under its piece, or returns false if there is one already.
func (x *index) add(id int32) bool {
	piece := x.of.of(id)
	hash, hi := uint32(maphash.Bytes(x.seed, piece)), x.of.ends[id]
	if s := x.slot(hash, piece); s.id == 0 {
		*s = indexSlot{hash, id + 1, hi - uint32(len(piece)), hi}
		return true
	}
	return false
}

// find returns the id of a piece, or -1.
func (x *index) find(piece []byte) int32 {
	return x.slot(uint32(maphash.Bytes(x.seed, piece)), piece).id - 1
}

func (x *index) findString(piece string) int32 {
	hash := uint32(maphash.String(x.seed, piece))
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.id == 0 || s.hash == hash && string(x.of.bytes[s.lo:s.hi]) == piece {
			return s.id - 1
		}
	}
}

// slot is the slot of a piece or the empty one where it would be.
func (x *index) slot(hash uint32, piece []byte) *indexSlot {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.id == 0 || s.hash == hash && string(x.of.bytes[s.lo:s.hi]) == string(piece) {
			return s
		}
	}
}

// pairTable finds what two neighbouring ids merge into. It hashes by multiplying
// with a random odd number, so that no file can be made whose pairs collide.
type pairTable struct {
	slots []pairSlot // power of two
	shift uint
	mult  uint64

	touched int32 // keeps touch from being optimized away
}

type pairSlot struct {
	left, right int32  // left+1, 0: empty
	rank        uint32 // the lower merges first
	merged      int32
}

func newPairTable(n int) pairTable {
	size := tableSize(n)
	shift := uint(64)
	for s := size; s > 1; s /= 2 {
		shift--
	}
	return pairTable{slots: make([]pairSlot, size), shift: shift, mult: rand.Uint64() | 1}
}

func (p *pairTable) start(left, right int32) uint64 {
	return (uint64(uint32(left))<<32 | uint64(uint32(right))) * p.mult >> p.shift
}

// touch fetches the place of a pair into the cache, ahead of add.
func (p *pairTable) touch(left, right int32) {
	p.touched += p.slots[p.start(left, right)].left
}

// add enters a pair; of two equal pairs the first stays.
func (p *pairTable) add(left, right int32, rank uint32, merged int32) {
	mask := uint64(len(p.slots) - 1)
	for i := p.start(left, right); ; i = (i + 1) & mask {
		s := &p.slots[i]
		if s.left == 0 {
			*s = pairSlot{left + 1, right, rank, merged}
			return
		}
		if s.left == left+1 && s.right == right {
			return
		}
	}
}

// find returns noMerge as the rank of a pair that does not merge.
func (p *pairTable) find(left, right int32) (rank uint32, merged int32) {
	mask := uint64(len(p.slots) - 1)
	for i := p.start(left, right); ; i = (i + 1) & mask {
		s := p.slots[i]
		if s.left == left+1 && s.right == right {
			return s.rank, s.merged
		}
		if s.left == 0 {
			return noMerge, -1
		}
	}
}
