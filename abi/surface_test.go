package abi

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestFrozen compares everything that host and guests must agree on with
// testdata/surface.txt, each line of which says since which version it holds. A line
// that is there is never changed or taken away within version 1. What is added comes
// with a new minor version: raise Minor, then run the test with -rewrite.
func TestFrozen(t *testing.T) {
	const path = "testdata/surface.txt"
	since := map[string]string{}
	b, err := os.ReadFile(path)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		version, what, _ := strings.Cut(strings.TrimSpace(line), "  ")
		since[what] = version
	}
	now := surface(t)
	for what, version := range since {
		if !slices.Contains(now, what) {
			t.Errorf("gone or changed, though it is frozen since %s:\n  %s\nOnly version %d may do that.", version, what, Major+1)
		}
	}
	own := fmt.Sprintf("%d.%d", Major, Minor)
	released := slices.Contains(slices.Collect(values(since)), own)
	var lines []string
	for _, what := range now {
		if since[what] == "" {
			if released {
				t.Errorf("new:\n  %s\nVersion %s is frozen: raise Minor, then -rewrite.", what, own)
			} else if !*rewrite {
				t.Errorf("new, and not in %s (-rewrite):\n  %s", path, what)
			}
			since[what] = own
		}
		lines = append(lines, since[what]+"  "+what+"\n")
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func values(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// surface is all of the ABI that can be said in lines.
func surface(t *testing.T) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for name, value := range constants(t) {
		say("const %s = %s", name, value)
	}
	for name, f := range Exports {
		need := "required"
		if f.Optional {
			need = "optional"
		}
		say("export %s: %s, %s, of %v", name, f.Type, need, f.Kinds)
	}
	for name, capability := range Imports {
		say("import %s.%s: %s, capability %q", ImportModule, name, ImportTypes[name], capability)
	}
	for name, typ := range WASI {
		say("import %s.%s: %s", WASIModule, name, typ)
	}
	for bit, name := range FeatureNames {
		say("feature %d %s", bit, name)
	}
	for code, text := range codeNames {
		_ = text // words may change
		say("error %d", code)
	}
	for _, line := range slices.Concat(fields("header", make(Header, HeaderSize)), fields("row", make(Row, RowSize))) {
		say("%s", line)
	}
	for i, f := range reflect.VisibleFields(reflect.TypeFor[Manifest]()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		say("manifest %02d %s %s", i, key, f.Type.Kind())
	}
	for name, message := range map[string][]byte{ExportConfigure: AppendConfigure(nil, &Configure{}), ExportSeqOpen: AppendSeqOpen(nil, &SeqOpen{})} {
		for i, key := range keys(t, message) {
			say("message %s %d %s", name, i, key)
		}
	}
	for name, hex := range golden(t) {
		say("golden %s %x", name, sha256.Sum256([]byte(hex)))
	}
	for _, path := range old(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		say("plugin %s %x", filepath.ToSlash(path), sha256.Sum256(b))
	}
	slices.Sort(lines)
	return lines
}

// old are the plugins of earlier versions, which stay as they are.
func old(t *testing.T) []string {
	list, err := filepath.Glob("testdata/v*/*.wasm")
	if err != nil || len(list) < 9 {
		t.Errorf("%d old plugins, %v", len(list), err)
	}
	return list
}

// moving are the constants that say how far this version has come.
var moving = []string{"Minor", "Features"}

// constants are the package's, by name, evaluated from its source.
func constants(t *testing.T) map[string]string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	conf := types.Config{IgnoreFuncBodies: true, Importer: nothing{}, Error: func(error) {}}
	pkg, _ := conf.Check("abi", fset, parsed, nil) // what it imports is not needed for constants
	all := map[string]string{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Exported() && !slices.Contains(moving, name) {
			if c.Val().Kind() == constant.Unknown {
				t.Errorf("%s has no value", name)
			}
			all[name] = c.Val().ExactString()
		}
	}
	if len(all) < 80 {
		t.Errorf("%d constants", len(all))
	}
	return all
}

type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}

// fields finds out of which bytes each reader of a structure reads.
func fields(what string, zero any) (lines []string) {
	v := reflect.ValueOf(zero)
	bytes := v.Bytes()
	for i := range v.NumMethod() {
		method := v.Type().Method(i)
		if method.Type.NumIn() != 1 || method.Type.NumOut() != 1 {
			continue
		}
		at := []int{}
		before := v.Method(i).Call(nil)[0].Interface()
		for b := range bytes {
			bytes[b] = 0x40
			if v.Method(i).Call(nil)[0].Interface() != before {
				at = append(at, b)
			}
			bytes[b] = 0
		}
		lines = append(lines, fmt.Sprintf("%s %03d %s %s, %d bytes", what, at[0], method.Name, method.Type.Out(0).Kind(), len(at)))
	}
	return lines
}

func keys(t *testing.T, message []byte) (list []string) {
	r := NewReader("message", message)
	r.Fields(64, func(key string) {
		list = append(list, key)
		r.Skip()
	})
	if err := r.Done(); err != nil {
		t.Fatal(err)
	}
	return list
}
