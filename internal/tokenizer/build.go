package tokenizer

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// New checks a vocabulary and builds its tables. Nothing of v is kept. Errors name
// the metadata key and the index.
func New(v Vocab) (*Tokenizer, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	t := &Tokenizer{
		spm: v.Model == "llama",
		bos: v.BOS, eos: v.EOS, eot: v.EOT, unk: v.UNK, pad: v.PAD,
		addBOS: v.AddBOS, addEOS: v.AddEOS, prefix: v.AddSpacePrefix && v.Model == "llama",
	}
	t.stripAfter = slices.Sorted(slices.Values(v.StripAfter))
	t.pool.New = func() any { return &encoder{t: t} }
	if !t.spm {
		var err error
		if t.pre, err = preTokenizerOf(v.Pre); err != nil {
			return nil, err
		}
	}
	fillClasses()
	if err := t.fillPieces(&v); err != nil {
		return nil, err
	}
	if err := t.fillSpecial(&v); err != nil {
		return nil, err
	}
	if err := t.fillRanks(&v); err != nil {
		return nil, err
	}
	t.findEOG()
	return t, nil
}

// isText tells the types whose bytes are spelled the way the model spells text;
// the others are literal.
func isText(kind uint8) bool {
	return kind == typeNormal || kind == typeUnused || kind == typeByte
}

// fillPieces lays out the bytes of every id and the index of those that text can
// be made of.
func (t *Tokenizer) fillPieces(v *Vocab) error {
	n, size := len(v.Tokens), 0
	for _, text := range v.Tokens {
		size += len(text)
	}
	if size > math.MaxInt32 {
		return fmt.Errorf("tokenizer: tokenizer.ggml.tokens has %d bytes, too many", size)
	}
	t.kinds = make([]uint8, n)
	t.pieces = pieces{bytes: make([]byte, 0, size), ends: make([]uint32, n)}
	t.words = newIndex(&t.pieces, n)
	t.fallback = noBytes()
	for i, text := range v.Tokens {
		kind := uint8(v.kind(i))
		if err := t.addPiece(int32(i), text, &kind); err != nil {
			return err
		}
		t.kinds[i] = kind
		t.pieces.ends[i] = uint32(len(t.pieces.bytes))
		if piece := t.pieces.of(int32(i)); len(piece) > 0 && (kind == typeNormal || kind == typeUnused) {
			t.doubles = !t.words.add(int32(i)) || t.doubles // the first id of a piece stays
			t.longest = max(t.longest, len(piece))
			t.unused = t.unused || t.spm && kind == typeUnused
			t.spaceInside = t.spaceInside || t.spm && bytes.IndexByte(bytes.TrimLeft(piece, " "), ' ') >= 0
		}
	}
	t.whole = make(wholeWords, (n+31)/32)
	t.single = noBytes()
	for b := range t.single {
		t.single[b] = t.words.find([]byte{byte(b)})
	}
	return nil
}

// addPiece appends the bytes that a token stands for. A byte token of a gpt2
// vocabulary is a normal one.
func (t *Tokenizer) addPiece(id int32, text string, kind *uint8) error {
	p := &t.pieces
	switch {
	case t.spm && *kind == typeUserDefined:
		p.bytes = appendUnmarked(p.bytes, text)
	case !isText(*kind):
		p.bytes = append(p.bytes, text...)
	case !t.spm:
		if *kind == typeByte {
			*kind = typeNormal
		}
		p.bytes = appendUnlettered(p.bytes, text)
	case *kind == typeByte:
		b, ok := byteValue(text)
		if !ok {
			return fmt.Errorf("tokenizer: tokenizer.ggml.tokens[%d] is %.40q, its type wants a byte <0x00> to <0xFF>", id, text)
		}
		if t.fallback[b] < 0 {
			t.fallback[b] = id
		}
		p.bytes = append(p.bytes, b)
	default:
		p.bytes = appendUnmarked(p.bytes, text)
	}
	return nil
}

func noBytes() (ids [256]int32) {
	for i := range ids {
		ids[i] = -1
	}
	return ids
}

// fillSpecial collects the tokens that are matched in a text as a whole.
func (t *Tokenizer) fillSpecial(v *Vocab) error {
	var all, user []specialText
	for i, text := range v.Tokens {
		if isText(t.kinds[i]) || text == "" {
			continue
		}
		if len(text) > maxSpecial {
			return fmt.Errorf("tokenizer: tokenizer.ggml.tokens[%d], of type %d, has %d bytes, at most %d can be matched",
				i, t.kinds[i], len(text), maxSpecial)
		}
		s := specialText{strings.Clone(text), int32(i)}
		all = append(all, s)
		if t.kinds[i] != typeUserDefined {
			continue
		}
		user = append(user, s)
		if t.spm && strings.Contains(text, spaceMark) { // what it is in the text
			s.text = strings.ReplaceAll(text, spaceMark, " ")
			all, user = append(all, s), append(user, s)
		}
	}
	t.special, t.userDefined = newSpecial(all), newSpecial(user)
	return nil
}

// fillRanks fills what decides the order of merges.
func (t *Tokenizer) fillRanks(v *Vocab) error {
	if !t.spm {
		return t.fillMerges(v.Merges)
	}
	t.ranks = make([]uint32, len(v.Tokens))
	for i := range t.ranks {
		score := float32(0)
		if v.Scores != nil {
			score = v.Scores[i]
		}
		t.ranks[i] = scoreRank(score)
	}
	return nil
}

// scoreRank maps scores to ranks in the opposite order. It never is noMerge, as
// only a NaN would be.
func scoreRank(score float32) uint32 {
	bits := math.Float32bits(score + 0) // -0 is 0
	if bits>>31 == 0 {
		return ^(bits | 1<<31)
	}
	return bits
}

// merge is a merge by ids.
type merge struct{ left, right, merged int32 }

// fillMerges ranks the merges by their place in the list. Finding their ids is most
// of the work of New and misses the cache all the time, so all cores share it.
func (t *Tokenizer) fillMerges(merges []string) error {
	ids := make([]merge, len(merges))
	share := max(4096, (len(merges)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	errs := make([]error, (len(merges)+share-1)/share)
	var all sync.WaitGroup
	for i := range errs {
		lo, hi := i*share, min((i+1)*share, len(merges))
		all.Go(func() { errs[i] = t.findMerges(ids[lo:hi], merges[lo:hi], lo) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	t.pairs = newPairTable(len(merges))
	for rank, m := range ids {
		if ahead := rank + 16; ahead < len(ids) {
			t.pairs.touch(ids[ahead].left, ids[ahead].right)
		}
		t.pairs.add(m.left, m.right, uint32(rank), m.merged)
	}
	return nil
}

// findMerges finds the ids of merges, of which the first has the given rank.
func (t *Tokenizer) findMerges(ids []merge, merges []string, rank int) error {
	var both []byte
	before := int32(-1)
	for i, m := range merges {
		cut := strings.IndexByte(m[min(1, len(m)):], ' ') + 1
		if cut <= 0 || cut+1 >= len(m) {
			return fmt.Errorf("tokenizer: tokenizer.ggml.merges[%d] is %.40q, wanted are two tokens with a space between", rank+i, m)
		}
		both = appendUnlettered(both[:0], m[:cut])
		half := len(both)
		both = appendUnlettered(both, m[cut+1:])
		p := merge{t.part(both[:half], m[:cut]), t.part(both[half:], m[cut+1:]), t.mergedPart(both, before)}
		if p.left < 0 || p.right < 0 || p.merged < 0 {
			return fmt.Errorf("tokenizer: tokenizer.ggml.merges[%d] is %.40q, of which not all is in tokenizer.ggml.tokens", rank+i, m)
		}
		ids[i], before = p, p.merged
	}
	return nil
}

// part is the id of one side of a merge.
func (t *Tokenizer) part(piece []byte, text string) int32 {
	if len(piece) == 1 {
		return t.single[piece[0]]
	}
	if id := t.words.find(piece); id >= 0 {
		return id
	}
	return t.special.lookup(text)
}

// mergedPart is the id of both sides together. Most vocabularies have their tokens
// in the order of the merges, so the id of the merge before, or the next, is tried
// first.
func (t *Tokenizer) mergedPart(piece []byte, before int32) int32 {
	for id := max(before, 0); id <= before+1 && int(id) < len(t.kinds); id++ {
		if !t.doubles && t.kinds[id] == typeNormal && string(t.pieces.of(id)) == string(piece) {
			return id
		}
	}
	return t.part(piece, string(piece))
}
