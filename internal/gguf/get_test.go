package gguf

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// getters call every typed getter with a default that can be told apart.
var getters = map[string]func(f *File, key string) (any, error){
	"Uint":    func(f *File, key string) (any, error) { return f.Uint(key, 77) },
	"Int":     func(f *File, key string) (any, error) { return f.Int(key, -77) },
	"Float":   func(f *File, key string) (any, error) { return f.Float(key, 7.5) },
	"Bool":    func(f *File, key string) (any, error) { return f.Bool(key, true) },
	"String":  func(f *File, key string) (any, error) { return f.String(key, "def") },
	"Strings": func(f *File, key string) (any, error) { return f.Strings(key) },
	"Ints":    func(f *File, key string) (any, error) { return f.Ints(key) },
	"Floats":  func(f *File, key string) (any, error) { return f.Floats(key) },
	"Bools":   func(f *File, key string) (any, error) { return f.Bools(key) },
}

// TestGetters has for each value what each getter makes of it; a getter that is
// not named must fail and say what it found.
func TestGetters(t *testing.T) {
	cases := []struct {
		value any
		found string
		want  map[string]any

		misfit string // what Ints must say in addition
	}{
		{uint8(200), "the uint8 200", map[string]any{"Uint": uint64(200), "Int": int64(200)}, ""},
		{int8(-5), "the int8 -5", map[string]any{"Int": int64(-5)}, ""},
		{int8(5), "the int8 5", map[string]any{"Int": int64(5), "Uint": uint64(5)}, ""},
		{uint16(65535), "uint16", map[string]any{"Uint": uint64(65535), "Int": int64(65535)}, ""},
		{int16(-1), "int16", map[string]any{"Int": int64(-1)}, ""},
		{uint32(1 << 31), "uint32", map[string]any{"Uint": uint64(1 << 31), "Int": int64(1 << 31)}, ""},
		{int32(-9), "int32", map[string]any{"Int": int64(-9)}, ""},
		{uint64(math.MaxUint64), "uint64", map[string]any{"Uint": uint64(math.MaxUint64)}, ""},
		{int64(math.MinInt64), "int64", map[string]any{"Int": int64(math.MinInt64)}, ""},
		{float32(0.5), "the float32 0.5", map[string]any{"Float": 0.5}, ""},
		{float64(math.Pi), "float64", map[string]any{"Float": math.Pi}, ""},
		{false, "the bool false", map[string]any{"Bool": false}, ""},
		{"text", `the string "text"`, map[string]any{"String": "text"}, ""},
		{[]string{"a", ""}, "an array of string", map[string]any{"Strings": []string{"a", ""}}, ""},
		{[]bool{true}, "an array of bool", map[string]any{"Bools": []bool{true}}, ""},
		{[]float32{1.5}, "an array of float32", map[string]any{"Floats": []float32{1.5}}, ""},
		{[]float64{1.5}, "an array of float64", map[string]any{"Floats": []float32{1.5}}, ""},
		{[]uint8{255}, "an array of uint8", map[string]any{"Ints": []int32{255}}, ""},
		{[]int8{-1}, "an array of int8", map[string]any{"Ints": []int32{-1}}, ""},
		{[]uint16{65535}, "an array of uint16", map[string]any{"Ints": []int32{65535}}, ""},
		{[]int16{-1}, "an array of int16", map[string]any{"Ints": []int32{-1}}, ""},
		{[]int32{-1}, "an array of int32", map[string]any{"Ints": []int32{-1}}, ""},
		{[]uint32{math.MaxInt32}, "an array of uint32", map[string]any{"Ints": []int32{math.MaxInt32}}, ""},
		{[]uint32{0, math.MaxInt32 + 1}, "an array of uint32", nil, "which element 1 is not"},
		{[]int64{-1}, "an array of int64", map[string]any{"Ints": []int32{-1}}, ""},
		{[]int64{math.MinInt32 - 1}, "an array of int64", nil, "which element 0 is not"},
		{[]uint64{7}, "an array of uint64", map[string]any{"Ints": []int32{7}}, ""},
		{[]uint64{1 << 32}, "an array of uint64", nil, "32-bit integers"},
		{[]uint64{math.MaxUint64}, "an array of uint64", nil, "32-bit integers"},
		{[]int32{}, "an array of int32", map[string]any{"Ints": []int32{}}, ""},
	}
	w := NewWriter()
	for i, c := range cases {
		w.Set(fmt.Sprint(i), c.value)
	}
	f, err := Parse("m.gguf", written(t, w))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		for name, get := range getters {
			got, err := get(f, fmt.Sprint(i))
			if want, ok := c.want[name]; ok {
				if err != nil || !cmp.Equal(want, got) {
					t.Errorf("%s of %T %v = %v, %v, want %v", name, c.value, c.value, got, err, want)
				}
				continue
			}
			var e *FormatError
			if !errors.As(err, &e) || e.Offset == 0 || e.Field != fmt.Sprintf("metadata %q", fmt.Sprint(i)) || !strings.Contains(e.Reason, c.found) {
				t.Errorf("%s of %T %v: error %v", name, c.value, c.value, err)
			}
			if name == "Ints" && c.misfit != "" && !strings.Contains(e.Reason, c.misfit) {
				t.Errorf("Ints of %v: error %v, want it to say %q", c.value, err, c.misfit)
			}
		}
	}
}

func TestGettersAbsent(t *testing.T) {
	w := NewWriter()
	w.Set("here", true)
	f, err := Parse("m.gguf", written(t, w))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Uint": uint64(77), "Int": int64(-77), "Float": 7.5, "Bool": true, "String": "def",
		"Strings": []string(nil), "Ints": []int32(nil), "Floats": []float32(nil), "Bools": []bool(nil),
	}
	for name, get := range getters {
		if got, err := get(f, "absent"); err != nil || !cmp.Equal(want[name], got) {
			t.Errorf("%s = %v, %v", name, got, err)
		}
	}
	if !f.Has("here") || f.Has("absent") {
		t.Error("Has is wrong")
	}
	if _, ok := f.Value("absent"); ok {
		t.Error("Value found a key that is not there")
	}
}
