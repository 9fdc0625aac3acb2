package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// errNotHere says that a rule has nothing to try with this plugin.
var errNotHere = errors.New("not for this plugin")

// errCounted says that calls failed, for which another rule has spoken.
var errCounted = errors.New("calls failed, see above")

// checker tries one plugin.
type checker struct {
	ctx    context.Context
	module []byte
	opt    Options
	report *Report
	held   map[string]bool   // rules that hold
	broken map[string]string // by rule that does not: the name of the one that is broken, itself or below it

	section *abi.Manifest // of the module; nil if only the plugin tells it

	subject
	texts     []string
	whole     []string    // filter: what the texts become
	ids       [][]int32   // tokenizer: of the texts
	decisions []decision  // sampler: on the rows
	rowsOf    [][]float32 // those rows
	expected  uint64      // faults the rules caused themselves
}

// subject is a loaded plugin and what its calls took.
type subject struct {
	p     *wasm.Plugin
	seq   uint64
	calls []call
	most  float64 // largest part of its budget that a call used
}

// call is what one took.
type call struct {
	time time.Duration
	fuel uint64
}

func (c *checker) close() {
	if c.p != nil {
		_ = c.p.Close()
	}
}

// open begins a sequence with a seed of its own.
func (s *subject) open(seed uint64) (uint64, error) {
	s.seq++
	return s.seq, s.p.OpenSeqSeeded(s.seq, seed, nil)
}

// measure runs a call with n bytes of text, and books what it took.
func (s *subject) measure(n, rows int, run func()) {
	before := s.p.Stats().Fuel
	start := time.Now()
	run()
	took := time.Since(start)
	used := s.p.Stats().Fuel - before
	s.calls = append(s.calls, call{took, used})
	m := s.p.Manifest()
	fuel, perByte := m.Fuel, m.FuelPerByte
	if fuel == 0 {
		fuel = defaultFuel
	}
	if perByte == 0 {
		perByte = defaultFuelPerByte
	}
	allowed := fuel*uint64(max(rows, 1)) + perByte*uint64(n)
	s.most = max(s.most, float64(used)/float64(allowed))
}

// The host's, where the manifest does not say.
const (
	defaultFuel        = 50_000_000
	defaultFuelPerByte = 2_000
	mostFuel           = 150_000_000 // of a call; more is not given
	mostFuelPerByte    = 20_000
)

// Limits of this module, as the host has them.
func (c *checker) limits() (string, error) {
	d, err := wasm.Describe(c.module)
	if c.report.Description = d; d != nil {
		c.section = d.Manifest
	}
	return "", err
}

// exports wants the needed ones there, and none misspelt.
func (c *checker) exports() (string, error) {
	d := c.report.Description
	for _, name := range slices.Sorted(maps.Keys(abi.Exports)) {
		f := abi.Exports[name]
		needed := !f.Optional && (f.Kinds == nil || d.Manifest != nil && slices.Contains(f.Kinds, d.Manifest.Kind))
		switch {
		case !needed || slices.Contains(d.Exports, name):
		case name == abi.ExportVersion && slices.Contains(d.Exports, "sw_abi_v2"):
			return "", errors.New("the plugin is for ABI version 2, this is version 1")
		default:
			return "", fmt.Errorf("%s is missing", name)
		}
	}
	for _, name := range d.Exports {
		if _, known := abi.Exports[name]; strings.HasPrefix(name, "sw_") && !known {
			return "", fmt.Errorf("the ABI knows no %s: is it misspelt?", name)
		}
	}
	return "", nil
}

func (c *checker) load() (string, error) {
	start := time.Now()
	if m := c.report.Description.Manifest; c.opt.Plugin.Instances == 0 && (m == nil || m.Kind != abi.KindTokenizer) {
		c.opt.Plugin.Instances = 1 // so that sequences meet
	}
	p, err := wasm.Load(c.ctx, c.module, c.opt.Plugin)
	if err != nil {
		return "", err
	}
	c.p = p
	if d := c.report.Description; d.Manifest == nil {
		d.Manifest = p.Manifest()
	}
	c.texts = append(texts(), c.opt.Texts...)
	return time.Since(start).Round(100 * time.Microsecond).String(), nil
}

// another loads the plugin anew, on an engine.
func (c *checker) another(engine wasm.Engine) (*checker, error) {
	o := c.opt
	if engine != nil {
		o.Plugin.Engine = engine
	}
	p, err := wasm.Load(c.ctx, c.module, o.Plugin)
	if err != nil {
		return nil, err
	}
	return &checker{ctx: c.ctx, module: c.module, opt: o, subject: subject{p: p}, texts: c.texts, report: &Report{}}, nil
}

// engines runs the same on this engine and on others, from a fresh start, and compares
// what comes out and the fuel it took.
func (c *checker) engines(run func(*checker) (string, error)) (string, error) {
	if len(c.opt.Engines) == 0 {
		return "", errNotHere
	}
	outcome := func(e wasm.Engine) (string, uint64, error) {
		other, err := c.another(e)
		if err != nil {
			return "", 0, err
		}
		defer other.close()
		out, err := run(other)
		return out, other.p.Stats().Fuel, err
	}
	want, fuel, err := outcome(nil)
	if err != nil {
		return "", err
	}
	for _, e := range c.opt.Engines {
		got, used, err := outcome(e)
		switch {
		case err != nil:
			return "", fmt.Errorf("on %s: %w", e.Name(), err)
		case got != want:
			return "", fmt.Errorf("on %s it decides otherwise", e.Name())
		case used != fuel:
			return "", fmt.Errorf("on %s it takes %d instructions, otherwise %d", e.Name(), used, fuel)
		}
	}
	return fmt.Sprintf("%d instructions on each of %d", fuel, 1+len(c.opt.Engines)), nil
}

// has says whether the plugin exports a function.
func (c *checker) has(export string) bool {
	return slices.Contains(c.report.Description.Exports, export)
}

// reset checks that more instances can be made, as after a fault.
func (c *checker) reset() (string, error) {
	start := time.Now()
	if c.p.Manifest().Kind != abi.KindTokenizer { // so that there is an instance in use
		seq, err := c.open(1)
		if err != nil {
			return "", err
		}
		defer c.p.CloseSeq(seq)
	}
	for range 3 {
		if err := c.p.Reset(); err != nil {
			return "", err
		}
	}
	return (time.Since(start) / 3).Round(time.Microsecond).String(), nil
}
