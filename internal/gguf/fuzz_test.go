package gguf

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// seeds are small files of our own: every type, a model's usual layout, a
// vocabulary alone, version 2 with another alignment.
func seeds(t testing.TB) [][]byte {
	all := NewWriter()
	for i, v := range allValues {
		all.Set(string(rune('a'+i)), v)
	}
	allTypes(all)

	model := NewWriter()
	model.Set("general.architecture", "llama")
	model.Set("llama.block_count", uint32(1))
	model.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	model.Set("tokenizer.ggml.tokens", []string{"<unk>", "<s>", "</s>", "\xe2\x96\x81a"})
	model.Set("tokenizer.ggml.scores", []float32{0, 0, 0, -1})
	model.Set("tokenizer.ggml.token_type", []int32{2, 3, 3, 1})
	for _, d := range []tensor.Desc{
		{Name: "token_embd.weight", DType: tensor.Q8_0, Shape: []int{4, 32}},
		{Name: "output_norm.weight", DType: tensor.F32, Shape: []int{32}},
		{Name: "blk.0.attn_q.weight", DType: tensor.Q4_0, Shape: []int{32, 32}},
		{Name: "blk.0.ffn_gate_exps.weight", DType: tensor.F16, Shape: []int{2, 8, 32}},
	} {
		model.AddBytes(d, ramp(d.Bytes(), 1))
	}

	vocabulary := NewWriter()
	vocabulary.Set("tokenizer.ggml.model", "gpt2")
	vocabulary.Set("tokenizer.ggml.merges", []string{"a b", "ab c"})

	old := NewWriter()
	old.version = 2
	old.Set(alignmentKey, uint32(64))
	d := tensor.Desc{Name: "w", DType: tensor.BF16, Shape: []int{3, 5, 7}}
	old.AddBytes(d, ramp(d.Bytes(), 2))
	d.Name = "v"
	old.AddBytes(d, ramp(d.Bytes(), 3))

	return [][]byte{written(t, all), written(t, model), written(t, vocabulary), written(t, old)}
}

// FuzzParse: whatever the bytes, parsing gives a typed error or a file whose every
// promise holds.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Add([]byte{})
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if err != nil {
			wellSaid(t, err)
			return
		}
		sound(t, file)
	})
}

// sound checks everything that a *File promises.
func sound(t testing.TB, f *File) {
	t.Helper()
	if f.Version != 2 && f.Version != 3 || !validAlignment(uint64(f.Alignment)) {
		t.Fatalf("version %d, alignment %d", f.Version, f.Alignment)
	}
	for _, key := range f.Keys() {
		if v, ok := f.Value(key); !ok || v == nil || !f.Has(key) {
			t.Fatalf("key %q is lost", key)
		}
		for _, get := range getters {
			if _, err := get(f, key); err != nil {
				wellSaid(t, err)
			}
		}
	}
	soundTensors(t, f)
	// Written and read again it must say the same, and its writing be stable.
	once := rewritten(t, f)
	again, err := Parse("again", once)
	if err != nil {
		t.Fatalf("what was read cannot be read again: %v", err)
	}
	if !slices.Equal(f.Keys(), again.Keys()) || !bytes.Equal(once, rewritten(t, again)) {
		t.Fatal("what was read is written differently the second time")
	}
}

func soundTensors(t testing.TB, f *File) {
	t.Helper()
	type span struct{ from, to int64 }
	var spans []span
	for _, x := range f.Tensors() {
		if len(x.Shape) < 1 || len(x.Shape) > maxDims || slices.Min(x.Shape) < 1 || !x.DType.Valid() {
			t.Fatalf("%v", x.Desc)
		}
		if x.Offset%int64(f.Alignment) != 0 || len(f.Data(x)) != x.Bytes() || x.Bytes() == 0 {
			t.Fatalf("%v at %d: %d bytes of data", x.Desc, x.Offset, len(f.Data(x)))
		}
		if y, ok := f.Tensor(x.Name); !ok || y.Offset != x.Offset {
			t.Fatalf("tensor %q is lost", x.Name)
		}
		spans = append(spans, span{x.Offset, x.Offset + int64(x.Bytes())})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i-1].to > spans[i].from {
			t.Fatal("tensors overlap")
		}
	}
}

// rewritten is f as the Writer writes it.
func rewritten(t testing.TB, f *File) []byte {
	t.Helper()
	w := NewWriter()
	w.version = f.Version
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		if key == alignmentKey {
			v = uint32(f.Alignment) // files have it as other integers, too
		}
		w.Set(key, v)
	}
	for _, x := range f.Tensors() {
		w.AddBytes(x.Desc, f.Data(x))
	}
	return written(t, w)
}

// field is a number in a header: a count, a length, a type, an offset, a value.
type field struct{ at, width int }

// record is a metadata entry or a tensor's description.
type record struct{ from, to int }

// anatomy walks a sound file without any of the reader's code and lists the
// numbers and the records of its header.
func anatomy(b []byte) (fields []field, records []record) {
	at := 4
	number := func(width int) uint64 {
		fields = append(fields, field{at, width})
		var v [8]byte
		copy(v[:], b[at:at+width])
		at += width
		return binary.LittleEndian.Uint64(v[:])
	}
	text := func() {
		n := int(number(8))
		at += n
	}
	widths := []int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}
	value := func(kind uint64) {
		if kind == 8 {
			text()
		} else {
			number(widths[kind])
		}
	}
	number(4)
	tensors, keys := number(8), number(8)
	for range keys {
		from := at
		text()
		if kind := number(4); kind == 9 {
			element := number(4)
			for range number(8) {
				value(element)
			}
		} else {
			value(kind)
		}
		records = append(records, record{from, at})
	}
	for range tensors {
		from := at
		text()
		for range number(4) {
			number(8)
		}
		number(4)
		number(8)
		records = append(records, record{from, at})
	}
	return fields, records
}
