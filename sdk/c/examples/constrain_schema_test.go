package examples_test

import (
	"bytes"
	"encoding/json"
	"sort"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

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
	// What is wrong: 1.0 is no integer here, and a schema without a type admits other
	// types, as JSON Schema has it.
	if compiled < 125 || accepted < valid-4 || blocked < invalid-5 {
		t.Error("worse than it was")
	}
}
