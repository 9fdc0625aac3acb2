package gguf

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// Keys lists the metadata keys in file order.
func (f *File) Keys() []string {
	keys := make([]string, len(f.entries))
	for i, e := range f.entries {
		keys[i] = e.key
	}
	return keys
}

// Forget drops the metadata, megabytes of it in a vocabulary, when everything has been
// read: from then on the file has no keys. Tensors and their data stay.
func (f *File) Forget() { f.entries, f.byKey = nil, nil }

func (f *File) find(key string) (entry, bool) {
	i, ok := sort.Find(len(f.byKey), func(i int) int {
		return strings.Compare(key, f.entries[f.byKey[i]].key)
	})
	if !ok {
		return entry{}, false
	}
	return f.entries[f.byKey[i]], true
}

func (f *File) offsetOf(key string) int {
	e, _ := f.find(key)
	return e.at
}

// Has reports whether the key is there.
func (f *File) Has(key string) bool {
	_, ok := f.find(key)
	return ok
}

// Value is the value of a key as the Go type of its GGUF type: uint8 to int64,
// float32, float64, bool, string, or a slice of one of these. Slices are shared:
// do not change them.
func (f *File) Value(key string) (any, bool) {
	e, ok := f.find(key)
	return e.value, ok
}

// wrong says that a key holds something else than was wanted.
func (f *File) wrong(e entry, wanted string) error {
	return &FormatError{
		File: f.Name, Field: keyField(e.key), Offset: int64(e.at),
		Reason: fmt.Sprintf("it is %s, wanted is %s: the file is damaged or was converted wrongly", found(e.value), wanted),
	}
}

func found(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %.40q", v)
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64:
		return fmt.Sprintf("the %T %v", v, v)
	}
	return "an array of " + strings.TrimPrefix(fmt.Sprintf("%T", v), "[]")
}

// Uint returns an integer of any type that is not negative, or def if the key is
// absent.
func (f *File) Uint(key string, def uint64) (uint64, error) {
	e, ok := f.find(key)
	if !ok {
		return def, nil
	}
	if u, ok := e.value.(uint64); ok {
		return u, nil
	}
	if i, ok := signed(e.value); ok && i >= 0 {
		return uint64(i), nil
	}
	return 0, f.wrong(e, "an integer that is not negative")
}

// Int returns an integer of any type that fits an int64, or def if the key is
// absent.
func (f *File) Int(key string, def int64) (int64, error) {
	e, ok := f.find(key)
	if !ok {
		return def, nil
	}
	if i, ok := signed(e.value); ok {
		return i, nil
	}
	return 0, f.wrong(e, "an integer")
}

// signed converts any integer that fits.
func signed(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

// Float returns a float32 or float64, which may be infinite or NaN, or def if the
// key is absent.
func (f *File) Float(key string, def float64) (float64, error) {
	e, ok := f.find(key)
	if !ok {
		return def, nil
	}
	switch v := e.value.(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, f.wrong(e, "a float")
}

// Bool returns a bool, or def if the key is absent.
func (f *File) Bool(key string, def bool) (bool, error) { return ofType(f, key, def, "a bool") }

// String returns a string, which may hold any bytes, or def if the key is absent.
func (f *File) String(key, def string) (string, error) { return ofType(f, key, def, "a string") }

// Strings returns an array of strings, nil if the key is absent. The slice is
// shared: do not change it. So it is with the other arrays.
func (f *File) Strings(key string) ([]string, error) {
	return ofType[[]string](f, key, nil, "an array of string")
}

// Bools returns an array of bools, nil if the key is absent.
func (f *File) Bools(key string) ([]bool, error) {
	return ofType[[]bool](f, key, nil, "an array of bool")
}

func ofType[T any](f *File, key string, def T, wanted string) (T, error) {
	e, ok := f.find(key)
	if !ok {
		return def, nil
	}
	v, ok := e.value.(T)
	if !ok {
		return v, f.wrong(e, wanted)
	}
	return v, nil
}

// Floats returns an array of float32 or float64, the latter rounded, nil if the
// key is absent.
func (f *File) Floats(key string) ([]float32, error) {
	e, ok := f.find(key)
	if !ok {
		return nil, nil
	}
	switch v := e.value.(type) {
	case []float32:
		return v, nil
	case []float64:
		out := make([]float32, len(v))
		for i, x := range v {
			out[i] = float32(x)
		}
		return out, nil
	}
	return nil, f.wrong(e, "an array of float")
}

// Ints returns an array of integers of any type that each fit an int32, nil if
// the key is absent.
func (f *File) Ints(key string) ([]int32, error) {
	e, ok := f.find(key)
	if !ok {
		return nil, nil
	}
	out, bad := []int32(nil), -1
	switch v := e.value.(type) {
	case []int32:
		return v, nil
	case []uint8:
		out, bad = narrow(v)
	case []int8:
		out, bad = narrow(v)
	case []uint16:
		out, bad = narrow(v)
	case []int16:
		out, bad = narrow(v)
	case []uint32:
		out, bad = narrow(v)
	case []uint64:
		out, bad = narrow(v)
	case []int64:
		out, bad = narrow(v)
	default:
		return nil, f.wrong(e, "an array of integers")
	}
	if bad >= 0 {
		return nil, f.wrong(e, fmt.Sprintf("an array of 32-bit integers, which element %d is not", bad))
	}
	return out, nil
}

// narrow converts to int32, and returns the index of an element that does not fit.
func narrow[T int8 | int16 | int64 | uint8 | uint16 | uint32 | uint64](in []T) (out []int32, bad int) {
	out = make([]int32, len(in))
	for i, v := range in {
		out[i] = int32(v)
		if T(out[i]) != v || (out[i] < 0) != (v < 0) {
			return nil, i
		}
	}
	return out, -1
}
