package sandwarp

import (
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
	"github.com/sandwarp/sandwarp/runtime/internal/chat"
)

// text is a model's vocabulary as generation needs it.
type text struct {
	tok Tokenizer
	// piece is the bytes an id contributes to an answer, none for control tokens.
	piece  func(id int32) string
	eog    []bool   // by id: it ends an answer
	guards []string // texts of control tokens, which a message must not smuggle in
	addBOS bool
	dummy  bool // a text's first token carries a space that is not part of it
	bos    int32
	eos    int32
	// Their texts in the vocabulary, "" if there is none.
	bosName, eosName string
}

// newText reads the vocabulary of f, which must have size tokens. custom replaces
// its encoder and decoder, not its control tokens.
func newText(f *gguf.File, custom Tokenizer, size int) (*text, error) {
	v, err := readVocab(f)
	if err != nil {
		return nil, err
	}
	if len(v.Tokens) != size {
		return nil, fmt.Errorf("%s: the vocabulary has %d tokens, the embedding %d rows", f.Name, len(v.Tokens), size)
	}
	native, err := tokenizer.New(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	t := &text{tok: native, addBOS: v.AddBOS && v.BOS >= 0, dummy: v.Model == "llama" && v.AddSpacePrefix, bos: v.BOS, eos: v.EOS}
	t.bosName, t.eosName = nameOf(v, v.BOS), nameOf(v, v.EOS)
	t.eog = make([]bool, size)
	control := make([]bool, size)
	for id := range t.eog {
		t.eog[id] = native.IsEOG(int32(id))
		control[id] = id < len(v.Types) && v.Types[id] == 3
		if control[id] && v.Tokens[id] != "" {
			t.guards = append(t.guards, strings.Clone(v.Tokens[id]))
		}
	}
	// The tokenizer's bytes never change, so that a token's text is a view of them.
	t.piece = func(id int32) string {
		b := native.Piece(id)
		if control[id] || len(b) == 0 {
			return ""
		}
		return unsafe.String(&b[0], len(b))
	}
	if custom != nil {
		t.tok = custom
		t.piece, err = readPieces(custom, control)
	}
	return t, err
}

// readPieces asks a tokenizer of the program's own for the text of every token, once:
// it may be slow. All are kept in one string.
func readPieces(tok Tokenizer, control []bool) (piece func(id int32) string, err error) {
	var all strings.Builder
	starts := make([]int, 1, len(control)+1)
	var b []byte
	for id := range control {
		if !control[id] {
			if b, err = tok.Decode(b[:0], []int32{int32(id)}, false); err != nil {
				return nil, fmt.Errorf("tokenizer: text of token %d of the model's %d: %w", id, len(control), err)
			}
			all.Write(b)
		}
		starts = append(starts, all.Len())
	}
	text := all.String()
	return func(id int32) string { return text[starts[id]:starts[id+1]] }, nil
}

// nameOf is the text of a token in the vocabulary.
func nameOf(v tokenizer.Vocab, id int32) string {
	if id < 0 || int(id) >= len(v.Tokens) {
		return ""
	}
	return strings.Clone(v.Tokens[id]) // so that it does not keep all the others
}

func (t *text) check(id int32) error {
	if uint32(id) >= uint32(len(t.eog)) {
		return fmt.Errorf("token id %d is out of range, the vocabulary has %d tokens", id, len(t.eog))
	}
	return nil
}

// startsText reports whether what follows ids is the beginning of a text, whose
// first token carries a space (SentencePiece's dummy prefix).
func (t *text) startsText(ids []int32) bool {
	return t.dummy && len(ids) == 1 && ids[0] == t.bos
}

// isEOG is the stop condition of a request.
func (t *text) isEOG(id int32) bool { return t.eog[id] }

// utf8Buffer releases whole characters of a stream of bytes. What can never
// become one is replaced by U+FFFD, byte by byte.
type utf8Buffer struct {
	rest []byte // the beginning of a character
	out  []byte // scratch
}

// next appends piece and returns the text that is complete. If nothing was held
// back before and piece is whole, it is returned as it is, without a copy.
func (u *utf8Buffer) next(piece string) string {
	if len(u.rest) == 0 && utf8.ValidString(piece) {
		return piece
	}
	u.rest = append(u.rest, piece...)
	return u.release(false)
}

// end returns what is left.
func (u *utf8Buffer) end() string { return u.release(true) }

func (u *utf8Buffer) release(all bool) string {
	u.out = u.out[:0]
	i := 0
	for i < len(u.rest) {
		r, n := utf8.DecodeRune(u.rest[i:])
		if r == utf8.RuneError && n == 1 && !all && !utf8.FullRune(u.rest[i:]) {
			break
		}
		u.out = utf8.AppendRune(u.out, r)
		i += n
	}
	u.rest = u.rest[:copy(u.rest, u.rest[i:])]
	return string(u.out)
}

// sentinel marks a place inside a message where the text of a control token
// begins, so that it is not read as one: a character of the private use area. If
// a message has such text, the sentinel is dropped from all messages.
const sentinel = "\uf8ff"

// guard returns the conversation with sentinels inside every text of a control
// token that a message contains. undo says whether there are any.
func (t *text) guard(turns []chat.Message) (guarded []chat.Message, undo bool) {
	guarded = append(guarded, turns...)
	for i := range guarded {
		content := guarded[i].Content
		for _, name := range t.guards {
			if !strings.Contains(content, name) {
				continue
			}
			_, size := utf8.DecodeRuneInString(name)
			content = strings.ReplaceAll(content, name, name[:size]+sentinel+name[size:])
			undo = true
		}
		guarded[i].Content = content
	}
	return guarded, undo
}

// encode appends the ids of a rendered conversation. With undo, text is cut at
// the sentinels: no control token spans one, and they leave no trace.
func (t *text) encode(ids []int32, s string, undo bool) ([]int32, error) {
	parts := []string{s}
	if undo {
		parts = strings.Split(s, sentinel)
	}
	for _, p := range parts {
		var err error
		if ids, err = t.tok.Encode(ids, p, true); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	return ids, nil
}

// encodeFirst is encode for a conversation's first text, which follows past or, if
// that is empty, the beginning-of-sequence token. The template may have written one.
func (t *text) encodeFirst(past []int32, s string, undo bool) ([]int32, error) {
	bos := t.bosName
	switch {
	case len(past) > 0:
		s = strings.TrimPrefix(s, bos)
	case t.addBOS && !strings.HasPrefix(s, bos):
		past = []int32{t.bos}
	}
	return t.encode(past, s, undo)
}
