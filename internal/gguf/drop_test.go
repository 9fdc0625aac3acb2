package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// What is dropped reads the same afterwards, whole pages or not, and views of memory
// that is no mapping are left alone.
func TestDropKeepsBytes(t *testing.T) {
	const rows, columns = 300, 64
	data := make([]byte, rows*columns*4)
	for i := range data {
		data[i] = byte(i * 7)
	}
	w := NewWriter()
	w.AddBytes(tensor.Desc{Name: "w", DType: tensor.F32, Shape: []int{rows, columns}}, data)
	path := filepath.Join(t.TempDir(), "model.gguf")
	var text bytes.Buffer
	if _, err := w.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	mapped, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	parsed, err := Parse("model", text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{mapped, parsed} {
		view := f.Data(f.Tensors()[0])
		for _, cut := range [][2]int{{0, len(view)}, {1, len(view)}, {5000, 5001}, {4095, 20000}, {7, 7}} {
			f.Drop(view[cut[0]:cut[1]])
			if !bytes.Equal(view, data) {
				t.Fatalf("dropping %v of %p changed the bytes", cut, unsafe.SliceData(view))
			}
		}
	}
}
