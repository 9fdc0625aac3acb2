package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// none has no special ids.
func none(v Vocab) Vocab {
	v.BOS, v.EOS, v.EOT, v.UNK, v.PAD = -1, -1, -1, -1, -1
	return v
}

// letterOf is a byte in GPT-2's letters.
func letterOf(b byte) string {
	for r, v := range byteLetters {
		if v == int16(b) {
			return string(rune(r))
		}
	}
	panic("a byte without a letter")
}

// lettered is a text in GPT-2's letters.
func lettered(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString(letterOf(text[i]))
	}
	return b.String()
}

// byteVocab is a gpt2 vocabulary of all bytes, the pieces that merges of the form
// "left right" make, and special tokens.
func byteVocab(pre string, merges []string, special ...string) Vocab {
	v := none(Vocab{Model: "gpt2", Pre: pre})
	for b := range 256 {
		v.Tokens = append(v.Tokens, letterOf(byte(b)))
	}
	for _, m := range merges {
		left, right, _ := strings.Cut(m, "|")
		v.Merges = append(v.Merges, lettered(left)+" "+lettered(right))
		if piece := lettered(left + right); !slices.Contains(v.Tokens, piece) {
			v.Tokens = append(v.Tokens, piece)
		}
	}
	for range v.Tokens {
		v.Types = append(v.Types, typeNormal)
	}
	for _, s := range special {
		v.Tokens, v.Types = append(v.Tokens, s), append(v.Types, typeControl)
	}
	return v
}

// pieceVocab is a llama vocabulary: unknown, BOS, EOS, the bytes if wanted, and the
// pieces with falling scores.
func pieceVocab(bytes bool, pieces ...string) Vocab {
	v := Vocab{Model: "llama", Tokens: []string{"<unk>", "<s>", "</s>"}, Types: []int32{typeUnknown, typeControl, typeControl},
		BOS: 1, EOS: 2, EOT: -1, UNK: 0, PAD: -1, AddBOS: true, AddSpacePrefix: true}
	for b := range 256 {
		if bytes {
			v.Tokens, v.Types = append(v.Tokens, fmt.Sprintf("<0x%02X>", b)), append(v.Types, typeByte)
		}
	}
	for _, p := range pieces {
		v.Tokens, v.Types = append(v.Tokens, strings.ReplaceAll(p, " ", spaceMark)), append(v.Types, typeNormal)
	}
	v.Scores = make([]float32, len(v.Tokens))
	for i := range v.Scores {
		v.Scores[i] = -float32(i)
	}
	return v
}

func build(t testing.TB, v Vocab) *Tokenizer {
	t.Helper()
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pieceList encodes and returns the pieces.
func pieceList(t testing.TB, tok *Tokenizer, text string, special bool) []string {
	t.Helper()
	ids, err := tok.Encode(nil, text, special)
	if err != nil {
		t.Fatal(err)
	}
	return split(tok, ids)
}

func wantPieces(t testing.TB, tok *Tokenizer, text string, special bool, want ...string) {
	t.Helper()
	if got := pieceList(t, tok, text, special); !slices.Equal(got, want) {
		t.Errorf("%q: got %q, want %q", text, got, want)
	}
}

func TestNewErrors(t *testing.T) {
	for _, c := range []struct {
		want string
		spm  bool
		bend func(*Vocab)
	}{
		{`tokenizer.ggml.model is "bert"`, true, func(v *Vocab) { v.Model = "bert" }},
		{"tokenizer.ggml.tokens is empty", true, func(v *Vocab) { v.Tokens = nil }},
		{"token_type has 2 entries", true, func(v *Vocab) { v.Types = v.Types[:2] }},
		{"scores has 1 entries", true, func(v *Vocab) { v.Scores = v.Scores[:1] }},
		{"token_type[1] is 7", true, func(v *Vocab) { v.Types[1] = 7 }},
		{"token_type[1] is -1", true, func(v *Vocab) { v.Types[1] = -1 }},
		{"scores[2] is not a number", true, func(v *Vocab) { v.Scores[2] = float32(math.NaN()) }},
		{"bos_token_id is 300", true, func(v *Vocab) { v.BOS = 300 }},
		{"eos_token_id is -2", true, func(v *Vocab) { v.EOS = -2 }},
		{"add_bos_token is set", true, func(v *Vocab) { v.BOS = -1 }},
		{"add_eos_token is set", false, func(v *Vocab) { v.AddEOS = true }},
		{`tokens[3] is "<0x-1>"`, true, func(v *Vocab) { v.Tokens[3] = "<0x-1>" }},
		{`tokens[3] is "<0x0a>"`, true, func(v *Vocab) { v.Tokens[3] = "<0x0a>" }},
		{`tokens[3] is "<0x000>"`, true, func(v *Vocab) { v.Tokens[3] = "<0x000>" }},
		{`tokens[3] is ""`, true, func(v *Vocab) { v.Tokens[3] = "" }},
		{"tokens[1], of type 3, has 600 bytes", true, func(v *Vocab) { v.Tokens[1] = strings.Repeat("x", 600) }},
		{`merges[1] is "ab"`, false, func(v *Vocab) { v.Merges = []string{"a b", "ab"} }},
		{`merges[0] is ""`, false, func(v *Vocab) { v.Merges[0] = "" }},
		{`merges[0] is " a"`, false, func(v *Vocab) { v.Merges[0] = " a" }},
		{`merges[0] is "a "`, false, func(v *Vocab) { v.Merges[0] = "a " }},
		{`merges[1] is "a c"`, false, func(v *Vocab) { v.Merges = append(v.Merges, "a c") }},
		{`merges[1] is "ac b"`, false, func(v *Vocab) { v.Merges = append(v.Merges, "ac b") }},
	} {
		v := byteVocab("gpt-2", []string{"a|b"})
		if c.spm {
			v = pieceVocab(true, " ", "a")
		}
		c.bend(&v)
		if _, err := New(v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestPieces(t *testing.T) {
	tok := build(t, pieceVocab(true, " ", " a", "a", "b", " ab", "ab"))
	wantPieces(t, tok, "", false)
	wantPieces(t, tok, "ab", false, " ab")
	wantPieces(t, tok, "b", false, " ", "b")
	wantPieces(t, tok, " ab  ab", false, " ", " ab", " ", " ab")
	wantPieces(t, tok, "ab\u2581ab", false, " ab", " ab")
	wantPieces(t, tok, "aé", false, " a", "\xc3", "\xa9")
	wantPieces(t, tok, "a\xff", false, " a", "\xff")
	wantPieces(t, tok, "<s>", false, " ", "<", "s", ">")
	wantPieces(t, tok, "<s>ab</s>a", true, "<s>", " ab", "</s>", " a")
}

func TestPiecesWithoutBytes(t *testing.T) {
	v := pieceVocab(false, " ", "a")
	wantPieces(t, build(t, v), "aéxxa", false, " ", "a", "<unk>", "a")
	wantPieces(t, build(t, v), "x a x", false, " ", "<unk>", " ", "a", " ", "<unk>")
	v.UNK = -1
	if ids, err := build(t, v).Encode([]int32{7}, "ax", false); err == nil || !slices.Equal(ids, []int32{7}) {
		t.Errorf("ids %v, error %v", ids, err)
	}
}

// TestUnusedPieces wants unused pieces to be split up into what made them.
func TestUnusedPieces(t *testing.T) {
	v := pieceVocab(true, " ", "a", "b", "c", "ab", "abc", "abcabc")
	v.Types[slices.Index(v.Tokens, "abc")] = typeUnused
	tok := build(t, v)
	wantPieces(t, tok, "abc", false, " ", "ab", "c")
	wantPieces(t, tok, "abcabc", false, " ", "abcabc")
	wantPieces(t, tok, "abcab", false, " ", "ab", "c", "ab")
	v.Types[slices.Index(v.Tokens, "a")] = typeUnused
	wantPieces(t, build(t, v), "a", false, " ", "a") // the byte
}

func TestUserDefined(t *testing.T) {
	v := pieceVocab(true, " ", "a", "b", "  ", "[X]", "[XY]")
	for _, user := range []string{"[X]", "[XY]", spaceMark + spaceMark} {
		v.Types[slices.Index(v.Tokens, user)] = typeUserDefined
	}
	tok := build(t, v)
	wantPieces(t, tok, "a[X]b[XY][XYa", false, " ", "a", "[X]", " ", "b", "[XY]", " ", "[", "X", "Y", "a")
	wantPieces(t, tok, "  \u2581\u2581a", false, "  ", "  ", " ", "a")

	v = byteVocab("gpt-2", nil, "õ", "<|x|>")
	v.Types[256] = typeUserDefined
	tok = build(t, v)
	wantPieces(t, tok, "aõ<|x|>", false, "a", "õ", "<", "|", "x", "|", ">")
	wantPieces(t, tok, "aõ<|x|>", true, "a", "õ", "<|x|>")
}

func TestStripAfter(t *testing.T) {
	v := pieceVocab(true, " ", "a", "<|user|>")
	user := int32(len(v.Tokens) - 1)
	v.Types[user], v.StripAfter = typeControl, []int32{user, 2}
	tok := build(t, v)
	wantPieces(t, tok, "<|user|>\n\u3000 a</s> <s> a", true, "<|user|>", " ", "a", "</s>", "<s>", " ", " ", "a")
	v.StripAfter = []int32{user + 1}
	if _, err := New(v); err == nil || !strings.Contains(err.Error(), "StripAfter[0]") {
		t.Errorf("error %v", err)
	}
}

func TestMissingByte(t *testing.T) {
	v := byteVocab("gpt-2", nil)
	v.Tokens[0xff], v.Tokens['x'] = "ab", "cd"
	wantPieces(t, build(t, v), "a\xffbx", false, "a", "\xef", "\xbf", "\xbd", "b", "\xef", "\xbf", "\xbd")
	v.UNK = 0xff
	wantPieces(t, build(t, v), "a\xffb", false, "a", "ab", "b")
	v.UNK, v.Tokens[0xbf] = -1, "ef"
	if _, err := build(t, v).Encode(nil, "a\xffb", false); err == nil || !strings.Contains(err.Error(), "0xFF") {
		t.Errorf("error %v", err)
	}
}

func TestIgnoreMerges(t *testing.T) {
	merges := []string{"a|b", "b|c"}
	v := byteVocab("llama-bpe", merges)
	v.Tokens, v.Types = append(v.Tokens, "abc"), append(v.Types, typeNormal)
	wantPieces(t, build(t, v), "abc", false, "abc")
	v.Pre = "gpt-2"
	wantPieces(t, build(t, v), "abc", false, "ab", "c")
}

func TestSpecialLongest(t *testing.T) {
	tok := build(t, byteVocab("gpt-2", nil, "<|a|>", "<|a", "<|a|>b<|a|>", "<"))
	wantPieces(t, tok, "<|a|>b<|a|>b<|a<<|", true, "<|a|>b<|a|>", "b", "<|a", "<", "<", "|")
	wantPieces(t, tok, "<|a|>b<|a|", true, "<|a|>", "b", "<|a", "|")
}

func TestDecode(t *testing.T) {
	tok := build(t, pieceVocab(true, " ", " a", "a"))
	for _, c := range []struct {
		ids     []int32
		special bool
		want    string
	}{
		{[]int32{1, 260, 261}, false, "aa"},
		{[]int32{1, 260, 2, 260}, false, "a a"},
		{[]int32{1, 260, 2, 260}, true, "<s>a</s>a"},
		{[]int32{259, 260}, false, " a"},
		{[]int32{261, 260}, false, "a a"},
		{[]int32{3 + 0xC3, 3 + 0xA9, 0}, false, "é"},
		{nil, true, ""},
	} {
		got, err := tok.Decode([]byte("x"), c.ids, c.special)
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%v: %q, %v, want %q", c.ids, got, err, c.want)
		}
	}
	for _, id := range []int32{-1, 262, math.MaxInt32, math.MinInt32} {
		if out, err := tok.Decode([]byte("x"), []int32{260, id}, true); err == nil || string(out) != "x" {
			t.Errorf("id %d: %q, %v", id, out, err)
		}
		if tok.Piece(id) != nil || tok.IsControl(id) || tok.IsEOG(id) {
			t.Errorf("id %d is known", id)
		}
	}
}

func TestID(t *testing.T) {
	tok := build(t, pieceVocab(true, " ", " a", "a"))
	for piece, want := range map[string]int32{"<s>": 1, " a": 260, "\u2581a": 260, "a": 261, "\n": 3 + '\n', "nope": -1, "": -1} {
		if id, ok := tok.ID(piece); id != want || ok != (want >= 0) {
			t.Errorf("%q is %d, %v, want %d", piece, id, ok, want)
		}
	}
	if id, ok := build(t, byteVocab("gpt-2", []string{" |a"}, "<|x|>")).ID(" a"); !ok || id != 256 {
		t.Errorf("id %d, %v", id, ok)
	}
}

func TestEOG(t *testing.T) {
	v := byteVocab("gpt-2", nil, "<|im_end|>", "<|end|>", "<|endoftext|>", "<|user|>", "<|other|>")
	v.EOS = 260
	if got := build(t, v).EOG(); !slices.Equal(got, []int32{260, 258, 256, 257}) {
		t.Errorf("got %v", got)
	}
	v = byteVocab("gpt-4o", nil, "<|return|>", "<|call|>", "<|end|>") // harmony: <|end|> ends a message
	tok := build(t, v)
	if !tok.IsEOG(256) || !tok.IsEOG(257) || tok.IsEOG(258) {
		t.Errorf("got %v", tok.EOG())
	}
	v.Types[256] = typeNormal
	if build(t, v).IsEOG(256) {
		t.Error("a token of text ends a generation")
	}
}

// TestDuplicates wants the first of two ids with the same piece.
func TestDuplicates(t *testing.T) {
	v := byteVocab("gpt-2", []string{"a|b"})
	v.Tokens, v.Types = append(v.Tokens, "ab", "a", ""), append(v.Types, typeNormal, typeNormal, typeNormal)
	ids, err := build(t, v).Encode(nil, "ab", false)
	if err != nil || !slices.Equal(ids, []int32{256}) {
		t.Errorf("%v, %v", ids, err)
	}
}
