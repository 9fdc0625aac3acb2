package examples_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

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
		{m{"schema": `{"type":"object","properties":{"kind":{"enum":["car","bike"]},"doors":{"type":"integer"}},"required":["kind"],"if":{"properties":{"kind":{"const":"car"}}},"then":{"required":["doors"]},"else":{"properties":{"doors":false}},"additionalProperties":false}`},
			[]string{`{"kind":"car","doors":4}`, `{"kind":"bike"}`}, []string{`{"kind":"car"}`, `{"kind":"bike","doors":2}`}},
		{m{"schema": `{"type":"object","properties":{"x-a":{"type":"null"}},"patternProperties":{"^x-":{"type":["integer","null"]}},"additionalProperties":{"type":"string"}}`},
			[]string{`{"x-a":null,"x-b":1,"y":"z"}`, `{}`}, []string{`{"x-a":1}`, `{"x-b":"z"}`, `{"y":1}`, `{"\u0078-b":"z"}`}},
		{m{"schema": `{"type":"array","items":{"enum":["a","b",3]},"uniqueItems":true,"minItems":2}`}, []string{`["a","b"]`, `[3,"b","a"]`}, []string{`["a"]`, `["a","a"]`, `["a","b",3,"b"]`}},
		{m{"schema": `{"type":"string","pattern":"^a","maxLength":3,"not":{"const":"ab"}}`}, []string{`"a"`, `"abc"`, `"aé\n"`}, []string{`"ab"`, `"abcd"`, `"b"`}},
		{m{"schema": `{"oneOf":[{"type":"integer"},{"type":"number"}]}`}, []string{"1.5", "-0.25"}, []string{"1", "2.0"}},
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
		{m{"schema": `{"patternProperties":{"a(":{}}}`}, "( is not closed"},
		{m{"schema": `{"uniqueItems":true}`}, "not supported (set lenient to ignore it): uniqueItems, of other than up to 8 constants"},
		{m{"schema": `{"oneOf":[{"items":{"type":"null"}},{"type":"array"}]}`}, "not, of items"},
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
