//go:build !wasip1

package main

import (
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLists(t *testing.T) {
	plugin.NativeVocab = []string{"a", " the", "b", " the"}
	var l lists
	config := map[string]any{"allow": []any{2, " the", 1}, "ban": []any{"a"}, "bias": []any{[]any{" the", 1.5}, []any{3, -1}}, "other": nil}
	if err := l.read(encode(t, config), &vocabulary{}); err != nil {
		t.Fatal(err)
	}
	if len(l.allow) != 3 || l.change[1] != 1.5 || l.change[3] != 0.5 || !math.IsInf(float64(l.change[0]), -1) {
		t.Errorf("%+v", l)
	}
	bits := make([]uint32, 1)
	l.mask(bits, 3)
	if bits[0] != 0b110 {
		t.Errorf("mask %b", bits[0])
	}
	if b := l.biases(3); len(b) != 2*8 {
		t.Errorf("%d bytes of biases", len(b))
	}
}

func TestBadLists(t *testing.T) {
	plugin.NativeVocab = []string{"a"}
	for want, config := range map[string]any{
		"want map":     []int{1},
		"want array":   map[string]any{"ban": 3},
		"no token has": map[string]any{"ban": []any{"zzz"}},
		"integer -1":   map[string]any{"ban": []any{-1}},
		"want pairs":   map[string]any{"bias": []any{[]any{1}}},
		"from -1000":   map[string]any{"bias": []any{[]any{1, math.Inf(1)}}},
		"want integer": map[string]any{"ban": []any{1.5}},
	} {
		var l lists
		err := l.read(encode(t, config), &vocabulary{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", config, err, want)
		}
	}
}
