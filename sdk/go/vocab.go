package plugin

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/abi"
)

// splitVocab reads the table of vocab_map: n, n+1 offsets, text.
func splitVocab(b []byte) ([]string, error) {
	if len(b) < 8 {
		return nil, abi.EINVAL
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 0 || n > (len(b)-8)/4 {
		return nil, abi.EINVAL
	}
	all := string(b[4*(n+2):])
	pieces := make([]string, n)
	for i := range pieces {
		from, to := binary.LittleEndian.Uint32(b[4*(i+1):]), binary.LittleEndian.Uint32(b[4*(i+2):])
		if from > to || int(to) > len(all) {
			return nil, abi.EINVAL
		}
		pieces[i] = all[from:to]
	}
	return pieces, nil
}

// Whole is the length of text less a character at its end of which bytes are still to
// come; at the end of the text that is all of it.
func Whole(text []byte, end bool) int {
	n := len(text)
	for back := 1; back <= min(utf8.UTFMax-1, n) && !end; back++ {
		if utf8.RuneStart(text[n-back]) {
			if !utf8.FullRune(text[n-back:]) {
				return n - back
			}
			break
		}
	}
	return n
}

// Clean appends text to dst; in place of each byte that is not UTF-8 it writes '?'. What
// a filter puts in place of text must be UTF-8.
func Clean(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, '?')
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
