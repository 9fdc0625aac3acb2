package examples_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/wasm"
)

// TestConstrainVocabulary: a token is allowed exactly if its bytes are, one by one.
func TestConstrainVocabulary(t *testing.T) {
	vocab := append(append([]string{}, byteVocab...), "true", "\": ", "\",", "null", "}", "}}", "]}", "  ", "[1", "12", "123.", "é", "中\"", "\"a", "abc", "abc", "", "\xc3", "<|im_start|>")
	p := closed(t, vocab)
	settings := []any{m{"json": true}, m{"schema": `{"type":"array","items":{"type":"object","properties":{"abc":{"type":"integer","maximum":1234}},"required":["abc"]},"maxItems":3}`}, m{"regex": "(abc|1+2|é[^x]\"){1,9}"}}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(settings).Draw(t, "grammar")
		w, err := write(t, p, s)
		if err != nil {
			t.Fatal(err)
		}
		defer p.CloseSeq(w.seq)
		w.n = len(vocab)
		var text string
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			ok := w.allowed()
			var may []int32
			for id, yes := range ok {
				if yes && id != byteEnd {
					may = append(may, int32(id))
				}
			}
			probe := rapid.IntRange(257, len(vocab)-1).Draw(t, "token")
			if want := vocab[probe] != "" && !strings.HasPrefix(vocab[probe], "<|") && bytesAllowed(t, p, s, text, vocab[probe], len(vocab)); want != ok[probe] {
				t.Fatalf("%v after %q: token %q allowed %v, its bytes %v", s, text, vocab[probe], ok[probe], want)
			}
			if len(may) == 0 {
				if !ok[byteEnd] {
					t.Fatalf("%v: nothing may follow %q", s, text)
				}
				break
			}
			id := rapid.SampledFrom(may).Draw(t, "choice")
			w.accept(id)
			text += vocab[id]
		}
		if s.(m)["json"] == true {
			w.finish(t, text)
		}
	})
}

// bytesAllowed says whether the bytes of a token may follow a text.
func bytesAllowed(t fataler, p *wasm.Plugin, settings any, text, token string, n int) bool {
	w, err := write(t, p, settings)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer p.CloseSeq(w.seq)
	w.n = n
	for i := range len(text) {
		w.accept(int32(text[i]))
	}
	for i := range len(token) {
		if !w.allowed()[token[i]] {
			return false
		}
		w.accept(int32(token[i]))
	}
	return true
}

// finish goes on until the end is allowed, and checks that the text is JSON.
func (w *writer) finish(t fataler, text string) {
	for range 400 {
		ok := w.allowed()
		if ok[byteEnd] {
			if !json.Valid([]byte(text)) {
				t.Fatalf("not JSON: %q", text)
			}
			return
		}
		// What closes first, and after that what goes on with words and escapes.
		order := `"}]` + `0enalstrufbcdABDEF89:\` + "\x80\x90\xa0"
		i := 0
		for ; i < len(order) && !ok[order[i]]; i++ {
		}
		if i == len(order) {
			t.Fatalf("no way to the end from %q", text)
		}
		w.accept(int32(order[i]))
		text += order[i : i+1]
	}
	t.Fatalf("no end to %q", text)
}

// TestConstrainMaxTokens: whatever is chosen, the answer is whole in time.
func TestConstrainMaxTokens(t *testing.T) {
	vocab := append(append([]string{}, byteVocab...), `{"`, `":`, `[[`, `"a"`, `,"`, `\u`, `[{"`, "12", "null")
	p := closed(t, vocab)
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 60).Draw(t, "most")
		settings := m{"json": true, "max_tokens": most}
		if rapid.Bool().Draw(t, "schema") {
			most += 40
			settings = m{"schema": `{"type":"object","properties":{"name":{"type":"string"},"list":{"type":"array","items":{"type":"number"},"minItems":3}},"required":["name","list"]}`, "max_tokens": most}
		}
		w, err := write(t, p, settings)
		if err != nil {
			t.Fatal(err)
		}
		defer p.CloseSeq(w.seq)
		w.n = len(vocab)
		text := ""
		for n := 0; ; n++ {
			var may []int32
			for id, yes := range w.allowed() {
				if yes {
					may = append(may, int32(id))
				}
			}
			if len(may) == 0 {
				t.Fatalf("nothing may follow %q", text)
			}
			id := rapid.SampledFrom(may).Draw(t, "choice")
			if id == byteEnd {
				if !json.Valid([]byte(text)) || n > most {
					t.Fatalf("%d tokens of %d: %q", n, most, text)
				}
				return
			}
			if n >= most {
				t.Fatalf("more than %d tokens: %q", most, text)
			}
			w.accept(id)
			text += vocab[id]
		}
	})
}
