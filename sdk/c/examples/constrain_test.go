package examples_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// byteVocab has a token for each byte, and one that ends the answer.
var byteVocab = func() []string {
	v := make([]string, 256, 257)
	for i := range v {
		v[i] = string([]byte{byte(i)})
	}
	return append(v, "</s>")
}()

const byteEnd = 256

// writer writes token by token what a constrained sequence allows.
type writer struct {
	t   fataler
	p   *wasm.Plugin
	seq uint64
	n   int
}

func write(t fataler, p *wasm.Plugin, settings any) (*writer, error) {
	lastSeq++
	w := &writer{t: t, p: p, seq: lastSeq, n: 257}
	return w, p.OpenSeq(w.seq, config(t, settings))
}

// allowed are the tokens that may come next; a pick is the only one.
func (w *writer) allowed() []bool {
	w.t.Helper()
	logits := make([]float32, w.n)
	pick, err := w.p.Process(w.seq, nil, logits)
	if err != nil {
		w.t.Fatalf("process: %v", err)
	}
	ok := make([]bool, w.n)
	for i := range ok {
		ok[i] = pick < 0 && logits[i] == 0 || pick == int32(i)
	}
	return ok
}

func (w *writer) accept(id int32) {
	w.t.Helper()
	if err := w.p.Accept(w.seq, []int32{id}); err != nil {
		w.t.Fatalf("accept: %v", err)
	}
}

// text writes a text byte by byte and ends it; it returns how many bytes were
// allowed, len(text)+1 if the end was, too.
func (w *writer) text(text string) int {
	w.t.Helper()
	defer w.p.CloseSeq(w.seq)
	for i := range len(text) {
		if !w.allowed()[text[i]] {
			return i
		}
		w.accept(int32(text[i]))
	}
	if !w.allowed()[byteEnd] {
		return len(text)
	}
	return len(text) + 1
}

// closed loads the plugin so that its faults are errors.
func closed(t testing.TB, vocab []string) *wasm.Plugin {
	return load(t, examples.Constrain, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed})
}

// TestConstrainTexts: what each grammar takes and what it does not.
func TestConstrainTexts(t *testing.T) {
	p := closed(t, byteVocab)
	for _, c := range []struct {
		settings any
		yes, no  []string
	}{
		{m{"regex": "(ab|c)+d?"}, []string{"ab", "abcab", "ccd"}, []string{"", "a", "abd d", "dd", "abab\n"}},
		{m{"regex": "[^a-y]{2,3}"}, []string{"zz", "é中😀", "12"}, []string{"z", "aaa", "1234", "z\xff"}},
		{m{"regex": `^\d{4}-\d\d$|^n/a$`}, []string{"2024-01", "n/a"}, []string{"2024-1", "n/a ", ""}},
		{m{"regex": `\w+\s\S+|\x41\u00e9|[\]\-x]+|a{,2}`}, []string{"a_1 !", "Aé", "]-x", "a{,2}"}, []string{"a", "aa", "A", "a  b c"}},
		{m{"regex": "(a*)*b"}, []string{"b", "aaab"}, []string{"a", "ba"}},
		{m{"json": true}, []string{`{}`, `[]`, `"x"`, `-1.5e+3`, "{\"a\": [1, {\"b\":null}],\n  \"c\":\"\\u00e9\\ud83d\\ude00\\n\"}", "true", "[\n\t1,\n\t2\n]"},
			[]string{"", "{", "{]", "[1,]", "01", "+1", "tru", `{"a"}`, `{a:1}`, "nul", `"\x"`, "\"\n\"", `"\ud800"`, "[1 2]", "1 "}},
		{m{"json": true, "compact": true}, []string{`{"a":[1,2]}`}, []string{`{"a": 1}`, `[ ]`}},
		{m{"json": true, "depth": 2}, []string{`[[1]]`, `[{"a":"b"}]`, `[[[]]]`}, []string{`[[[1]]]`}},
		{m{"schema": m{"enum": []any{"a\"\\\n\x01é", 1.5, -3, nil, true, []any{1, m{"x": false}}}}},
			[]string{"\"a\\\"\\\\\\n\\u0001é\"", "1.5", "-3", "null", "true", `[1,{"x":false}]`, `[ 1, { "x": false } ]`}, []string{`"a"`, "1", "false", "[]"}},
		{m{"schema": `{"type":"integer","minimum":-17,"exclusiveMaximum":120}`}, []string{"-17", "0", "-1", "9", "119", "100"}, []string{"-18", "120", "-0", "007", "1.0", "1000"}},
		{m{"schema": `{"type":"number","exclusiveMinimum":-1.25,"maximum":3.5}`}, []string{"-1.249", "0", "3.5", "3.500", "3.49999", "-1", "0.0", "-0.5"}, []string{"-1.25", "-1.3", "3.51", "4", "3.5001", "-2"}},
		{m{"schema": `{"type":"number","multipleOf":1.5}`}, []string{"0", "1.5", "3", "4.5", "-9", "3.0", "4.50", "1501.5"}, []string{"1", "2", "1.25", "4.51", "0.5"}},
		{m{"schema": `{"type":"integer","multipleOf":7}`}, []string{"0", "7", "49", "-700"}, []string{"1", "10", "07"}},
		{m{"schema": `{"type":"string","minLength":2,"maxLength":3}`}, []string{`"ab"`, `"éé中"`, `"\ud83d\ude00x"`, `"\"\n"`[0:3] + `a"`}, []string{`"a"`, `"abcd"`}},
		{m{"schema": `{"type":"string","pattern":"b+$"}`}, []string{`"b"`, `"xyzbb"`, `"\"b"`}, []string{`""`, `"bx"`}},
		{m{"schema": `{"type":"string","format":"date"}`}, []string{`"2024-02-29"`}, []string{`"2024-13-01"`, `"x"`}},
		{m{"schema": `{"type":"object","properties":{"b":{"type":"null"},"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}`},
			[]string{`{"a":true}`, `{"b": null, "a": false}`}, []string{`{}`, `{"b":null}`, `{"a":true,"b":null}`, `{"a":true,"c":1}`}},
		{m{"schema": `{"type":"object","properties":{"ab":{"type":"null"},"é":{"type":"null"}}}`},
			[]string{`{"a":1,"b":2}`, `{"ab":null,"abc":1}`, `{"é":null}`, `{"ac":1}`, `{"x\n":[]}`, `{"e":1}`}, []string{`{"ab":1}`, `{"x":1,"ab":null}`, `{"\u0061b":1}`, `{"é":1}`}},
		{m{"schema": `{"type":"array","prefixItems":[{"type":"null"}],"items":{"type":"integer"},"minItems":2,"maxItems":3}`},
			[]string{`[null,1]`, `[null, 1, 2]`}, []string{`[null]`, `[1,1]`, `[null,1,2,3]`, `[]`}},
		{m{"schema": `{"type":"array","contains":{"const":7}}`}, []string{`[7]`, `[1,7]`, `[7,"x",7]`}, []string{`[]`, `[1]`}},
		{m{"schema": `{"$defs":{"t":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/t"}}},"additionalProperties":false}},"$ref":"#/$defs/t"}`},
			[]string{`{}`, `{"kids":[{"kids":[]},{}]}`}, []string{`{"kids":[1]}`, `{"x":1}`, `[]`}},
		{m{"schema": `{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"],"additionalProperties":false},{"type":"object","properties":{"k":{"const":"b"}},"required":["k"],"additionalProperties":false},{"type":"null"}]}`},
			[]string{`{"k":"a","x":1}`, `{"k":"b"}`, "null"}, []string{`{"k":"b","x":1}`, `{"k":"a"}`, "1"}},
		{m{"schema": `{"not":{"type":["object","array"]}}`}, []string{"1", `"x"`, "null"}, []string{"{}", "[]"}},
		{m{"schema": `{"type":"object","dependentRequired":{"a":["b"],"c":["d"]},"properties":{"a":true,"b":true,"c":true,"d":true},"additionalProperties":false}`},
			[]string{`{}`, `{"b":1}`, `{"a":1,"b":1}`, `{"a":1,"b":1,"c":1,"d":2}`}, []string{`{"a":1}`, `{"a":1,"b":1,"c":1}`}},
		{m{"schema": `{"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"type":"null"}}`}, []string{`{"a":null}`, `{"a":null,"b":null}`}, []string{`{}`, `{"a":null,"b":null,"c":null}`}},
		{m{"schema": `{"type":"object","propertyNames":{"pattern":"^x"}}`}, []string{`{"xa":1}`}, []string{`{"a":1}`}},
		{m{"schema": true}, []string{"1"}, []string{"x"}},
	} {
		for i, text := range append(append([]string{}, c.yes...), c.no...) {
			w, err := write(t, p, c.settings)
			if err != nil {
				t.Errorf("%v: %v", c.settings, err)
				break
			}
			got := w.text(text)
			if want := i < len(c.yes); (got == len(text)+1) != want {
				t.Errorf("%v: %q: %d bytes allowed, want all: %v", c.settings, text, got, want)
			}
		}
	}
}

func TestConstrainRefuses(t *testing.T) {
	p := closed(t, byteVocab)
	for _, c := range []struct {
		bad  any
		want string
	}{
		{[]int{1}, "not a map"},
		{m{"grammar": "x"}, "unknown key grammar; known are json, schema, regex"},
		{m{"json": 1}, "true or false"},
		{m{"json": true, "regex": "x"}, "give one of"},
		{m{"regex": 3}, "regex: want text"},
		{m{"regex": "a("}, "at byte 2: ( is not closed"},
		{m{"regex": "a)"}, ") without ("},
		{m{"regex": `(a)\1`}, "references to groups are not supported"},
		{m{"regex": "(?=a)b"}, "only (?: is supported"},
		{m{"regex": "a^b"}, "^ and $ are supported at the ends only"},
		{m{"regex": "[z-a]"}, "ends before it begins"},
		{m{"regex": "a{9999}"}, "more than 4096"},
		{m{"regex": "((((a{90}){90}){90}){90}){90}"}, "too large"},
		{m{"regex": strings.Repeat("(", 100)}, "nested too deep"},
		{m{"regex": "a\xff"}, "not UTF-8"},
		{m{"regex": "[^\\s\\S]"}, "nothing satisfies"},
		{m{"schema": `{"type":"int"}`}, "unknown type: int"},
		{m{"schema": `{"type":`}, "not JSON"},
		{m{"schema": strings.Repeat(`{"items":`, 90) + "1" + strings.Repeat("}", 90)}, "not JSON, or too large or deep"},
		{m{"schema": `{"$ref":"#/$defs/no"}`}, "$ref leads nowhere: #/$defs/no"},
		{m{"schema": `{"patternProperties":{"^a":{}}}`}, "not supported (set lenient to ignore it): patternProperties"},
		{m{"schema": `{"oneOf":[{"type":"integer"},{"type":"number"}]}`}, "oneOf whose schemas may overlap"},
		{m{"schema": `{"type":"string","maxLength":99999999999999999999999999}`}, "want a count"},
		{m{"schema": `{"type":"array","maxItems":1e9}`}, "counts are supported up to 4096"},
		{m{"schema": `{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`}, "nothing satisfies"},
		{m{"schema": false}, "nothing satisfies"},
		{m{"schema": 3}, "a schema is a map"},
		{m{"json": true, "max_tokens": 0}, "max_tokens: want"},
		{m{"regex": "abc", "max_tokens": 2}, "the shortest answer may need 3"},
		{m{"json": true, "ends": []int{999}}, "ids of the vocabulary"},
		{m{"json": true, "depth": 1000}, "depth: want"},
	} {
		w, err := write(t, p, c.bad)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120v: error %v, want %q", c.bad, err, c.want)
		}
		p.CloseSeq(w.seq)
	}
	bare, err := wasm.Load(t.Context(), examples.Constrain, wasm.Options{Vocab: []string{"a", "b"}, Config: m{"regex": "a"}})
	if err == nil || !strings.Contains(err.Error(), "name it in ends") {
		t.Errorf("no end token: %v", err)
		bare.Close()
	}
}

// schemaCase is a row of the corpus: instances of a schema, as values or as texts.
type schemaCase struct {
	ID      string            `json:"id"`
	Level   string            `json:"level"`
	Schema  json.RawMessage   `json:"schema"`
	Valid   []json.RawMessage `json:"valid"`
	Invalid []json.RawMessage `json:"invalid"`
	Accept  []string          `json:"accept_text"`
	Reject  []string          `json:"reject_text"`
}

// texts are the instances as they would be written: keys in the schema's order.
func (c *schemaCase) texts() (yes, no []string) {
	if c.Level == "text" {
		return c.Accept, c.Reject
	}
	order := keyOrder(c.Schema)
	for _, v := range c.Valid {
		yes = append(yes, inOrder(v, order))
	}
	for _, v := range c.Invalid {
		no = append(no, inOrder(v, order))
	}
	return yes, no
}

// keyOrder numbers all keys of a JSON text as they come.
func keyOrder(text []byte) map[string]int {
	order := map[string]int{}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := d.Token()
		if err != nil {
			return order
		}
		if s, ok := tok.(string); ok {
			if _, had := order[s]; !had {
				order[s] = len(order)
			}
		}
	}
}

// inOrder writes a value compactly, its keys in an order, others behind them.
func inOrder(v json.RawMessage, order map[string]int) string {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	switch {
	case json.Unmarshal(v, &object) == nil && object != nil:
		keys := make([]string, 0, len(object))
		for k := range object {
			keys = append(keys, k)
		}
		rank := func(k string) int {
			if r, ok := order[k]; ok {
				return r
			}
			return 1 << 30
		}
		sort.Slice(keys, func(i, j int) bool {
			a, b := rank(keys[i]), rank(keys[j])
			return a < b || a == b && keys[i] < keys[j]
		})
		parts := make([]string, len(keys))
		for i, k := range keys {
			parts[i] = plainJSON(k) + ":" + inOrder(object[k], order)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case json.Unmarshal(v, &list) == nil && list != nil:
		parts := make([]string, len(list))
		for i, e := range list {
			parts[i] = inOrder(e, order)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var s string
	if json.Unmarshal(v, &s) == nil && bytes.HasPrefix(v, []byte(`"`)) {
		return plainJSON(s)
	}
	return string(v)
}

// plainJSON is a string in JSON without needless escapes.
func plainJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

// TestConstrainSchemas runs the corpus. A schema with a keyword that is not
// supported must be refused, not half enforced.
func TestConstrainSchemas(t *testing.T) {
	var cases []schemaCase
	testdata.JSON(t, &cases, "schema", "cases.json")
	p := closed(t, byteVocab)
	refused := map[string]int{}
	var compiled, perfect, valid, accepted, invalid, blocked, empty int
	for _, c := range cases {
		w, err := write(t, p, m{"schema": string(c.Schema)})
		p.CloseSeq(w.seq)
		yes, no := c.texts()
		if err != nil {
			if strings.Contains(err.Error(), "nothing satisfies") && len(yes) == 0 {
				empty++
				blocked += len(no)
				invalid += len(no)
				continue
			}
			reason := err.Error()
			reason = reason[strings.LastIndex(reason, ": ")+2:]
			refused[reason]++
			t.Logf("refused %s: %v", c.ID, err)
			continue
		}
		compiled++
		good := true
		for i, text := range append(append([]string{}, yes...), no...) {
			w, err := write(t, p, m{"schema": string(c.Schema)})
			if err != nil {
				t.Fatal(err)
			}
			got := w.text(text) == len(text)+1
			want := i < len(yes)
			if want {
				valid++
			} else {
				invalid++
			}
			switch {
			case got && want:
				accepted++
			case !got && !want:
				blocked++
			default:
				good = false
				t.Logf("%s %s: %q allowed: %v", c.ID, c.Schema, text, got)
			}
		}
		if good {
			perfect++
		}
	}
	t.Logf("%d schemas: %d compiled (%d without a mistake), %d nothing satisfies, refused %v", len(cases), compiled, perfect, empty, refused)
	t.Logf("valid accepted %d of %d, invalid blocked %d of %d", accepted, valid, blocked, invalid)
	// What is wrong: 1.0 is no integer here, names that are only required come first,
	// and a schema without a type admits other types, as JSON Schema has it.
	if compiled < 108 || accepted < valid-8 || blocked < invalid-5 {
		t.Error("worse than it was")
	}
}

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

// TestConstrainRegexLikeGo compares with Go's regular expressions, on random
// expressions of the part both have.
func TestConstrainRegexLikeGo(t *testing.T) {
	p := closed(t, byteVocab)
	rapid.Check(t, func(t *rapid.T) {
		atoms := rapid.SampledFrom([]string{"a", "b", "é", ".", "[ab]", "[^a]", "(a|b)", "(?:ab)", `\d`, `\w`, "[a-c1]", "(b|)", `\.`})
		marks := rapid.SampledFrom([]string{"", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "|"})
		expr := ""
		for range rapid.IntRange(1, 6).Draw(t, "atoms") {
			expr += atoms.Draw(t, "atom") + marks.Draw(t, "mark")
		}
		want, err := regexp.Compile(`^(?:` + expr + `)$`)
		if err != nil {
			return
		}
		for range 4 {
			text := rapid.StringOfN(rapid.SampledFrom([]rune("abc1.é")), 0, 8, -1).Draw(t, "text")
			w, err := write(t, p, m{"regex": expr})
			if err != nil {
				t.Fatalf("%q: %v", expr, err)
			}
			if got := w.text(text) == len(text)+1; got != want.MatchString(text) {
				t.Fatalf("%q on %q: %v", expr, text, got)
			}
		}
	})
}

// TestConstrainForkRollback: a fork goes its own way, and what was taken back was
// never there.
func TestConstrainSeqs(t *testing.T) {
	p := closed(t, byteVocab)
	for i := range 300 { // grammars come and go
		w, err := write(t, p, m{"regex": fmt.Sprintf("a{%d}b", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Repeat("a", i+1) + "b"; w.text(text) != len(text)+1 {
			t.Fatal(i)
		}
	}
	var open []*writer
	for i := range 64 {
		w, err := write(t, p, m{"regex": fmt.Sprintf("x{%d}y", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, w)
	}
	if w, err := write(t, p, m{"regex": "one more"}); err == nil || !strings.Contains(err.Error(), "64 different grammars are in use") {
		t.Errorf("%v", err)
		p.CloseSeq(w.seq)
	}
	for i, w := range open {
		if text := strings.Repeat("x", i+1) + "y"; w.text(text) != len(text)+1 {
			t.Errorf("%q", text)
		}
	}
}

// TestConstrainForks: a fork goes its own way, what was taken back was never there,
// and a plan is the answer.
func TestConstrainForks(t *testing.T) {
	p := closed(t, byteVocab)
	rapid.Check(t, func(t *rapid.T) {
		settings := m{"schema": `{"type":"array","items":{"enum":["ab","ac",12]},"maxItems":4}`}
		a, err := write(t, p, settings)
		if err != nil {
			t.Fatal(err)
		}
		all := []*writer{a}
		texts := [][]int32{nil}
		defer func() {
			for _, w := range all {
				p.CloseSeq(w.seq)
			}
		}()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			w := all[i]
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				lastSeq++
				if err := p.ForkSeq(w.seq, lastSeq); err != nil {
					t.Fatal(err)
				}
				all = append(all, &writer{t: t, p: p, seq: lastSeq, n: 257})
				texts = append(texts, append([]int32(nil), texts[i]...))
			case 1:
				if n := len(texts[i]); n > 0 {
					back := rapid.IntRange(1, n).Draw(t, "back")
					if err := p.Rollback(w.seq, back); err != nil {
						t.Fatal(err)
					}
					texts[i] = texts[i][:n-back]
				}
			default:
				if rapid.Bool().Draw(t, "plan") {
					p.Plan([]uint64{w.seq}, [][]int32{nil})
				}
				var may []int32
				for id, ok := range w.allowed() {
					if ok {
						may = append(may, int32(id))
					}
				}
				if id := rapid.SampledFrom(may).Draw(t, "choice"); id != byteEnd {
					w.accept(id)
					texts[i] = append(texts[i], id)
				}
			}
		}
		for i, w := range all { // as one that only wrote
			fresh, err := write(t, p, settings)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range texts[i] {
				fresh.accept(id)
			}
			if got, want := fmt.Sprint(w.allowed()), fmt.Sprint(fresh.allowed()); got != want {
				t.Fatalf("after %v:\n %s\n %s", texts[i], got, want)
			}
			p.CloseSeq(fresh.seq)
		}
	})
}

// words is a vocabulary in the size of a real one: bytes, and pieces of words with
// and without a space before them, quotes and brackets.
func words(n int) []string {
	v := append([]string{}, byteVocab...)
	parts := []string{"a", "e", "in", "th", "or", "st", "ra", "no", "qu", "ly", "x", "1", "20", "é", "z"}
	had := map[string]bool{}
	add := func(s string) {
		if !had[s] && len(v) < n {
			had[s] = true
			v = append(v, s)
		}
	}
	for _, s := range []string{`":`, `",`, `"}`, `"]`, `{"`, `["`, `": "`, `", "`, "},", "],", "}}", "true", "false", "null", "  ", "\n  "} {
		add(s)
	}
	for i := 0; len(v) < n; i++ {
		s, k := "", i
		for range 1 + i%5 {
			s += parts[k%len(parts)]
			k = k/len(parts)*7 + i%11
		}
		s += fmt.Sprintf("%c%c", 'a'+i%26, 'a'+i/26%26)
		switch i % 7 {
		case 0, 1, 2:
			s = " " + s
		case 3:
			s += `"`
		}
		if had[s] {
			s = fmt.Sprintf("%s%d", s, i)
		}
		add(s)
	}
	return v
}

// BenchmarkConstrain measures a step of ten sequences in the midst of strings and
// between values, over 151,936 tokens: what is visible if it was planned, and the
// plan; and the first mask of a state.
func BenchmarkConstrain(b *testing.B) {
	vocab := words(151_936)
	p := load(b, examples.Constrain, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed})
	schema := `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age"]}`
	const rows = 10
	seqs, histories, logits, picks, errs := make([]uint64, rows), make([][]int32, rows), make([][]float32, rows), make([]int32, rows), make([]error, rows)
	for i := range rows {
		w, err := write(b, p, m{"schema": schema})
		if err != nil {
			b.Fatal(err)
		}
		seqs[i], logits[i] = w.seq, make([]float32, len(vocab))
		for _, c := range []byte(`{"name":"ab", "age": 12, "tags": ["x", "`[:[]int{10, 12, 24, 33, 40}[i%5]]) {
			w.accept(int32(c))
		}
	}
	check := func() {
		for _, err := range errs {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("planned", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			p.Plan(seqs, histories)
			b.StartTimer()
			p.ProcessRows(seqs, histories, logits, picks, errs)
		}
		check()
	})
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			p.Plan(seqs, histories)
			b.StopTimer()
			p.ProcessRows(seqs, histories, logits, picks, errs)
			b.StartTimer()
		}
		check()
	})
	b.Run("unplanned", func(b *testing.B) {
		for b.Loop() {
			p.ProcessRows(seqs, histories, logits, picks, errs)
		}
		check()
	})
	for first, s := range map[rune]m{'"': {"json": true}, 'a': {"regex": "[a-z ]+"}} {
		b.Run(fmt.Sprintf("first-mask/%v", s), func(b *testing.B) {
			row := logits[0]
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				own := m{"max_tokens": i%1_000_000 + 1000}
				for k, v := range s {
					own[k] = v
				}
				w, err := write(b, p, own)
				if err != nil {
					b.Fatal(err)
				}
				w.accept(int32(first))
				b.StartTimer()
				if _, err := p.Process(w.seq, nil, row); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				p.CloseSeq(w.seq)
				b.StartTimer()
			}
		})
	}
}
