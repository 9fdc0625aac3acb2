package gguf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// TestTruncated cuts files at every byte of the header and every 4 KiB of data:
// each cut must be called a truncation.
func TestTruncated(t *testing.T) {
	files := map[string][]byte{"own": ownFile(t)}
	if _, err := os.Stat(testdata.Dir()); err == nil {
		files["stories"] = testdata.Open(t, "models", "stories260K-f32.gguf")
		files["golden"] = testdata.Open(t, "golden", "t-gptoss-k-MXFP4_MOE.gguf")
	}
	for name, data := range files {
		f, err := Parse(name, data)
		if err != nil {
			t.Fatal(err)
		}
		last := f.tensors[f.byPlace[len(f.byPlace)-1]]
		end := int(last.Offset) + last.Bytes()
		header := int(f.tensors[f.byPlace[0]].Offset)
		step := 1
		if testing.Short() {
			step = 13
		}
		cuts := 0
		for n := 0; n < end; cuts++ {
			_, err := Parse(name, data[:n])
			if !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s cut at %d of %d: %v", name, n, len(data), err)
			}
			wellSaid(t, err)
			if n < header {
				n += step
			} else {
				n += 4096
			}
		}
		for _, n := range []int{end - 1, end, len(data)} {
			if _, err := Parse(name, data[:n]); (err == nil) != (n >= end) {
				t.Errorf("%s cut at %d of %d: %v", name, n, end, err)
			}
		}
		t.Logf("%s: %d cuts", name, cuts)
	}
}

// ownFile has every metadata type and every tensor format.
func ownFile(t testing.TB) []byte {
	w := NewWriter()
	for i, v := range allValues {
		w.Set(string(rune('a'+i)), v)
	}
	allTypes(w)
	d := tensor.Desc{Name: "large", DType: tensor.F32, Shape: []int{64, 256}}
	w.AddBytes(d, ramp(d.Bytes(), 1))
	return written(t, w)
}

// TestOpenTruncated goes through the mapping, too.
func TestOpenTruncated(t *testing.T) {
	data := ownFile(t)
	path := filepath.Join(t.TempDir(), "cut.gguf")
	for n := 0; n < len(data); n += 499 {
		if err := os.WriteFile(path, data[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(path); !errors.Is(err, ErrTruncated) || f != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}
