package gguf

import (
	"bytes"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// After Forget there are no keys, and the tensors are as they were.
func TestForget(t *testing.T) {
	w := NewWriter()
	w.Set("general.architecture", "llama")
	w.AddBytes(tensor.Desc{Name: "x", DType: tensor.F32, Shape: []int{2}}, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	var file bytes.Buffer
	if _, err := w.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	f, err := Parse("x.gguf", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	f.Forget()
	if s, err := f.String("general.architecture", "none"); err != nil || s != "none" || len(f.Keys()) != 0 || f.Has("general.architecture") {
		t.Errorf("after Forget: %q, %v, keys %v", s, err, f.Keys())
	}
	x, ok := f.Tensor("x")
	if !ok || !bytes.Equal(f.Data(x), []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("after Forget: tensor %v, %v", x, ok)
	}
}
