package tokenizer

import (
	"slices"
	"strings"
	"sync"
)

// Tokenizer encodes and decodes. It is immutable and safe for concurrent use.
type Tokenizer struct {
	spm    bool
	pre    preTokenizer // of a gpt2 vocabulary
	pieces pieces       // by id
	kinds  []uint8      // by id: typeNormal ...

	words    index      // pieces that text is made of, to their id
	longest  int        // bytes of the longest of them
	doubles  bool       // two ids have the same piece
	single   [256]int32 // id of the piece of one byte, -1: none
	fallback [256]int32 // llama: id of the byte token, -1: none
	pairs    pairTable  // gpt2: merges
	ranks    []uint32   // llama: by id, the higher the score the lower
	whole    wholeWords // which pieces the merges make of their own bytes

	special     *special // control, unknown and user-defined tokens
	userDefined *special // the last of these
	stripAfter  []int32  // special tokens behind which white space is dropped, ascending
	spaceInside bool     // llama: a piece has a space behind something else
	unused      bool     // llama: a piece is unused, so it is split up again

	bos, eos, eot, unk, pad int32
	addBOS, addEOS, prefix  bool
	eog                     []int32

	pool sync.Pool // *encoder
}

// Size is the number of ids.
func (t *Tokenizer) Size() int { return len(t.kinds) }

// BOS is the id that begins a text, -1 if there is none. So it is with the others.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS is the id that ends a text.
func (t *Tokenizer) EOS() int32 { return t.eos }

// EOT is the id that ends a turn.
func (t *Tokenizer) EOT() int32 { return t.eot }

// UNK is the id of what no other token can spell.
func (t *Tokenizer) UNK() int32 { return t.unk }

// PAD is the id that fills up batches.
func (t *Tokenizer) PAD() int32 { return t.pad }

// AddBOS tells whether a prompt wants BOS before it. Encode does not add it.
func (t *Tokenizer) AddBOS() bool { return t.addBOS }

// AddEOS tells whether a prompt wants EOS behind it. Encode does not add it.
func (t *Tokenizer) AddEOS() bool { return t.addEOS }

// IsEOG tells whether id ends a generation: EOS, EOT and the control tokens that
// models are known to end a turn with.
func (t *Tokenizer) IsEOG(id int32) bool { return slices.Contains(t.eog, id) }

// EOG lists the ids of which IsEOG is true.
func (t *Tokenizer) EOG() []int32 { return slices.Clone(t.eog) }

// IsControl tells whether Decode leaves id out unless it is asked for special
// tokens.
func (t *Tokenizer) IsControl(id int32) bool {
	return id >= 0 && int(id) < len(t.kinds) && (t.kinds[id] == typeControl || t.kinds[id] == typeUnknown)
}

// ID is the id of a token by the bytes it stands for, as Piece returns them, or by
// the text of a control token.
func (t *Tokenizer) ID(piece string) (int32, bool) {
	id := t.special.lookup(piece)
	if id < 0 {
		id = t.words.findString(piece)
	}
	if id < 0 && t.spm {
		id = t.words.findString(strings.ReplaceAll(piece, spaceMark, " "))
	}
	if id < 0 && len(piece) == 1 {
		id = t.fallback[piece[0]]
	}
	return id, id >= 0
}
