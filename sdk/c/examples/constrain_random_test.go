package examples_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// satisfies is what the keywords of draft 2020-12 mean, in plain Go.
func satisfies(v, schema any) bool {
	s, ok := schema.(m)
	if !ok {
		return schema.(bool)
	}
	for k, arg := range s {
		if !keywordHolds(v, s, k, arg) {
			return false
		}
	}
	return true
}

func keywordHolds(v any, s m, k string, arg any) bool {
	switch k {
	case "type":
		return isType(v, arg.(string))
	case "const":
		return reflect.DeepEqual(v, arg)
	case "enum":
		return count(arg.([]any), func(e any) bool { return reflect.DeepEqual(v, e) }) > 0
	case "allOf":
		return count(arg.([]any), func(e any) bool { return satisfies(v, e) }) == len(arg.([]any))
	case "anyOf":
		return count(arg.([]any), func(e any) bool { return satisfies(v, e) }) > 0
	case "oneOf":
		return count(arg.([]any), func(e any) bool { return satisfies(v, e) }) == 1
	case "not":
		return !satisfies(v, arg)
	case "if":
		then := "else"
		if satisfies(v, arg) {
			then = "then"
		}
		return s[then] == nil || satisfies(v, s[then])
	}
	switch v := v.(type) {
	case float64:
		return numberHolds(v, k, arg)
	case string:
		return stringHolds(v, k, arg)
	case []any:
		return arrayHolds(v, k, arg)
	case m:
		return objectHolds(v, s, k, arg)
	}
	return true
}

func isType(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case string:
		return name == "string"
	case []any:
		return name == "array"
	}
	return name == "object"
}

func count(list []any, f func(any) bool) (n int) {
	for _, e := range list {
		if f(e) {
			n++
		}
	}
	return n
}

func numberHolds(v float64, k string, arg any) bool {
	switch k {
	case "minimum":
		return v >= arg.(float64)
	case "maximum":
		return v <= arg.(float64)
	case "exclusiveMinimum":
		return v > arg.(float64)
	case "exclusiveMaximum":
		return v < arg.(float64)
	case "multipleOf":
		return math.Mod(v, arg.(float64)) == 0
	}
	return true
}

func stringHolds(v string, k string, arg any) bool {
	switch k {
	case "minLength":
		return float64(utf8.RuneCountInString(v)) >= arg.(float64)
	case "maxLength":
		return float64(utf8.RuneCountInString(v)) <= arg.(float64)
	case "pattern":
		return regexp.MustCompile(arg.(string)).MatchString(v)
	}
	return true
}

func arrayHolds(v []any, k string, arg any) bool {
	switch k {
	case "minItems":
		return float64(len(v)) >= arg.(float64)
	case "maxItems":
		return float64(len(v)) <= arg.(float64)
	case "items":
		return count(v, func(e any) bool { return satisfies(e, arg) }) == len(v)
	case "contains":
		return count(v, func(e any) bool { return satisfies(e, arg) }) > 0
	case "uniqueItems":
		for i := range v {
			for j := range i {
				if reflect.DeepEqual(v[i], v[j]) {
					return false
				}
			}
		}
	}
	return true
}

func objectHolds(v, s m, k string, arg any) bool {
	all := func(f func(key string, e any) bool) bool {
		for key, e := range v {
			if !f(key, e) {
				return false
			}
		}
		return true
	}
	switch k {
	case "required":
		return count(arg.([]any), func(e any) bool { _, has := v[e.(string)]; return has }) == len(arg.([]any))
	case "minProperties":
		return float64(len(v)) >= arg.(float64)
	case "maxProperties":
		return float64(len(v)) <= arg.(float64)
	case "propertyNames":
		return all(func(key string, _ any) bool { return satisfies(key, arg) })
	case "properties":
		return all(func(key string, e any) bool { sub, has := arg.(m)[key]; return !has || satisfies(e, sub) })
	case "patternProperties":
		return all(func(key string, e any) bool {
			for p, sub := range arg.(m) {
				if regexp.MustCompile(p).MatchString(key) && !satisfies(e, sub) {
					return false
				}
			}
			return true
		})
	case "additionalProperties":
		return all(func(key string, e any) bool { return isNamed(s, key) || satisfies(e, arg) })
	case "dependentRequired", "dependentSchemas":
		return all(func(key string, _ any) bool {
			switch sub := arg.(m)[key].(type) {
			case nil:
				return true
			case []any:
				return objectHolds(v, s, "required", sub)
			default:
				return satisfies(v, sub)
			}
		})
	}
	return true
}

// isNamed says whether properties or patternProperties speak of a key.
func isNamed(s m, key string) bool {
	if named, ok := s["properties"].(m); ok && named[key] != nil {
		return true
	}
	patterns, _ := s["patternProperties"].(m)
	for p := range patterns {
		if regexp.MustCompile(p).MatchString(key) {
			return true
		}
	}
	return false
}

// spelled are the ways to write a value with its keys in any order.
func spelled(v any) []string {
	object, ok := v.(m)
	if !ok || len(object) < 2 {
		b, _ := json.Marshal(v)
		return []string{string(b)}
	}
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var all []string
	for i, k := range keys {
		rest := m{}
		for _, o := range append(append([]string{}, keys[:i]...), keys[i+1:]...) {
			rest[o] = object[o]
		}
		value, _ := json.Marshal(object[k])
		for _, behind := range spelled(rest) {
			all = append(all, fmt.Sprintf("{%q:%s,%s", k, value, strings.TrimPrefix(behind, "{")))
		}
	}
	return all
}

// scalars are the simple values instances and constants are made of.
var scalars = []any{nil, true, false, 0.0, 1.0, 2.0, 3.0, -1.0, 1.5, "", "a", "b", "ab", "xa", "bb"}

// randomSchema draws a schema of a few keywords.
func randomSchema(t *rapid.T, depth int) any {
	s := m{}
	sub := func() any {
		if depth == 0 || rapid.IntRange(0, 9).Draw(t, "leaf") == 0 {
			return rapid.SampledFrom([]any{true, false, m{"type": "integer"}, m{"type": "string"}, m{"const": "a"}, m{"enum": []any{1.0, "b", nil}}}).Draw(t, "small")
		}
		return randomSchema(t, depth-1)
	}
	subs := func() []any {
		list := make([]any, rapid.IntRange(1, 3).Draw(t, "n"))
		for i := range list {
			list[i] = sub()
		}
		return list
	}
	key := func() string { return rapid.SampledFrom([]string{"a", "b", "xa"}).Draw(t, "key") }
	number := func(low, high int) float64 { return float64(rapid.IntRange(low, high).Draw(t, "number")) }
	pattern := func() string {
		return rapid.SampledFrom([]string{"^x", "a", "b$", "^[ab]+$", "^.$"}).Draw(t, "pattern")
	}
	for range rapid.IntRange(1, 3).Draw(t, "keywords") {
		switch rapid.IntRange(0, 21).Draw(t, "keyword") {
		case 0, 1:
			s["type"] = rapid.SampledFrom([]string{"null", "boolean", "number", "integer", "string", "array", "object"}).Draw(t, "type")
		case 2:
			s["const"] = rapid.SampledFrom(scalars).Draw(t, "const")
		case 3:
			s["enum"] = []any{rapid.SampledFrom(scalars).Draw(t, "e1"), rapid.SampledFrom(scalars).Draw(t, "e2"), rapid.SampledFrom(scalars).Draw(t, "e3")}
		case 4:
			s[rapid.SampledFrom([]string{"minimum", "exclusiveMinimum"}).Draw(t, "bound")] = number(-1, 2)
		case 5:
			s[rapid.SampledFrom([]string{"maximum", "exclusiveMaximum"}).Draw(t, "bound")] = number(0, 3)
		case 6:
			s["multipleOf"] = number(1, 2)
		case 7:
			s[rapid.SampledFrom([]string{"minLength", "maxLength"}).Draw(t, "length")] = number(0, 2)
		case 8:
			s["pattern"] = pattern()
		case 9:
			s["required"] = []any{key()}
		case 10:
			s["properties"] = m{key(): sub(), key(): sub()}
		case 11:
			s["patternProperties"] = m{pattern(): sub()}
		case 12:
			s["additionalProperties"] = sub()
		case 13:
			s[rapid.SampledFrom([]string{"minProperties", "maxProperties"}).Draw(t, "properties")] = number(0, 2)
		case 14:
			s["items"] = sub()
			s[rapid.SampledFrom([]string{"minItems", "maxItems"}).Draw(t, "items")] = number(0, 2)
		case 15:
			s["uniqueItems"] = true
			s["items"] = rapid.SampledFrom([]any{m{"enum": []any{1.0, "a", "b"}}, m{"type": "boolean"}}).Draw(t, "few")
		case 16:
			s[rapid.SampledFrom([]string{"anyOf", "oneOf", "allOf"}).Draw(t, "of")] = subs()
		case 17:
			s["not"] = sub()
		case 18, 19:
			s["if"], s["then"], s["else"] = sub(), sub(), sub()
		case 20:
			s["dependentRequired"], s["dependentSchemas"] = m{key(): []any{key()}}, m{key(): sub()}
		case 21:
			s["propertyNames"] = m{"pattern": pattern()}
		}
	}
	return s
}

// instances are values a schema is tried on.
func instances() []any {
	all := append([]any{}, scalars...)
	all = append(all, []any{}, []any{1.0}, []any{"a", "a"}, []any{"a", "b"}, []any{true, false}, []any{1.0, 1.0}, []any{nil, "b", 1.5}, m{})
	for _, v := range []any{nil, 1.0, "a", "b", 1.5} {
		all = append(all, m{"a": v}, m{"xa": v}, m{"a": v, "b": "a"}, m{"b": v, "xa": 2.0}, m{"a": 1.0, "b": v, "xa": "b"})
	}
	return all
}

// TestConstrainLikeTheMeaning: of what JSON Schema admits some way to write it is
// allowed, and no way of what it does not; a schema that cannot be is refused.
func TestConstrainLikeTheMeaning(t *testing.T) {
	p := closed(t, byteVocab)
	schemas, refused := 0, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		schema := randomSchema(t, 2)
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		schemas++
		settings := m{"schema": string(text), "compact": true}
		probe, err := write(t, p, settings)
		p.CloseSeq(probe.seq)
		empty := err != nil && strings.Contains(err.Error(), "nothing satisfies")
		if err != nil && !empty {
			if !strings.Contains(err.Error(), "not supported") && !strings.Contains(err.Error(), "too large") {
				t.Fatalf("%s: %v", text, err)
			}
			reason := err.Error()
			refused[reason[strings.LastIndex(reason, ": ")+2:]]++
			return
		}
		for _, v := range instances() {
			allowed := ""
			for _, way := range spelled(v) {
				if empty {
					break
				}
				w, err := write(t, p, settings)
				if err != nil {
					t.Fatal(err)
				}
				if w.text(way) == len(way)+1 {
					allowed = way
				}
			}
			if want := satisfies(v, schema); want != (allowed != "") {
				b, _ := json.Marshal(v)
				t.Fatalf("%s\n%s is valid: %v, allowed: %v", text, b, want, allowed != "")
			}
		}
	})
	t.Logf("%d schemas, refused %v", schemas, refused)
}
