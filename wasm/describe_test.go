package wasm

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func complete(g *guestModule) *guestModule {
	g.manifest.Version, g.manifest.Description, g.manifest.HoldMax = "1", "for tests", 0
	if g.manifest.Kind == abi.KindFilter {
		g.manifest.HoldMax = 64
	}
	return g
}

func TestDescribe(t *testing.T) {
	d, err := Describe(complete(newGuest(abi.KindFilter, "")).bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"test/filter 1", "for tests", "kind", "sw_filter", "64 bytes", "1000000 instructions"} {
		if !strings.Contains(d.String(), want) {
			t.Errorf("no %q in\n%s", want, d)
		}
	}
	for what, b := range map[string][]byte{"text": []byte("hello"), "no plugin": (&Builder{}).Bytes()} {
		if _, err := Describe(b); err == nil {
			t.Errorf("%s described", what)
		}
	}
}

// TestDescribeAll: every key of the manifest is shown.
func TestDescribeAll(t *testing.T) {
	g := newGuest(abi.KindSampler, abi.ModeCandidates)
	g.manifest = abi.Manifest{
		Name: "all/of-it", Version: "7.8", Description: "Does it all", Kind: abi.KindSampler, Mode: abi.ModeCandidates,
		Capabilities: []string{"vocab"}, OptionalCapabilities: []string{"kv"}, Features: []string{"host-ops"}, OptionalFeatures: []string{"sw1.fly"},
		Fuel: 1001, FuelPerByte: 1002, ConfigureFuel: 1003, HoldMax: 1004, Memory: 1005, History: 1006, Candidates: 1007, Vocab: 1008,
	}
	module := g.bytes()
	d, err := Describe(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"all/of-it 7.8", "Does it all", "sampler, sees the best candidates", "vocab", "if granted     kv", "host-ops", "sw1.fly", "1001 instructions a call",
		"1003 instructions to take", "at most 64320 KiB", "the last 1006 tokens", "candidates     1007", "1008 tokens", d.Hash, "signature      none",
	} {
		if !strings.Contains(d.String(), want) {
			t.Errorf("no %q in\n%s", want, d)
		}
	}
}

// A manifest that only the running plugin tells.
func TestReadManifestByRunning(t *testing.T) {
	g := newGuest(abi.KindFilter, "")
	g.section = []byte{}
	m := abi.AppendManifest(nil, &abi.Manifest{Name: "asked", Kind: abi.KindFilter, Capabilities: []string{abi.CapVocab}})
	g.Data(100, m)
	g.Func(abi.ExportManifest, nil, []byte{I64}, nil, I64Const(abi.Pack(100, uint32(len(m)))))
	b := g.bytes()
	got, err := ReadManifest(b)
	if err != nil || got.Name != "asked" {
		t.Errorf("%+v %v", got, err)
	}
	d, err := Describe(b)
	if err != nil || d.Manifest != nil || !strings.Contains(d.String(), "tells when it runs") {
		t.Errorf("%v %v", d, err)
	}
}
