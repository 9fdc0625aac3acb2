package tokenizer

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzTokenizers are one of each kind; they need no data.
func fuzzTokenizers(t testing.TB) map[string]*Tokenizer {
	merges := []string{" |t", "t|h", "th|e", "h|e", " t|he", " | ", "\n|\n", "a|a", "aa|aa", "\xc3|\xa9", "e|\xcc", "1|2"}
	special := []string{"<|x|>", "<|x", "<|xx|>", "</s>"}
	all := map[string]*Tokenizer{}
	for _, pre := range []string{"gpt-2", "llama-bpe", "qwen2", "gpt-4o", "tekken", "deepseek-llm", "deepseek-coder", "deepseek-v3", "default", "starcoder"} {
		all[pre] = build(t, byteVocab(pre, merges, special...))
	}
	v := pieceVocab(true, " ", " t", "t", "h", "th", "the", " the", "  ", "    ", "é", "日", "日本", "a", "aa", "aaaa")
	all["llama"] = build(t, v)
	v.AddSpacePrefix = false
	v.Tokens = append(v.Tokens, "a b", "[U]")
	v.Types = append(v.Types, typeUnused, typeUserDefined)
	v.Scores = append(v.Scores, 0, 0)
	all["llama without prefix"] = build(t, v)
	return all
}

// FuzzEncodeDecode wants any text back from its ids, but for what the package says
// of each kind, and any ids decoded or refused.
func FuzzEncodeDecode(f *testing.F) {
	toks := fuzzTokenizers(f)
	for _, s := range []string{"", " ", "the the</s> then", "\u2581a b  [U]", "e\u0301é日本 aaaaaaa", "<|x|><|xx|<|x\n\n\r\n'S12", "\xff\xc3\x28\xe2\x96", strings.Repeat("a", 100)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, special bool) {
		ids := make([]int32, len(text)/4)
		for i := range ids {
			ids[i] = int32(binary.LittleEndian.Uint32([]byte(text[4*i:]))) % 400
		}
		for name, tok := range toks {
			roundTrip(t, name, tok, text, special)
			out, err := tok.Decode(nil, ids, special)
			if err == nil && len(out) > 8*len(ids) {
				t.Errorf("%s: %d ids became %d bytes", name, len(ids), len(out))
			}
		}
	})
}

func roundTrip(t *testing.T, name string, tok *Tokenizer, text string, special bool) {
	ids, err := tok.Encode(nil, text, special)
	if err != nil {
		t.Fatalf("%s: %q: %v", name, text, err)
	}
	want := text
	if tok.spm {
		want = strings.ReplaceAll(text, spaceMark, " ")
	}
	if tok.pre.nfc {
		if special {
			return // each text between special tokens is normalized by itself
		}
		want = nfc(text)
	}
	got, err := tok.Decode(nil, ids, true)
	if err != nil || string(got) != want {
		t.Fatalf("%s: %q became %d, which is %q, %v", name, text, ids, got, err)
	}
	var stream []byte
	for _, id := range ids {
		if id < 0 || int(id) >= tok.Size() {
			t.Fatalf("%s: %q became %d", name, text, ids)
		}
		stream = append(stream, tok.Piece(id)...)
	}
	if !tok.prefix && string(stream) != want {
		t.Fatalf("%s: the pieces of %q are %q", name, text, stream)
	}
	if utf8.ValidString(text) && !special && len(text) > 0 && len(ids) == 0 {
		t.Fatalf("%s: %q became nothing", name, text)
	}
}

// FuzzNew builds vocabularies of any tokens, which must be refused or work.
func FuzzNew(f *testing.F) {
	f.Add("a|b|ab|<s>|<0x00>|\u2581a", []byte{1, 1, 1, 3, 6, 1}, "a b|b a", "ab ba<s>", true)
	f.Add("a|a||aa|\u0120a", []byte{1, 4, 0, 5, 2}, "a a", "aaaa", false)
	f.Fuzz(func(t *testing.T, tokens string, types []byte, merges, text string, spm bool) {
		v := none(Vocab{Model: "gpt2", Tokens: strings.Split(tokens, "|"), Merges: strings.Split(merges, "|")})
		if spm {
			v.Model, v.Merges, v.AddSpacePrefix = "llama", nil, true
		}
		for i := range v.Tokens {
			kind := int32(typeNormal)
			if i < len(types) {
				kind = int32(types[i] % 8)
				v.Scores = append(v.Scores, float32(int8(types[i])))
			} else {
				v.Scores = append(v.Scores, 0)
			}
			v.Types = append(v.Types, kind)
		}
		tok, err := New(v)
		if err != nil {
			return
		}
		for _, special := range []bool{false, true, false} {
			ids, err := tok.Encode(nil, text, special)
			if err != nil {
				continue
			}
			out, err := tok.Decode(nil, ids, true)
			if err != nil {
				t.Fatalf("%q: %q became %d: %v", v.Tokens, text, ids, err)
			}
			if !spm && string(out) != text && !strings.Contains(string(out), "\uFFFD") {
				t.Fatalf("%q: %q became %d, which is %q", v.Tokens, text, ids, out)
			}
		}
	})
}
