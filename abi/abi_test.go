package abi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/golden.json")

func sampler() *Manifest {
	return &Manifest{
		Name: "acme/bias", Version: "1.2.3", Description: "biases tokens", Kind: KindSampler, Mode: ModeCandidates,
		Capabilities: []string{CapVocab}, OptionalCapabilities: []string{CapLog, CapKV},
		Features: []string{"host-ops"}, OptionalFeatures: []string{"replay", "later"},
		Fuel: 1_000_000, FuelPerByte: 300, ConfigureFuel: 70_000_000_000,
		Memory: 1024, History: 64, Candidates: 256,
	}
}

// golden builds every vector of testdata/golden.json.
func golden(t *testing.T) map[string]string {
	config, err := msgpack.Marshal(map[string]any{"ban": []int{1, 200}})
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{
		"manifest_sampler":   hex.EncodeToString(AppendManifest(nil, sampler())),
		"manifest_filter":    hex.EncodeToString(AppendManifest(nil, &Manifest{Name: "f", Kind: KindFilter, HoldMax: 64})),
		"configure":          hex.EncodeToString(AppendConfigure(nil, &Configure{Config: config, Seed: 1<<63 + 5, Vocab: 151936, Host: "sandwarp/0"})),
		"configure_empty":    hex.EncodeToString(AppendConfigure(nil, &Configure{})),
		"seq_open":           hex.EncodeToString(AppendSeqOpen(nil, &SeqOpen{Config: config, Seed: 7})),
		"version_word":       fmt.Sprintf("%016x", VersionWord(3, FeatureHostOps|FeatureReplay)),
		"packed":             fmt.Sprintf("%016x", uint64(Pack(0x10000, 608000))),
		"verdict_pass_17":    fmt.Sprintf("%016x", uint64(PackVerdict(ActionPass, 17))),
		"verdict_replace_17": fmt.Sprintf("%016x", uint64(PackVerdict(ActionReplace, 17))),
	}
	l, err := NewLayout(ModeDense, 3, 1000, 256, 16)
	if err != nil {
		t.Fatal(err)
	}
	h := make(Header, HeaderSize)
	l.PutHeader(h, 1, 2, 99)
	r := make(Row, RowSize)
	r.Begin(0x0102030405060708, 41, 0xfeedface, l.HistOff(1), 16, 256)
	v["frame_header_dense_slots_1_2_of_3"], v["row_in"] = hex.EncodeToString(h), hex.EncodeToString(r)
	r.Choose(ChoicePick, 999)
	r.SetLogProb(-1.5)
	v["row_picked"] = hex.EncodeToString(r)
	c := make(Candidates, 2*CandidateSize)
	c.Set(0, 7, 12.25)
	c.Set(1, 151935, -3)
	v["candidates"] = hex.EncodeToString(c)
	return v
}

func TestGolden(t *testing.T) {
	got := golden(t)
	if *rewrite {
		b, _ := json.MarshalIndent(got, "", "  ")
		if err := os.WriteFile("testdata/golden.json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("bytes of the ABI changed (-golden +now):\n%s", d)
	}
}

// The library most Go programs use must agree with ours, both ways.
func TestManifestAgainstLibrary(t *testing.T) {
	m := sampler()
	var fields map[string]any
	if err := msgpack.Unmarshal(AppendManifest(nil, m), &fields); err != nil {
		t.Fatal(err)
	}
	if fields["name"] != m.Name || fields["mode"] != "candidates" {
		t.Errorf("library reads %v", fields)
	}
	b, err := msgpack.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, back); d != "" {
		t.Error(d)
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	config := AppendString(AppendString(AppendMap(nil, 1), "ban"), "x")
	c := Configure{Config: config, Seed: 1 << 63, Vocab: 5, Host: "h"}
	got, err := ParseConfigure(AppendConfigure(nil, &c))
	if err != nil || !cmp.Equal(c, got) {
		t.Errorf("%+v, %v", got, err)
	}
	s := SeqOpen{Seed: 3}
	back, err := ParseSeqOpen(AppendSeqOpen(nil, &s))
	if err != nil || !cmp.Equal(s, back) {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestManifestErrors(t *testing.T) {
	ok := func(change func(*Manifest)) []byte {
		m := sampler()
		change(m)
		return AppendManifest(nil, m)
	}
	nested := append(AppendString(AppendMap(nil, 1), "later"), bytes.Repeat([]byte{0x91}, 60_000)...)
	dup := AppendMap(nil, 2)
	for range 2 {
		dup = AppendString(AppendString(dup, "name"), "x")
	}
	name := func(value ...byte) []byte { return append(AppendString(AppendMap(nil, 1), "name"), value...) }
	for _, c := range []struct {
		what string
		b    []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"huge", make([]byte, MaxManifestBytes+1), "at most"},
		{"not a map", []byte{0x93, 1, 2, 3}, "want map"},
		{"no name", ok(func(m *Manifest) { m.Name = "" }), "name"},
		{"name with a newline", ok(func(m *Manifest) { m.Name = "a\nb" }), "letters"},
		{"kind", ok(func(m *Manifest) { m.Kind = "virus" }), `kind "virus"`},
		{"mode", ok(func(m *Manifest) { m.Mode = "" }), "mode"},
		{"mode of a filter", ok(func(m *Manifest) { m.Kind = KindFilter }), "only samplers"},
		{"pages", ok(func(m *Manifest) { m.Memory = 65536 }), "memory 65536"},
		{"fuel", ok(func(m *Manifest) { m.Fuel = 1 << 60 }), "at most"},
		{"depth", nested, "deeper than 32"},
		{"duplicate key", dup, `"name" appears twice`},
		{"bad UTF-8", name(0xa1, 0xff), "not UTF-8"},
		{"float for text", name(0xca, 0, 0, 0, 0), "want string"},
		{"extension type", append(AppendString(AppendMap(nil, 1), "later"), 0xd4, 1, 0), "not allowed"},
		{"string of 4 GiB", name(0xdb, 0xff, 0xff, 0xff, 0xff), "at most 128"},
		{"map of 4e9", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, "map of 4294967295"},
		{"left over", append(ok(func(*Manifest) {}), 0xc0), "left over"},
		{"float fuel", append(AppendString(AppendMap(nil, 1), "fuel"), 0xcb, 0, 0, 0, 0, 0, 0, 0, 0), "want integer"},
	} {
		_, err := ParseManifest(c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.what, err, c.want)
		}
	}
}

func TestUnknownKeysAndFeatures(t *testing.T) {
	b := AppendMap(nil, 3)
	b = AppendString(AppendString(b, "name"), "x")
	b = AppendString(AppendString(b, "kind"), "filter")
	b = AppendArray(AppendString(b, "from_2031"), 2)
	b = AppendFloat(AppendBool(b, true), 1.5)
	m, err := ParseManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	if f, missing := m.MissingFeature(); missing {
		t.Errorf("missing %q", f)
	}
	m.Features = []string{"host-ops", "quantum"}
	if f, missing := m.MissingFeature(); !missing || f != "quantum" {
		t.Errorf("missing %q %v", f, missing)
	}
}

func TestNumbers(t *testing.T) {
	for _, v := range []int64{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<63 - 1, -1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, -1 << 63} {
		b := AppendInt(nil, v)
		if lib, err := msgpack.Marshal(v); err != nil || len(b) > len(lib) {
			t.Errorf("%d takes %d bytes, the library's %d", v, len(b), len(lib))
		}
		var back int64
		if err := msgpack.Unmarshal(b, &back); err != nil || back != v {
			t.Errorf("library reads %d as %d, %v", v, back, err)
		}
		r := NewReader("n", b)
		if got := r.Int(); got != v || r.Done() != nil {
			t.Errorf("%d reads back as %d, %v", v, got, r.Err())
		}
	}
	r := NewReader("n", AppendUint(nil, 1<<64-1))
	if got := r.Uint(1<<64 - 1); got != 1<<64-1 || r.Done() != nil {
		t.Errorf("max uint: %d %v", got, r.Err())
	}
	for _, b := range [][]byte{{0xca, 0x3f, 0x80, 0, 0}, AppendFloat(nil, 1), {1}} {
		if got := NewReader("f", b).Float(); got != 1 {
			t.Errorf("%x: %v", b, got)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, mode := range []Mode{ModeMask, ModeCandidates, ModeDense} {
		l, err := NewLayout(mode, 5, 151936, 256, 32)
		if err != nil {
			t.Fatal(err)
		}
		h := make(Header, HeaderSize)
		l.PutHeader(h, 2, 1, 7)
		if h.Magic() != FrameMagic || h.Size() != HeaderSize || h.Version() != 1 || h.Rows() != 1 || h.Step() != 7 || h.Vocab() != 151936 {
			t.Errorf("%s: header %x", mode, h)
		}
		if got := h.RowOff(); got != HeaderSize+2*RowSize {
			t.Errorf("%s: row at %d", mode, got)
		}
		if (h.LogitsOff() != 0) != (mode == ModeDense) || (h.MaskOff() != 0) == (mode == ModeCandidates) || (h.CandOff() == 0) != (mode == ModeMask) {
			t.Errorf("%s: payloads %d %d %d", mode, h.LogitsOff(), h.MaskOff(), h.CandOff())
		}
		for _, off := range []uint32{h.LogitsOff(), h.MaskOff(), l.CandOff(0), l.HistOff(0)} {
			if off%PayloadAlign != 0 {
				t.Errorf("%s: payload at %d", mode, off)
			}
		}
		if end := l.LogitsOff(4) + 151936*4; mode == ModeDense && end > l.Size() {
			t.Errorf("last row ends at %d of %d", end, l.Size())
		}
	}
	for _, bad := range [][4]uint32{{0, 10, 1, 0}, {1, 0, 1, 0}, {1, MaxVocab + 1, 1, 0}, {1, 10, MaxCandidates + 1, 0}, {4096, MaxVocab, 1, 0}} {
		if _, err := NewLayout(ModeDense, bad[0], bad[1], bad[2], bad[3]); err == nil {
			t.Errorf("layout %v accepted", bad)
		}
	}
}

func TestPacking(t *testing.T) {
	if p, n := Unpack(Pack(1<<31-65536, 1<<32-1)); p != 1<<31-65536 || n != 1<<32-1 {
		t.Errorf("%d %d", p, n)
	}
	a, n, ok := UnpackVerdict(PackVerdict(ActionStop, 1<<20))
	if a != ActionStop || n != 1<<20 || !ok {
		t.Errorf("%v %d %v", a, n, ok)
	}
	if _, _, ok := UnpackVerdict(1 << 40); ok {
		t.Error("reserved bits accepted")
	}
	if minor, f := SplitVersion(VersionWord(9, FeatureVocab)); minor != 9 || f != FeatureVocab {
		t.Errorf("%d %d", minor, f)
	}
	if got := ENOSYS.Error(); got != "not offered or not granted (-38)" {
		t.Error(got)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(AppendManifest(nil, sampler()))
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add(append([]byte{0x81, 0xa1, 'x'}, bytes.Repeat([]byte{0x91}, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		back, err := ParseManifest(AppendManifest(nil, m))
		if err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if d := cmp.Diff(normal(m), normal(back)); d != "" {
			t.Fatal(d)
		}
	})
}

// normal makes empty lists nil: an empty list is left out when encoding.
func normal(m *Manifest) *Manifest {
	for _, l := range []*[]string{&m.Capabilities, &m.OptionalCapabilities, &m.Features, &m.OptionalFeatures} {
		if len(*l) == 0 {
			*l = nil
		}
	}
	return m
}

// Whatever CheckValue accepts, the library can decode without failing.
func FuzzValue(f *testing.F) {
	f.Add([]byte{0x93, 1, 0xa1, 'x', 0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if CheckValue("value", b) != nil {
			return
		}
		d := msgpack.NewDecoder(bytes.NewReader(b))
		if err := d.Skip(); err != nil {
			t.Fatalf("library refuses %x: %v", b, err)
		}
	})
}

// Errors say where: the message, the key, the offset; and what is there instead.
func TestReaderWords(t *testing.T) {
	value := func(v ...byte) []byte { return append(AppendString(AppendMap(nil, 1), "low"), v...) }
	for want, b := range map[string][]byte{
		"config: low: offset 5: want number, found string":    value(0xa1, 'a'),
		"config: low: offset 5: want number, found nil":       value(0xc0),
		"config: low: offset 5: want number, found type 0xc1": value(0xc1),
		"config: low: offset 6: needs 8 bytes, 1 remain":      value(0xcb, 0),
		"config: low: offset 5: want number, found array":     value(0x90),
		"config: offset 0: want map, found integer":           []byte("{low: 1}"),
		"config: offset 1: want string, found bool":           {0x81, 0xc3, 1},
		"config: a?b: offset 5: unknown key":                  append(AppendString(AppendMap(nil, 1), "a?b"), 1),
		"config: offset 6: 1 bytes left over":                 value(1, 2),
		"config: low: offset 5: want number, found bytes":     value(0xc4, 0),
	} {
		r := NewReader("config", b)
		r.Fields(4, func(key string) {
			if key == "low" {
				r.Float()
			} else {
				r.Fail("unknown key")
			}
		})
		if err := r.Done(); err == nil || err.Error() != want || !errors.Is(err, EINVAL) {
			t.Errorf("%x: %v, want %s", b, err, want)
		}
	}
}

// A configuration in JSON keeps its integers, and what cannot be one is an error.
func TestMarshalConfigJSON(t *testing.T) {
	for text, want := range map[string]any{
		`{"ban": [40, -1], "bias": 2.5}`: map[string]any{"ban": []int{40, -1}, "bias": 2.5},
		`18446744073709551615`:           uint64(math.MaxUint64),
		` "text" `:                       "text",
		`1e2`:                            100.0,
		`null`:                           nil,
	} {
		got, err := MarshalConfigJSON([]byte(text))
		b, failed := MarshalConfig(want)
		if failed != nil || err != nil || len(got) != len(b) || bytes.Contains(got, []byte{0xcb}) != bytes.Contains(b, []byte{0xcb}) {
			t.Errorf("%s: %x %v, want %x", text, got, err, b)
		}
	}
	for text, want := range map[string]string{
		``: "not JSON: EOF", `{"a": `: "not JSON: unexpected EOF", `{a: 1}`: "not JSON: invalid character", `1 2`: "offset 3: more than one",
		`{"a": [1e999]}`: "a: ", strings.Repeat("[", 40) + strings.Repeat("]", 40): "nested deeper",
	} {
		if b, err := MarshalConfigJSON([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20s: %x %v, want %s", text, b, err, want)
		}
	}
}
