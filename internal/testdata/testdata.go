// Package testdata finds the real test data that lives outside the repository:
// vocabularies, trained models and golden logits under $SANDWARP_DATA (default
// ../shared/data beside the repository). Tests that want it skip, and say so,
// where it is absent.
package testdata

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Root is the repository's root directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Dir is the folder the data is expected in.
func Dir() string {
	if d := os.Getenv("SANDWARP_DATA"); d != "" {
		return d
	}
	return filepath.Join(Root(), "..", "shared", "data")
}

// Path returns the path of a data file and skips the test if it is absent.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{Dir()}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no test data at %s: set SANDWARP_DATA to its folder", p)
	}
	return p
}

// Open returns the bytes of a data file; a name without its .gz finds the
// compressed file and is gunzipped.
func Open(t testing.TB, elem ...string) []byte {
	t.Helper()
	last := len(elem) - 1
	p := filepath.Join(append([]string{Dir()}, elem...)...)
	if _, err := os.Stat(p); err != nil && !strings.HasSuffix(p, ".gz") {
		elem = append(append([]string{}, elem[:last]...), elem[last]+".gz")
	}
	b, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(elem[last], ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

// File is like Open but returns the path of an uncompressed file, in the test's
// temporary folder if it had to be unpacked.
func File(t testing.TB, elem ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{Dir()}, elem...)...)
	if _, err := os.Stat(p); err == nil && !strings.HasSuffix(p, ".gz") {
		return p
	}
	b := Open(t, elem...)
	p = filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(p), ".gz"))
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// JSON decodes a data file into v.
func JSON(t testing.TB, v any, elem ...string) {
	t.Helper()
	if err := json.Unmarshal(Open(t, elem...), v); err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
}
