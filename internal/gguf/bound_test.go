package gguf

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// greedy are files that make a reader allocate as much as it can be made to per
// byte of file, most of them valid to the end.
func greedy(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	w := NewWriter()
	w.Set("empty", make([]string, 2<<20))
	files["2 million empty strings"] = written(t, w)

	w = NewWriter()
	for i := range maxKeys {
		w.Set(fmt.Sprintf("%04x", i), "12345678")
	}
	files["65,536 keys"] = written(t, w)

	w = NewWriter()
	w.Set(alignmentKey, uint32(minAlignment))
	for i := range maxTensors / 4 {
		w.AddBytes(tensor.Desc{Name: fmt.Sprintf("%05x", i), DType: tensor.F32, Shape: []int{1}}, make([]byte, 4))
	}
	files["262,144 tensors"] = written(t, w)

	w = NewWriter()
	w.Set("bools", make([]bool, 4<<20))
	w.Set("bytes", make([]uint8, 4<<20))
	files["arrays of bytes"] = written(t, w)

	// Counts that the size of the file just allows and that come to nothing.
	for name, n := range map[string][2]uint64{"a million tensors that are none": {1 << 20, 0}, "65,536 keys that are none": {1, 1 << 16}} {
		b := binary.LittleEndian.AppendUint32([]byte(magic), 3)
		b = binary.LittleEndian.AppendUint64(b, n[0])
		b = binary.LittleEndian.AppendUint64(b, n[1])
		files[name] = append(b, make([]byte, minTensorBytes*n[0]+minEntryBytes*n[1])...)
	}
	return files
}

// TestAllocationBound: parsing allocates at most 4 times the file and 8 MiB, also
// where the data must be copied because it is not aligned.
func TestAllocationBound(t *testing.T) {
	for name, data := range greedy(t) {
		for _, shift := range []int{0, 1} {
			data := append(make([]byte, shift, len(data)+shift), data...)[shift:]
			start := time.Now()
			bytes := allocated(func() { Parse(name, data) })
			t.Logf("%s, shifted by %d: %.2f bytes per byte of %d in %v", name, shift, float64(bytes)/float64(len(data)), len(data), time.Since(start))
			if bytes > bound(len(data)) {
				t.Errorf("%s, shifted by %d: allocated %d bytes for %d", name, shift, bytes, len(data))
			}
		}
	}
}

// TestRealFiles opens every golden model and vocabulary within the same bound.
func TestRealFiles(t *testing.T) {
	for _, elem := range [][]string{
		{"tokenizers", "vocab-qwen2.gguf"}, {"tokenizers", "vocab-o200k_harmony.gguf"}, {"tokenizers", "ggml-vocab-llama-spm.gguf"},
		{"models", "stories260K-f32.gguf"}, {"models", "onicai-stories260Ktok512.gguf"}, {"golden", "t-dsv3-k-Q4_K.gguf"},
		{"golden", "t-gptoss-k-MXFP4_MOE.gguf"}, {"golden", "t-llama-k-Q5_K.gguf"},
	} {
		path := testdata.File(t, elem...)
		var f *File
		var err error
		bytes := allocated(func() { f, err = Open(path) })
		if err != nil {
			t.Error(err)
			continue
		}
		if bytes > bound(int(f.Size())) {
			t.Errorf("%s: allocated %d bytes for %d", elem[1], bytes, f.Size())
		}
		for _, x := range f.Tensors() {
			if len(f.Data(x)) != x.Bytes() {
				t.Errorf("%s: %v has %d bytes of data", elem[1], x.Desc, len(f.Data(x)))
			}
		}
		f.Close()
	}
}

func BenchmarkOpenVocabulary(b *testing.B) {
	for _, name := range []string{"vocab-qwen2.gguf", "vocab-o200k_harmony.gguf"} {
		path := testdata.File(b, "tokenizers", name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
