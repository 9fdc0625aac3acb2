package wasm

import (
	"context"
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

func TestCheckPasses(t *testing.T) {
	for _, g := range []*guestModule{
		newGuest(abi.KindFilter, ""),
		newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, choose(abi.ChoicePick, 5)),
		newGuest(abi.KindSampler, abi.ModeCandidates),
		newGuest(abi.KindSampler, abi.ModeDense),
	} {
		if r := Check(context.Background(), complete(g).bytes()); !r.OK() {
			t.Errorf("%s\n%s", g.manifest.Mode, r)
		}
	}
}

// Each of these breaks one promise, and the report names it.
func TestCheckFails(t *testing.T) {
	counter := Cat(I32Const(2048), I32Const(2048), I32Load(0), I32Const(1), I32Add, I32Store(0))
	for _, c := range []struct {
		want string
		g    *guestModule
	}{
		{"FAILED the manifest is complete", newGuest(abi.KindFilter, "")},
		{"FAILED chunks of up to 1 bytes", complete(newGuest(abi.KindFilter, "").with(abi.ExportFilter,
			LocalGet(2), I32Const(1), I32Eq, If(None, I64Const(abi.PackVerdict(abi.ActionReplace, 1)), Return), LocalGet(2), ExtendU))},
		{"FAILED it bears odd text", complete(newGuest(abi.KindFilter, "").with(abi.ExportFilter,
			LocalGet(2), I32Const(3000), I32LtU, I32Eqz, If(None, Unreachable), LocalGet(2), ExtendU))},
		{"FAILED it decides the same twice", complete(newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample,
			counter, rowPtr, I32Const(1), I32Store(rowAction), rowPtr, I32Const(2048), I32Load(0), I32Store(rowToken), zero))},
		{"FAILED it loads", newGuest(abi.KindFilter, "").with(abi.ExportConfigure, I32Const(-22))},
		{"FAILED the module", func() *guestModule {
			g := newGuest(abi.KindFilter, "")
			g.noMemory = true
			g.Memory(60_000, -1)
			return g
		}()},
		{"FAILED it encodes odd text", complete(newGuest(abi.KindTokenizer, "").with(abi.ExportEncode, I64Const(-5)))},
		{"FAILED it decodes what it encoded", complete(newGuest(abi.KindTokenizer, ""))},
	} {
		r := Check(context.Background(), c.g.bytes())
		if r.OK() || !strings.Contains(r.String(), c.want) {
			t.Errorf("want %q in\n%s", c.want, r)
		}
	}
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
