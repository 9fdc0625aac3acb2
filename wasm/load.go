package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
)

// LoadFile is Load of a file, whose path goes into errors. Where a signature is
// asked for, FILE.sig may hold it.
func LoadFile(ctx context.Context, path string, o Options) (*Plugin, error) {
	b, err := readModule(path, o.Limits.withDefaults().Module)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	if o.SignedBy != nil && o.Signature == nil {
		if o.Signature, err = ReadSignature(path); err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
	}
	p, err := Load(ctx, b, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func readModule(path string, max int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > int64(max) {
		return nil, fmt.Errorf("%s: %d bytes, at most %d allowed (Limits.Module)", path, info.Size(), max)
	}
	return os.ReadFile(path)
}

// Load checks, compiles and configures a plugin. ctx bounds compilation only as
// far as the engine observes it; the limits bound everything else.
func Load(ctx context.Context, module []byte, o Options) (*Plugin, error) {
	if one := uint32(1); *(*byte)(unsafe.Pointer(&one)) != 1 {
		return nil, errors.New("plugin: big-endian machines are not supported")
	}
	p, err := prepare(ctx, module, o)
	if err == nil {
		err = p.begin()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// prepare goes as far as the manifest. The plugin it returns must be closed even
// if there is an error.
func prepare(ctx context.Context, module []byte, o Options) (*Plugin, error) {
	p := &Plugin{opt: o.withDefaults(), name: o.Name, hash: sha256.Sum256(module), seqs: map[uint64]*sequence{}}
	if p.name == "" {
		p.name = hex.EncodeToString(p.hash[:4])
	}
	p.breaker = breaker{Breaker: p.opt.Breaker, now: time.Now}
	if err := knownCapabilities("Grant", o.Grant); err != nil {
		return p, err
	}
	if err := knownCapabilities("Deny", o.Deny); err != nil { // a slip would leave what was to be taken away
		return p, err
	}
	return p, p.load(ctx, module)
}

var capabilities = []string{abi.CapLog, abi.CapMetric, abi.CapClock, abi.CapRand, abi.CapKV, abi.CapVocab}

func knownCapabilities(option string, list []string) error {
	for _, c := range list {
		if !slices.Contains(capabilities, c) {
			return fmt.Errorf("plugin: Options.%s: %q is no capability; there are %s", option, c, strings.Join(capabilities, ", "))
		}
	}
	return nil
}

func (p *Plugin) load(ctx context.Context, module []byte) error {
	if err := p.checkSigned(module); err != nil {
		return err
	}
	read := binary.Scan
	if keepsMetered(module, p.opt.CacheDir) {
		read = binary.Outline // the rest where the cache does not have it
	}
	scan, err := read(module, p.opt.Limits.scan())
	if err == nil {
		err = checkSignatureForm(module, scan)
	}
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.name, err)
	}
	if section, ok := scan.Custom(abi.ManifestSection); ok && !p.opt.ask {
		if err := p.adopt(section); err != nil {
			return err
		}
	}
	if err := p.checkExports(scan); err != nil {
		return err
	}
	for e, name := range exportNames {
		_, p.has[e] = scan.Export(name)
	}
	imports, err := p.imports(scan)
	if err != nil {
		return err
	}
	metered, err := p.meter(scan)
	if err != nil {
		return err
	}
	if p.module, err = compile(ctx, p.opt.Engine, metered.Bytes, imports, p.opt.CacheDir); err != nil {
		return fmt.Errorf("plugin %s: compile: %w", p.name, err)
	}
	return p.first(ctx, scan, metered)
}

// meter rewrites the module within the memory the manifest asks for.
func (p *Plugin) meter(scan *binary.Module) (*meter.Result, error) {
	pages := p.opt.Limits.pages()
	if p.manifest != nil && p.manifest.Memory > 0 {
		if pages = min(pages, p.manifest.Memory); scan.Memory != nil && scan.Memory.Min > pages {
			return nil, fmt.Errorf("plugin %s: starts with %d pages of memory, its manifest allows %d", p.name, scan.Memory.Min, pages)
		}
	}
	lim := p.opt.Limits
	p.slots = int32(lim.Stack / 8)
	p.configureFuel = lim.ConfigureFuel
	r, err := rewrite(scan, lim.scan(), p.hash, meter.Options{
		Fuel: int64(lim.ConfigureFuel), StackSlots: p.slots, MemoryPages: pages,
		Elements: uint32(lim.scan().Elements),
	}, p.opt.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	return r, nil
}

// adopt takes over a manifest and the budgets in it.
func (p *Plugin) adopt(b []byte) error {
	m, err := abi.ParseManifest(b)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.name, err)
	}
	if p.opt.Name == "" {
		p.name = m.Name
	}
	if f, missing := m.MissingFeature(); missing {
		return fmt.Errorf("plugin %s: requires feature %q, which this host (ABI %d.%d) does not have", p.name, f, abi.Major, abi.Minor)
	}
	for _, c := range m.Capabilities {
		if !p.grants(c) {
			return fmt.Errorf("plugin %s: requires capability %q, %s", p.name, c, p.withheld(c))
		}
	}
	p.manifest = m
	return nil
}

// budgets fixes the fuel of calls, from manifest and limits.
func (p *Plugin) budgets() {
	m, lim := p.manifest, p.opt.Limits
	or := func(v, standard uint64) uint64 {
		if v == 0 {
			return standard
		}
		return v
	}
	p.callFuel = min(or(m.Fuel, defaultFuel), lim.Fuel)
	p.byteFuel = min(or(m.FuelPerByte, defaultByteFuel), maxByteFuel)
	p.configureFuel = min(or(m.ConfigureFuel, lim.ConfigureFuel), lim.ConfigureFuel)
	p.holdMax = int(or(uint64(m.HoldMax), defaultHold))
	p.k = uint32(or(uint64(m.Candidates), abi.DefaultCandidates))
	p.open = p.opt.OnFault.open(m.Kind)
}

const (
	defaultByteFuel = 2000
	maxByteFuel     = 20_000
	defaultHold     = 4096
)

// grants says whether the plugin has a capability.
func (p *Plugin) grants(c string) bool {
	if slices.Contains(p.opt.Deny, c) {
		return false
	}
	switch c {
	case abi.CapLog, abi.CapMetric, abi.CapClock, abi.CapRand:
		return true
	case abi.CapVocab:
		return p.opt.Vocab != nil
	case abi.CapKV:
		return slices.Contains(p.opt.Grant, c)
	}
	return false
}

// withheld says why a capability is not granted.
func (p *Plugin) withheld(c string) string {
	switch {
	case slices.Contains(p.opt.Deny, c):
		return "which Options.Deny takes away"
	case c == abi.CapVocab:
		return "which is not granted without Options.Vocab"
	case c == abi.CapKV:
		return "which is not granted (Options.Grant)"
	}
	return "which this host does not know"
}

// first runs the plugin for the first time: version and manifest.
func (p *Plugin) first(ctx context.Context, scan *binary.Module, metered *meter.Result) error {
	in := &instance{p: p}
	if err := in.start(ctx); err != nil {
		return err
	}
	p.instances = append(p.instances, in)
	if err := p.checkVersion(in); err != nil {
		return err
	}
	if p.manifest == nil {
		if err := p.askManifest(in, scan); err != nil {
			return err
		}
	}
	if err := p.checkKind(scan); err != nil {
		return err
	}
	p.features |= abi.FeatureBits(p.manifest.Features) | abi.FeatureBits(p.manifest.OptionalFeatures)
	p.snapshot, p.globals = metered.Snapshot, metered.Globals
	p.budgets()
	return nil
}

// begin configures the first instance and captures what it is then.
func (p *Plugin) begin() error {
	p.vocab = vocabTable(p.opt.Vocab, p.grants(abi.CapVocab))
	for _, im := range p.linked {
		im.blocked = !p.allowed(im.name)
	}
	config, err := abi.MarshalConfig(p.opt.Config)
	if err != nil {
		return fmt.Errorf("plugin %s: configuration: %w", p.name, err)
	}
	p.config = abi.AppendConfigure(nil, &abi.Configure{
		Config: config, Seed: p.opt.Seed, Vocab: uint32(len(p.opt.Vocab)), Host: "sandwarp",
	})
	in := p.instances[0]
	if err := in.configure(); err != nil {
		return err
	}
	if p.snapshot {
		p.setImage(capture(in, p.globals).share(in))
	}
	return nil
}

// configure sends the configuration.
func (in *instance) configure() error {
	if f := in.message(fnConfigure, in.p.configureFuel, in.p.config); f != nil {
		return f
	}
	// The input buffer was for a large message, once.
	if in.scratchCap > 1<<16 {
		if f := in.room(4096); f != nil {
			return f
		}
	}
	return nil
}

// vocabTable lays out the vocabulary as vocab_map hands it over.
func vocabTable(pieces []string, granted bool) []byte {
	if !granted {
		return nil
	}
	size := 4 * (len(pieces) + 2)
	for _, s := range pieces {
		size += len(s)
	}
	b := make([]byte, 0, size)
	put := func(v int) { b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	put(len(pieces))
	off := 0
	put(off)
	for _, s := range pieces {
		off += len(s)
		put(off)
	}
	for _, s := range pieces {
		b = append(b, s...)
	}
	return b
}
