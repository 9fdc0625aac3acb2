package wasm

import (
	"bytes"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// both gives a change to a filter whose manifest stands in a section, and to one that
// only tells it.
func both(t *testing.T, change func(*guestModule), each func(name string, module []byte)) {
	t.Helper()
	for _, name := range []string{"section", "told"} {
		g := newGuest(abi.KindFilter, "")
		change(g)
		if name == "told" {
			manifest := abi.AppendManifest(nil, &g.manifest)
			if g.section != nil {
				manifest = g.section
			}
			g.Data(100, manifest)
			g.with(abi.ExportManifest, I64Const(abi.Pack(100, uint32(len(manifest)))))
			g.section = []byte{}
		}
		each(name, g.bytes())
	}
}

// TestUnknownRequired: what a plugin cannot do without is refused by name.
func TestUnknownRequired(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*guestModule)
		want   string
	}{
		{"feature bit", func(g *guestModule) { g.with(abi.ExportVersion, I64Const(1<<9)) }, "feature bit 9"},
		{"bit of a later minor version", func(g *guestModule) { g.with(abi.ExportVersion, I64Const(7<<48|1<<47)) }, "feature bit 47"},
		{"feature", func(g *guestModule) { g.manifest.Features = []string{"host-ops", "telepathy"} }, `feature "telepathy"`},
		{"import", func(g *guestModule) { g.Import("sw1", "fly", nil, []byte{I32}) }, "sw1.fly"},
		{"import listed under another name", func(g *guestModule) {
			g.Import("sw1", "fly", nil, []byte{I32})
			g.manifest.OptionalFeatures = []string{"fly", "sw1.swim"}
		}, "sw1.fly"},
		{"capability", func(g *guestModule) { g.manifest.Capabilities = []string{"network"} }, `capability "network"`},
		{"capability taken away", func(g *guestModule) { g.manifest.Capabilities = []string{abi.CapLog} }, `capability "log"`},
	} {
		both(t, c.change, func(name string, module []byte) {
			refused(t, c.what+", "+name, module, Options{Deny: []string{abi.CapLog}}, c.want)
		})
	}
}

// TestUnknownOptional: what it can do without is passed over, and the plugin works.
func TestUnknownOptional(t *testing.T) {
	for what, change := range map[string]func(*guestModule){
		"feature":             func(g *guestModule) { g.manifest.OptionalFeatures = []string{"telepathy", "host-ops"} },
		"capability":          func(g *guestModule) { g.manifest.OptionalCapabilities = []string{"network", abi.CapKV} },
		"later minor version": func(g *guestModule) { g.with(abi.ExportVersion, I64Const(7<<48|int64(abi.FeatureReplay))) },
		"export":              func(g *guestModule) { g.Func("sw_later", []byte{I64}, []byte{I32}, nil, zero) },
		"manifest key": func(g *guestModule) {
			b := abi.AppendMap(nil, 3)
			b = abi.AppendString(abi.AppendString(b, "name"), "later")
			b = abi.AppendArray(abi.AppendString(b, "from_2031"), 1)
			b = abi.AppendBool(abi.AppendString(abi.AppendMap(b, 1), "deep"), true)
			g.section = abi.AppendString(abi.AppendString(b, "kind"), "filter")
		},
	} {
		both(t, change, func(name string, module []byte) {
			p, err := Load(t.Context(), module, Options{})
			if err != nil {
				t.Errorf("%s, %s: %v", what, name, err)
				return
			}
			defer p.Close()
			open(t, p, 1)
			if out, n, _, err := p.Filter(1, []byte("text"), 0); string(out) != "text" || n != 4 || err != nil {
				t.Errorf("%s, %s: %q %d %v", what, name, out, n, err)
			}
		})
	}
}

// TestUnknownImports: an import the host does not have, and that the plugin can do
// without, returns ENOSYS or NaN, by its type.
func TestUnknownImports(t *testing.T) {
	for what, c := range map[string]struct {
		result byte
		same   []byte // pushes whether what is on the stack is as it must be
	}{
		"i32": {I32, Cat(I32Const(int32(abi.ENOSYS)), I32Eq)},
		"i64": {I64, Cat(I64Const(int64(abi.ENOSYS)), Op(0x51))},
		"f32": {F32, Cat(LocalTee(4), LocalGet(4), Op(0x5b), I32Eqz)}, // not equal to itself
		"f64": {F64, Cat(LocalTee(4), LocalGet(4), Op(0x61), I32Eqz)},
	} {
		both(t, func(g *guestModule) {
			fly := g.Import("sw1", "fly", []byte{I32}, []byte{c.result})
			g.manifest.OptionalFeatures = []string{"sw1.fly"}
			g.with(abi.ExportFilter, zero, Call(fly), c.same, ExtendU) // releases a byte, or none
			g.locals[abi.ExportFilter] = []byte{c.result}
		}, func(name string, module []byte) {
			p, err := Load(t.Context(), module, Options{})
			if err != nil {
				t.Errorf("%s, %s: %v", what, name, err)
				return
			}
			defer p.Close()
			open(t, p, 1)
			if _, n, _, err := p.Filter(1, bytes.Repeat([]byte("x"), 9), 0); n != 1 || err != nil {
				t.Errorf("%s, %s: released %d bytes, %v", what, name, n, err)
			}
		})
	}
}
