package tokenizer

import "fmt"

// Decode appends the bytes of ids to dst. Control tokens and the unknown token are
// left out unless special is set. ids are the beginning of a text: the dummy space
// that Encode put before it is taken off, and with special also the one behind
// each special token. To go on with a text use Piece. An id the vocabulary does
// not have is an error, and dst is returned as it was.
func (t *Tokenizer) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	out := dst
	dummy := t.prefix
	for i, id := range ids {
		if id < 0 || int(id) >= len(t.kinds) {
			return dst, fmt.Errorf("tokenizer: id %d at place %d is not in the vocabulary, which has 0 to %d", id, i, len(t.kinds)-1)
		}
		if !isText(t.kinds[id]) {
			if special || t.kinds[id] == typeUserDefined {
				out = append(out, t.pieces.of(id)...)
				dummy = t.prefix
			}
			continue
		}
		piece := t.pieces.of(id)
		if dummy && len(piece) > 0 {
			dummy = false
			if piece[0] == ' ' {
				piece = piece[1:]
			}
		}
		out = append(out, piece...)
	}
	return out, nil
}

// Piece is the bytes of one id, for streaming: of a control token its text, of a
// llama vocabulary with a space where the model has one. It need not be whole
// UTF-8. It is nil for an id the vocabulary does not have. Do not change it.
func (t *Tokenizer) Piece(id int32) []byte {
	if id < 0 || int(id) >= len(t.kinds) {
		return nil
	}
	return t.pieces.of(id)
}
