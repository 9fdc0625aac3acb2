package wasm_test

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/enginetest"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Bombs are refused by name, before an engine sees them, and cost nothing.
func TestBombsAreRefused(t *testing.T) {
	bombs := Bombs()
	type cost struct {
		name string
		took time.Duration
	}
	var costs []cost
	runtime.GC()
	debug.FreeOSMemory()
	before, most := enginetest.Resident(), uint64(0)
	for _, b := range bombs {
		start := time.Now()
		p, err := wasm.Load(context.Background(), b.Module, wasm.Options{})
		costs = append(costs, cost{b.Name, time.Since(start)})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), b.Want) {
			t.Errorf("%s: %v, want %q", b.Name, err, b.Want)
		}
		most = max(most, enginetest.Resident())
	}
	slices.SortFunc(costs, func(a, b cost) int { return int(b.took - a.took) })
	grown := max(most, before) - before
	t.Logf("%d bombs; slowest %v %s, %v %s; memory +%d MiB", len(bombs), costs[0].took, costs[0].name, costs[1].took, costs[1].name, grown>>20)
	if costs[0].took > time.Second { // 5 ms on a quiet machine
		t.Errorf("%s: refused after %v", costs[0].name, costs[0].took)
	}
	if grown > 64<<20 { // 32 MiB
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// classes are the tests that hold each class of bad modules at bay, by the class's
// name in the test data: hostile plugins, bombs, or what is said here.
var classes = map[string]struct{ hostile, bomb, test string }{
	"loop_forever":        {hostile: "loop"},
	"slow_per_token":      {hostile: "slow"},
	"min_memory_65536":    {hostile: "65,536 pages", bomb: "65,536 pages"},
	"recursion":           {hostile: "recursion: self"},
	"functions_1m":        {bomb: "a million functions"},
	"truncated":           {test: "TestTruncatedPlugin"},
	"bad_leb":             {bomb: "section"},
	"import_unknown":      {hostile: "unknown import"},
	"wasi_fs":             {hostile: "opens files"},
	"wasi_clock_random":   {test: "TestWASI"},
	"ret_ptr_oob":         {hostile: "out beyond memory"},
	"ret_len_max":         {hostile: "out of 2^32-1 bytes"},
	"alloc_zero":          {hostile: "alloc of nothing"},
	"alloc_missing":       {hostile: "no alloc"},
	"msgpack_depth":       {hostile: "deep msgpack"},
	"msgpack_types":       {test: "TestManifestTypes"},
	"handle_steal":        {hostile: "takes another's handle"},
	"after_trap":          {test: "TestTrapOnNthCall"},
	"logits_len":          {hostile: "2^31 candidates"}, // the frame is the host's: lists are all a guest says the length of
	"token_flood":         {hostile: "10^7 ids for a byte"},
	"log_flood":           {hostile: "log flood"},
	"jit_addr_miscompile": {test: "TestAddresses"},
	"wasi_symlink":        {hostile: "opens files"}, // there are no files
}

// Every class there is data for has its test.
func TestClassesOfBadModules(t *testing.T) {
	var list []struct{ Name, What string }
	testdata.JSON(t, &list, "wasm", "classes.json")
	for _, c := range list {
		have, ok := classes[c.Name]
		if !ok {
			t.Errorf("class %s has no test: %s", c.Name, c.What)
			continue
		}
		if have.hostile != "" && !slices.ContainsFunc(enginetest.Hostiles(), func(h enginetest.Hostile) bool { return h.Name == have.hostile }) {
			t.Errorf("class %s: no hostile plugin %q", c.Name, have.hostile)
		}
		if have.bomb != "" && !slices.ContainsFunc(Bombs(), func(b Bomb) bool { return b.Name == have.bomb }) {
			t.Errorf("class %s: no bomb %q", c.Name, have.bomb)
		}
		if have.test != "" && !testExists(t, have.test) {
			t.Errorf("class %s: no %s", c.Name, have.test)
		}
	}
}

// testExists looks for a test's source in this folder.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if b, err := os.ReadFile(e.Name()); err == nil && strings.HasSuffix(e.Name(), "_test.go") && strings.Contains(string(b), "func "+name+"(") {
			return true
		}
	}
	return false
}

// A plugin cut anywhere is refused.
func TestTruncatedPlugin(t *testing.T) {
	module := NewGuest(abi.KindFilter, "").Module()
	for n := range module {
		if p, err := wasm.Load(context.Background(), module[:n], wasm.Options{Engine: wasm.WazeroInterpreter()}); err == nil {
			p.Close()
			t.Errorf("%d of %d bytes were loaded", n, len(module))
		}
	}
}

// Manifests are believed only if every value has its type.
func TestManifestTypes(t *testing.T) {
	name := abi.AppendString(abi.AppendString(nil, "name"), "x")
	kind := abi.AppendString(abi.AppendString(nil, "kind"), "filter")
	key := func(k string, value ...byte) []byte { return append(abi.AppendString(nil, k), value...) }
	for what, section := range map[string][]byte{
		"extension type":       Cat(abi.AppendMap(nil, 3), name, kind, key("fuel", 0xd4, 1, 0)),
		"key twice":            Cat(abi.AppendMap(nil, 3), name, name, kind),
		"name is not UTF-8":    Cat(abi.AppendMap(nil, 2), key("name", 0xa1, 0xff), kind),
		"float for an integer": Cat(abi.AppendMap(nil, 3), name, kind, key("fuel", 0xcb, 0x40, 0x08, 0, 0, 0, 0, 0, 0)),
		"text for an integer":  Cat(abi.AppendMap(nil, 3), name, kind, key("fuel", 0xa1, '5')),
		"negative fuel":        Cat(abi.AppendMap(nil, 3), name, kind, key("fuel", 0xff)),
		"no map":               abi.AppendString(nil, "name"),
		"bytes behind it":      Cat(abi.AppendMap(nil, 2), name, kind, []byte{0xc0}),
	} {
		g := NewGuest(abi.KindFilter, "")
		g.Section = section
		p, err := wasm.Load(context.Background(), g.Module(), wasm.Options{})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "manifest") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
