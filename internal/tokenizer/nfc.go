package tokenizer

import "golang.org/x/text/unicode/norm"

// nfc brings s to normalization form C (Unicode Standard Annex 15); s itself if it
// is already.
func nfc(s string) string {
	if norm.NFC.IsNormalString(s) {
		return s
	}
	return norm.NFC.String(s)
}
