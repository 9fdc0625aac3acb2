package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// allValues has a value of every metadata type, with the limits of each.
var allValues = []any{
	uint8(math.MaxUint8), int8(math.MinInt8), uint16(math.MaxUint16), int16(math.MinInt16),
	uint32(math.MaxUint32), int32(math.MinInt32), uint64(math.MaxUint64), int64(math.MinInt64),
	float32(math.MaxFloat32), math.SmallestNonzeroFloat64, true, false, "", "\xff not UTF-8 \x00",
	[]uint8{0, 255}, []int8{-128, 127}, []uint16{65535}, []int16{-32768, 3}, []uint32{1, 1 << 31}, []int32{-1, 2, -3},
	[]uint64{1 << 63}, []int64{math.MinInt64}, []float32{float32(math.Inf(1)), -0.5}, []float64{math.Pi}, []bool{true, false},
	[]string{"", "a", "\xe2\x96\x81token", ""}, []string{}, []int32{}, []bool{}, []float64{},
}

// ramp is n bytes that differ from their neighbours.
func ramp(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + seed)
	}
	return b
}

// allTypes adds a tensor of every format with one to four dimensions.
func allTypes(w *Writer) (want []tensor.Desc) {
	for i, d := range tensor.DTypes() {
		shape := []int{2, 1, 3, 2 * d.BlockElems()}[i%4:]
		desc := tensor.Desc{Name: fmt.Sprintf("blk.%d.weight", i), DType: d, Shape: shape}
		w.AddBytes(desc, ramp(desc.Bytes(), i))
		want = append(want, desc)
	}
	return want
}

func written(t testing.TB, w *Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := w.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Fatalf("WriteTo says %d bytes, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		for _, align := range []uint32{8, 32, 4096} {
			t.Run(fmt.Sprintf("v%d/align%d", version, align), func(t *testing.T) {
				w := NewWriter()
				w.version = version
				w.Set(alignmentKey, align)
				keys := []string{alignmentKey}
				for i, v := range allValues {
					keys = append(keys, fmt.Sprintf("key.%d", i))
					w.Set(keys[i+1], v)
				}
				want := allTypes(w)
				f, err := Parse("round trip", written(t, w))
				if err != nil {
					t.Fatal(err)
				}
				if f.Version != version || f.Alignment != int(align) {
					t.Errorf("version %d, alignment %d", f.Version, f.Alignment)
				}
				if d := cmp.Diff(keys, f.Keys()); d != "" {
					t.Error(d)
				}
				for i, v := range allValues {
					if got, ok := f.Value(fmt.Sprintf("key.%d", i)); !ok || !cmp.Equal(v, got) {
						t.Errorf("key.%d: %T %v came back as %T %v", i, v, v, got, got)
					}
				}
				sameTensors(t, f, want)
			})
		}
	}
}

func sameTensors(t *testing.T, f *File, want []tensor.Desc) {
	t.Helper()
	if len(f.Tensors()) != len(want) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors()), len(want))
	}
	for i, d := range want {
		got := f.Tensors()[i]
		if diff := cmp.Diff(d, got.Desc); diff != "" {
			t.Error(diff)
		}
		if got.Offset%int64(f.Alignment) != 0 {
			t.Errorf("%s begins at byte %d", d.Name, got.Offset)
		}
		if !bytes.Equal(f.Data(got), ramp(d.Bytes(), i)) {
			t.Errorf("%s: the data differs", d.Name)
		}
		if byName, ok := f.Tensor(d.Name); !ok || byName.Offset != got.Offset {
			t.Errorf("%s is not found by its name", d.Name)
		}
	}
	if _, ok := f.Tensor("blk"); ok {
		t.Error("found a tensor that is not there")
	}
}

// TestRoundTripRandom writes what rapid draws and reads it back.
func TestRoundTripRandom(t *testing.T) {
	value := rapid.OneOf(
		rapid.Uint8().AsAny(), rapid.Int16().AsAny(), rapid.Uint32().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(),
		rapid.Float32().AsAny(), rapid.String().AsAny(), rapid.SliceOf(rapid.String()).AsAny(),
		rapid.SliceOf(rapid.Int32()).AsAny(), rapid.SliceOf(rapid.Float64()).AsAny(), rapid.SliceOf(rapid.Bool()).AsAny())
	name := rapid.StringN(1, 40, 65535)
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOfN(name.Filter(func(s string) bool { return s != alignmentKey }), value, 1, 20).Draw(t, "metadata")
		shapes := rapid.MapOfN(name, rapid.SliceOfN(rapid.IntRange(1, 5), 1, 4), 0, 8).Draw(t, "shapes")
		w := NewWriter()
		for k, v := range values {
			w.Set(k, v)
		}
		for name, shape := range shapes {
			d := tensor.Desc{Name: name, DType: tensor.F16, Shape: shape}
			w.AddBytes(d, ramp(d.Bytes(), len(name)))
		}
		var file bytes.Buffer
		if _, err := w.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		f, err := Parse("random", file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range values {
			if got, _ := f.Value(k); !cmp.Equal(v, got) {
				t.Errorf("%q: %v came back as %v", k, v, got)
			}
		}
		for name, shape := range shapes {
			got, _ := f.Tensor(name)
			if !cmp.Equal(shape, got.Shape) || !bytes.Equal(f.Data(got), ramp(got.Bytes(), len(name))) {
				t.Errorf("tensor %q came back as %v", name, got)
			}
		}
	})
}

func TestWriterRefuses(t *testing.T) {
	d := func(name string, dt tensor.DType, shape ...int) tensor.Desc {
		return tensor.Desc{Name: name, DType: dt, Shape: shape}
	}
	none := func(io.Writer) error { return nil }
	cases := map[string]func(w *Writer){
		"needs metadata or tensors":         func(w *Writer) {},
		`"k" is set twice`:                  func(w *Writer) { w.Set("k", true); w.Set("k", true) },
		"it is 0 bytes long":                func(w *Writer) { w.Set("", true) },
		"it is 65536 bytes long":            func(w *Writer) { w.Set(strings.Repeat("k", 65536), true) },
		"not valid UTF-8":                   func(w *Writer) { w.Set("\xff", true) },
		"a int cannot be stored":            func(w *Writer) { w.Set("k", 1) },
		"a [][]int32 cannot be stored":      func(w *Writer) { w.Set("k", [][]int32{{1}}) },
		"a <nil> cannot be stored":          func(w *Writer) { w.Set("k", nil) },
		"33 is no uint32 that is a power":   func(w *Writer) { w.Set(alignmentKey, uint32(33)) },
		"added twice":                       func(w *Writer) { w.Add(d("a", tensor.F32, 1), none); w.Add(d("a", tensor.F32, 1), none) },
		"0 dimensions":                      func(w *Writer) { w.Add(d("a", tensor.F32), none) },
		"5 dimensions":                      func(w *Writer) { w.Add(d("a", tensor.F32, 1, 1, 1, 1, 1), none) },
		"dimension 0 of":                    func(w *Writer) { w.Add(d("a", tensor.F32, 3, 0), none) },
		"dimension -1 of":                   func(w *Writer) { w.Add(d("a", tensor.F32, -1), none) },
		"more elements than can be counted": func(w *Writer) { w.Add(d("a", tensor.F32, math.MaxInt, 3), none) },
		"larger than can be addressed":      func(w *Writer) { w.Add(d("a", tensor.F32, math.MaxInt/2), none) },
		"no multiple of the 32":             func(w *Writer) { w.Add(d("a", tensor.Q8_0, 33), none) },
		"unknown type DType(5)":             func(w *Writer) { w.Add(d("a", 5, 32), none) },
		"its data is 4 bytes short of 4":    func(w *Writer) { w.Add(d("a", tensor.F32, 1), none) },
		"its data is longer than 4 bytes":   func(w *Writer) { w.AddBytes(d("a", tensor.F32, 1), make([]byte, 5)) },
		`tensor "a": no more paper`: func(w *Writer) {
			w.Add(d("a", tensor.F32, 1), func(io.Writer) error { return errors.New("no more paper") })
		},
		"the metadata takes 268435457": func(w *Writer) { w.Set("k", true); w.header = make([]byte, maxHeader+1) },
		"65537 keys and 0 tensors, at most 6": func(w *Writer) {
			for i := range maxKeys + 1 {
				w.Set(fmt.Sprint(i), true)
			}
		},
	}
	if math.MaxInt > math.MaxInt32 { // a 32-bit int reaches the limit of a tensor first
		cases["larger than a file can be"] = func(w *Writer) { w.Add(d("a", tensor.F32, math.MaxInt/5), none) }
	}
	for want, describe := range cases {
		w := NewWriter()
		describe(w)
		if _, err := w.WriteTo(io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// failing fails after n bytes.
type failing struct{ n int }

var errFull = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if len(b) > f.n {
		n := f.n
		f.n = 0
		return n, errFull
	}
	f.n -= len(b)
	return len(b), nil
}

// TestWriteFails lets the destination fail at every byte of a small file and here
// and there in one larger than the buffer.
func TestWriteFails(t *testing.T) {
	for _, rows := range []int{3, 40000} {
		w := NewWriter()
		w.Set("general.architecture", "llama")
		d := tensor.Desc{Name: "a", DType: tensor.F32, Shape: []int{rows, 5}}
		w.AddBytes(d, ramp(d.Bytes(), 0))
		size := len(written(t, w))
		for n := 0; n < size; n += max(1, size/300) {
			if wrote, err := w.WriteTo(&failing{n}); !errors.Is(err, errFull) || wrote != int64(n) {
				t.Fatalf("failing after %d bytes: wrote %d, error %v", n, wrote, err)
			}
		}
		if _, err := w.WriteTo(&failing{size}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWriteFile: the old file stays until the new one is whole, and no parts are left.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := tensor.Desc{Name: "a", DType: tensor.F32, Shape: []int{1 << 17}}
	ok := true
	w := NewWriter()
	w.Add(d, func(out io.Writer) error {
		for range d.Bytes() / 1024 {
			if _, err := out.Write(make([]byte, 1024)); err != nil {
				return err
			}
		}
		if !ok {
			return errFull
		}
		return nil
	})
	ok = false
	if err := w.WriteFile(path); !errors.Is(err, errFull) {
		t.Fatalf("error %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Fatal("a failed write changed the file")
	}
	ok = true
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(list) != 1 {
		t.Errorf("left over: %q", list)
	}
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(list) != 0 {
		t.Errorf("left over: %q", list)
	}
	if err := w.WriteFile(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("writing to a folder: %v", err)
	}
	if err := w.WriteFile(filepath.Join(path, "x")); err == nil {
		t.Error("wrote below a file")
	}
}
