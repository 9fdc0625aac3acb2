package wasm

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
)

func typeOf(params, results []byte) string {
	var words []string
	for _, p := range params {
		words = append(words, binary.ValType(p).String())
	}
	words = append(words, "->")
	for _, r := range results {
		words = append(words, binary.ValType(r).String())
	}
	return strings.Join(words, " ")
}

// TestSurface: what the host links and asks for is what package abi says, which is
// frozen (abi/testdata/surface.txt).
func TestSurface(t *testing.T) {
	if abi.WASIModule != wasiModule || abi.ExportReserved != meter.Prefix {
		t.Error(abi.WASIModule, abi.ExportReserved)
	}
	for what, c := range map[string]struct {
		have map[string]hostFunc
		want map[string]string
	}{"sw1": {hostFuncs, abi.ImportTypes}, "wasi": {wasiFuncs, abi.WASI}} {
		if !slices.Equal(slices.Sorted(maps.Keys(c.have)), slices.Sorted(maps.Keys(c.want))) {
			t.Errorf("%s: the host has %v", what, slices.Sorted(maps.Keys(c.have)))
		}
		for name, f := range c.have {
			if got := typeOf(f.params, f.results); got != c.want[name] {
				t.Errorf("%s.%s: %s, the ABI says %s", what, name, got, c.want[name])
			}
		}
	}
	for name := range hostFuncs {
		if _, ok := abi.Imports[name]; !ok {
			t.Errorf("abi.Imports lacks %s", name)
		}
	}
	asked := map[string]bool{}
	ask := func(list []signature, optional bool, kind abi.Kind) {
		for _, s := range list {
			asked[s.name] = true
			f := abi.Exports[s.name]
			ofKind := kind == "" || slices.Contains(f.Kinds, kind)
			if got := typeOf(s.params, s.results); got != f.Type || f.Optional != optional || !ofKind {
				t.Errorf("%s of %q: %s, optional %v; the ABI says %+v", s.name, kind, got, optional, f)
			}
		}
	}
	ask(always, false, "")
	ask(optional, true, "")
	for kind, list := range ofKind {
		ask(list, false, kind)
		for name, f := range abi.Exports {
			has := slices.ContainsFunc(list, func(s signature) bool { return s.name == name })
			if slices.Contains(f.Kinds, kind) && !f.Optional && !has {
				t.Errorf("%s: the host does not ask for %s", kind, name)
			}
		}
	}
	for name := range abi.Exports {
		if !asked[name] {
			t.Errorf("the host does not know %s", name)
		}
	}
}

// TestDocumentedLimits: the host's numbers that docs/abi.md states.
func TestDocumentedLimits(t *testing.T) {
	b, err := os.ReadFile("../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	lim := Limits{}.withDefaults()
	for _, c := range []struct {
		format string
		value  int
	}{
		{"Any call costs %s units of fuel", hostCallFuel},
		{"a line, cut at %s KiB;", maxLine >> 10},
		{"beyond %s a second", maxLines},
		{"a name of at most %s bytes", maxMetric},
		{"keys %s B", maxKey},
		{"values %s KiB", maxValue >> 10},
		{"%s entries", maxStoreItems},
		{"%s MiB in all", maxStore >> 20},
		{"at most 2^50 as are the next two; default %s million", defaultFuel / 1_000_000},
		{"default %s, at most 20,000", defaultByteFuel},
		{"at most %s |", maxByteFuel},
		{"at most 1 MiB; default %s |", defaultHold},
		{"`sw_manifest` and `sw_configure`; default %s billion", int(lim.ConfigureFuel / 1_000_000_000)},
		{"module %s MiB", lim.Module >> 20},
		{"%s MiB of memory", int(lim.Memory >> 20)},
		{"sizes of frames (%s MiB by default)", lim.Stack >> 20},
		{"its last 512 KiB to %s MiB", maxReplay >> 20},
	} {
		if want := fmt.Sprintf(c.format, grouped(c.value)); !strings.Contains(text, want) {
			t.Errorf("docs/abi.md does not say %q", want)
		}
	}
}

// grouped is 12,345.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
