package wasm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// imported is a host function as linked. A blocked one returns ENOSYS.
type imported struct {
	name    string // in module sw1
	blocked bool
	results []byte
}

// refuse leaves ENOSYS, or NaN, as the result.
func refuse(results []byte, stack []uint64) {
	if len(results) == 0 {
		return
	}
	switch enosys := int32(abi.ENOSYS); results[0] {
	case i32:
		stack[0] = uint64(uint32(enosys))
	case i64:
		stack[0] = uint64(int64(enosys))
	case f32:
		stack[0] = uint64(math.Float32bits(float32(math.NaN())))
	case f64:
		stack[0] = math.Float64bits(math.NaN())
	}
}

// imports resolves what the module imports.
func (p *Plugin) imports(scan *binary.Module) ([]HostFunc, error) {
	var out []HostFunc
	done := map[[2]string]uint32{} // their types
	for _, im := range scan.Imports {
		key := im.Module + "." + im.Name
		t := scan.Types[im.Type]
		if typ, again := done[[2]string{im.Module, im.Name}]; again {
			if u := scan.Types[typ]; !slices.Equal(t.Params, u.Params) || !slices.Equal(t.Results, u.Results) {
				return nil, fmt.Errorf("plugin %s: import %s appears twice, with different signatures", p.name, key)
			}
			continue
		}
		done[[2]string{im.Module, im.Name}] = im.Type
		h := HostFunc{Module: im.Module, Name: im.Name, Params: bytesOf(t.Params), Results: bytesOf(t.Results)}
		if len(h.Results) > 1 {
			return nil, fmt.Errorf("plugin %s: import %s has %d results; host functions have at most one", p.name, key, len(h.Results))
		}
		// A reference is an address to an engine, which believes what a host function
		// returns.
		if !numbers(t.Params) || !numbers(t.Results) {
			return nil, fmt.Errorf("plugin %s: import %s has parameters %v and results %v; host functions take and return numbers", p.name, key, t.Params, t.Results)
		}
		var err error
		switch im.Module {
		case abi.ImportModule:
			err = p.linkHost(&h)
		case wasiModule:
			err = p.linkWASI(&h)
		default:
			err = p.unknownModule(&h)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// numbers says whether values are integers and floats.
func numbers(types []binary.ValType) bool {
	return !slices.ContainsFunc(types, func(t binary.ValType) bool { return t < binary.F64 })
}

func bytesOf(v []binary.ValType) []byte {
	b := make([]byte, len(v))
	for i, t := range v {
		b[i] = byte(t)
	}
	return b
}

func (p *Plugin) unknownModule(h *HostFunc) error {
	hint := "plugins import from " + abi.ImportModule + " only"
	if strings.HasPrefix(h.Module, "sw") {
		hint = fmt.Sprintf("the plugin is for another version of the ABI; this host has version %d", abi.Major)
	}
	return fmt.Errorf("plugin %s: import %s.%s: %s", p.name, h.Module, h.Name, hint)
}

func (p *Plugin) linkHost(h *HostFunc) error {
	f, known := hostFuncs[h.Name]
	switch {
	case known && (!slices.Equal(f.params, h.Params) || !slices.Equal(f.results, h.Results)):
		return fmt.Errorf("plugin %s: import sw1.%s has another signature than the host's function", p.name, h.Name)
	case p.manifest != nil && !known && !p.optionalImport(h.Name):
		return p.unknownImport(h.Name)
	case p.manifest != nil && known && !p.declared(abi.Imports[h.Name]):
		return p.undeclared(h.Name)
	}
	im := &imported{name: h.Name, blocked: !known || !p.allowed(h.Name), results: h.Results}
	p.linked = append(p.linked, im)
	h.Call = func(host any, stack []uint64) {
		in := host.(*instance)
		in.charge(hostCallFuel)
		if im.blocked {
			refuse(im.results, stack)
			return
		}
		f.call(in, stack)
	}
	return nil
}

func (p *Plugin) unknownImport(name string) error {
	return fmt.Errorf("plugin %s: import sw1.%s: this host (ABI %d.%d) has no such function, and the manifest does not list it as optional", p.name, name, abi.Major, abi.Minor)
}

func (p *Plugin) undeclared(name string) error {
	return fmt.Errorf("plugin %s: import sw1.%s: the manifest does not ask for capability %q", p.name, name, abi.Imports[name])
}

// optionalImport says whether the manifest can do without a function.
func (p *Plugin) optionalImport(name string) bool {
	return slices.Contains(p.manifest.OptionalFeatures, abi.ImportModule+"."+name)
}

// declared says whether the manifest asks for a capability; harmless ones need
// not be asked for.
func (p *Plugin) declared(c string) bool {
	switch c {
	case "", abi.CapLog, abi.CapMetric, abi.CapClock, abi.CapRand:
		return true
	}
	return slices.Contains(p.manifest.Capabilities, c) || slices.Contains(p.manifest.OptionalCapabilities, c)
}

// allowed says whether a function of sw1 may be called.
func (p *Plugin) allowed(name string) bool {
	c, known := abi.Imports[name]
	return known && (c == "" || p.grants(c))
}

// linkWASI gives the functions that do nothing harmful; the others fail.
func (p *Plugin) linkWASI(h *HostFunc) error {
	f, known := wasiFuncs[h.Name]
	switch {
	case known && slices.Equal(f.params, h.Params) && slices.Equal(f.results, h.Results):
		h.Call = func(host any, stack []uint64) {
			in := host.(*instance)
			in.charge(hostCallFuel)
			f.call(in, stack)
		}
	case !known && slices.Equal(h.Results, []byte{i32}):
		h.Call = func(host any, stack []uint64) {
			host.(*instance).charge(hostCallFuel)
			stack[0] = wasiNoSys
		}
	default:
		return fmt.Errorf("plugin %s: import %s.%s has an unknown signature", p.name, h.Module, h.Name)
	}
	return nil
}

// signature is an export the ABI defines.
type signature struct {
	name            string
	params, results []byte
}

var (
	always = []signature{
		{abi.ExportVersion, nil, []byte{i64}}, {abi.ExportAlloc, []byte{i32, i32}, []byte{i32}},
		{abi.ExportConfigure, []byte{i32, i32}, []byte{i32}},
	}
	optional = []signature{
		{abi.ExportInit, nil, nil}, {abi.ExportFree, []byte{i32, i32, i32}, nil},
		{abi.ExportManifest, nil, []byte{i64}}, {abi.ExportLastError, nil, []byte{i64}},
		{abi.ExportSeqFork, []byte{i64, i64}, []byte{i32}}, {abi.ExportSeqRollback, []byte{i64, i32}, []byte{i32}},
		{abi.ExportAccept, []byte{i64, i32, i32}, []byte{i32}}, {abi.ExportPlan, []byte{i32}, []byte{i32}},
	}
	ofSequences = []signature{
		{abi.ExportSeqOpen, []byte{i64, i32, i32}, []byte{i32}}, {abi.ExportSeqClose, []byte{i64}, []byte{i32}},
	}
	ofKind = map[abi.Kind][]signature{
		abi.KindSampler: append(slices.Clone(ofSequences),
			signature{abi.ExportFrame, []byte{i32}, []byte{i32}}, signature{abi.ExportSample, []byte{i32}, []byte{i32}}),
		abi.KindFilter: append(slices.Clone(ofSequences),
			signature{abi.ExportFilter, []byte{i64, i32, i32, i32}, []byte{i64}}, signature{abi.ExportOut, nil, []byte{i64}}),
		abi.KindTokenizer: {
			{abi.ExportEncode, []byte{i32, i32, i32}, []byte{i64}}, {abi.ExportDecode, []byte{i32, i32, i32}, []byte{i64}}},
	}
)

// checkExports checks what every plugin must have, before any code runs.
func (p *Plugin) checkExports(scan *binary.Module) error {
	if _, ok := scan.Export(abi.ExportVersion); !ok {
		for _, e := range scan.Exports {
			if strings.HasPrefix(e.Name, "sw_abi_v") {
				return fmt.Errorf("plugin %s: is for ABI version %s; this host has version %d", p.name, strings.TrimPrefix(e.Name, "sw_abi_v"), abi.Major)
			}
		}
		return fmt.Errorf("plugin %s: no export %s: this is not a sandwarp plugin", p.name, abi.ExportVersion)
	}
	if e, ok := scan.Export(abi.ExportMemory); !ok || e.Kind != binary.ExportMemory {
		return fmt.Errorf("plugin %s: its memory is not exported as %q", p.name, abi.ExportMemory)
	}
	if err := p.require(scan, always); err != nil {
		return err
	}
	for _, s := range optional {
		if _, ok := scan.Export(s.name); ok {
			if err := p.require(scan, []signature{s}); err != nil {
				return err
			}
		}
	}
	if p.manifest == nil {
		if _, ok := scan.Export(abi.ExportManifest); !ok {
			return fmt.Errorf("plugin %s: has neither a custom section %s nor an export %s", p.name, abi.ManifestSection, abi.ExportManifest)
		}
		return nil
	}
	return p.checkKind(scan)
}

func (p *Plugin) checkKind(scan *binary.Module) error {
	return p.require(scan, ofKind[p.manifest.Kind])
}

func (p *Plugin) require(scan *binary.Module, list []signature) error {
	for _, s := range list {
		e, ok := scan.Export(s.name)
		if !ok || e.Kind != binary.ExportFunc {
			return fmt.Errorf("plugin %s: export %s is missing", p.name, s.name)
		}
		t := scan.FuncTypeOf(e.Index)
		if !slices.Equal(bytesOf(t.Params), s.params) || !slices.Equal(bytesOf(t.Results), s.results) {
			return fmt.Errorf("plugin %s: export %s has parameters %v and results %v; the ABI wants another signature (docs/abi.md)", p.name, s.name, t.Params, t.Results)
		}
	}
	return nil
}

// checkVersion asks for the version and the features the plugin cannot miss.
func (p *Plugin) checkVersion(in *instance) error {
	if f := in.call(in.raw.Func(abi.ExportVersion), abi.ExportVersion, p.configureFuel); f != nil {
		return f
	}
	_, features := abi.SplitVersion(in.stack[0])
	for bit := 0; bit < 48; bit++ {
		if missing := features &^ abi.Features; missing>>bit&1 != 0 {
			return fmt.Errorf("plugin %s: requires feature bit %d, which this host (ABI %d.%d) does not have", p.name, bit, abi.Major, abi.Minor)
		}
	}
	p.features = features
	return nil
}

// askManifest gets the manifest from the running plugin, and checks its imports
// against it.
func (p *Plugin) askManifest(in *instance, scan *binary.Module) error {
	if f := in.call(in.raw.Func(abi.ExportManifest), abi.ExportManifest, p.configureFuel); f != nil {
		return f
	}
	b, f := in.result(abi.ExportManifest, int64(in.stack[0]), abi.MaxManifestBytes)
	if f != nil {
		return f
	}
	if err := p.adopt(b); err != nil {
		return err
	}
	for _, im := range scan.Imports {
		if im.Module != abi.ImportModule {
			continue
		}
		if _, known := hostFuncs[im.Name]; !known && !p.optionalImport(im.Name) {
			return p.unknownImport(im.Name)
		} else if known && !p.declared(abi.Imports[im.Name]) {
			return p.undeclared(im.Name)
		}
	}
	return nil
}
