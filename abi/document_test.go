package abi

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var (
	rowOf  = regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\| ([a-z0-9_, >-]*?) ?\\| ([^|]*)\\|(?: ([^|]*)\\|)?$")
	typeOf = regexp.MustCompile(`\b[if](?:32|64)\b`)
)

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func section(t *testing.T, text, from string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n## "+from)
	if !found {
		t.Fatalf("docs/abi.md has no section %s", from)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// signature is "i32 i32 -> i64" of "ptr i32, len i32 -> i64".
func signature(s string) string {
	in, out, _ := strings.Cut(s, "->")
	words := append(typeOf.FindAllString(in, -1), "->")
	return strings.Join(append(words, typeOf.FindAllString(out, -1)...), " ")
}

// TestDocumentedFunctions compares the tables of docs/abi.md with Exports and Imports.
func TestDocumentedFunctions(t *testing.T) {
	text := document(t)
	seen := map[string]bool{}
	for _, m := range rowOf.FindAllStringSubmatch(section(t, text, "4. Exports"), -1) {
		name, got, note := m[1], signature(m[2]), m[3]
		f, ok := Exports[name]
		if seen[name] = true; !ok || f.Type != got {
			t.Errorf("export %s: the document says %q, the code %q", name, got, f.Type)
		}
		if says := strings.Contains(note, "optional") || name == ExportManifest; f.Optional != says {
			t.Errorf("export %s: the document says %q, the code optional %v", name, note, f.Optional)
		}
		for _, k := range f.Kinds {
			if !strings.Contains(note, string(k)+"s") {
				t.Errorf("export %s: the document says %q, the code %v", name, note, f.Kinds)
			}
		}
	}
	for name := range Exports {
		if !seen[name] {
			t.Errorf("export %s is not documented", name)
		}
	}
	seen = map[string]bool{}
	for _, m := range rowOf.FindAllStringSubmatch(section(t, text, "5. Imports"), -1) {
		name, got, capability := m[1], signature(m[2]), strings.TrimSpace(m[3])
		if seen[name] = true; ImportTypes[name] != got || Imports[name] != capability {
			t.Errorf("import %s: the document says %q, capability %q; the code %q, %q", name, got, capability, ImportTypes[name], Imports[name])
		}
	}
	for name := range Imports {
		if !seen[name] {
			t.Errorf("import %s is not documented", name)
		}
	}
	for name := range WASI {
		if !strings.Contains(section(t, text, "5. Imports"), "`"+name+"`") {
			t.Errorf("%s.%s is not documented", WASIModule, name)
		}
	}
}

// TestDocumentedNumbers: every error, feature, key, limit and field stands there.
func TestDocumentedNumbers(t *testing.T) {
	text := document(t)
	has := func(in, what string) {
		t.Helper()
		if !strings.Contains(in, what) {
			t.Errorf("docs/abi.md does not say %q", what)
		}
	}
	all := constants(t)
	for name, value := range all {
		if strings.HasPrefix(name, "E") && strings.HasPrefix(value, "-") {
			has(section(t, text, "1. Modules"), name+" "+value)
		}
	}
	for bit, name := range FeatureNames {
		has(section(t, text, "2. Version"), fmt.Sprintf("| %d | `%s` |", bit, name))
	}
	manifest := section(t, text, "3. Manifest")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Manifest]()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		has(manifest, "`"+key+"`")
	}
	for _, limit := range []string{"65,536", "4,096", "1 MiB", "32,767", "4,194,304", "2^50", "64 KiB", "default 256", "32 deep"} {
		has(manifest, limit)
	}
	for _, name := range []string{CapLog, CapMetric, CapClock, CapRand, CapKV, CapVocab} {
		has(manifest, "`"+name+"`")
	}
	for _, message := range [][]byte{AppendConfigure(nil, &Configure{}), AppendSeqOpen(nil, &SeqOpen{})} {
		for _, key := range keys(t, message) {
			has(section(t, text, "6. Messages"), "`"+key+"`")
		}
	}
}

// TestDocumentedFrame compares the table of the frame with what the readers read.
func TestDocumentedFrame(t *testing.T) {
	said := map[string]bool{}
	for line := range strings.Lines(section(t, document(t), "7. Sampler")) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for i, what := range map[int]string{1: "header", 3: "row"} {
			var at int
			if _, err := fmt.Sscan(cells[i], &at); err == nil && strings.TrimSpace(cells[i+1]) != "reserved, 0" {
				name, _, _ := strings.Cut(strings.TrimSpace(cells[i+1]), " ")
				said[fmt.Sprintf("%s %03d %s", what, at, strings.ReplaceAll(name, "_", ""))] = true
			}
		}
	}
	names := strings.NewReplacer("Action", "action", "Size", "header") // as the document calls them
	for what, list := range map[string][]string{"header": fields("header", make(Header, HeaderSize)), "row": fields("row", make(Row, RowSize))} {
		for _, line := range list {
			var at int
			var name string
			if _, err := fmt.Sscanf(line, what+" %d %s", &at, &name); err != nil {
				t.Fatal(line, err)
			}
			key := fmt.Sprintf("%s %03d %s", what, at, strings.ToLower(names.Replace(name)))
			if !said[key] {
				t.Errorf("the document does not have %q", key)
			}
			delete(said, key)
		}
	}
	for key := range said {
		t.Errorf("the document has %q, the code not", key)
	}
}
