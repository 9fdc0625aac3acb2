package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
)

// complete checks that the manifest says what people and hosts want to know.
func (c *checker) complete() (string, error) {
	m, missing := c.p.Manifest(), []string{}
	if m.Version == "" {
		missing = append(missing, "version")
	}
	if m.Description == "" {
		missing = append(missing, "description")
	}
	if m.Fuel == 0 {
		missing = append(missing, "fuel")
	}
	if m.Kind == abi.KindFilter && m.HoldMax == 0 {
		missing = append(missing, "hold_max")
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("it does not state: %s", strings.Join(missing, ", "))
	}
	return "", nil
}

// truth checks what the manifest says against the module: what it asks for must be of
// use to it, and what is another kind's must not be there.
func (c *checker) truth() (string, error) {
	m := c.p.Manifest()
	var wrong error
	add := func(format string, args ...any) { wrong = errors.Join(wrong, fmt.Errorf(format, args...)) }
	for _, capability := range slices.Concat(m.Capabilities, m.OptionalCapabilities) {
		if names := functionsOf(capability); len(names) > 0 && !c.imports(names) {
			add("it asks for the capability %s, but imports none of %s", capability, strings.Join(names, ", "))
		}
	}
	for feature, names := range map[string][]string{
		"host-ops": {"op_topk", "op_mask", "op_scale", "op_penalty", "op_lse", "op_gather"}, "vocab": {"vocab_map"},
	} {
		if slices.Contains(m.Features, feature) && !c.imports(names) {
			add("it cannot do without the feature %s, but imports none of %s", feature, strings.Join(names, ", "))
		}
	}
	for _, name := range c.p.Features() {
		if !slices.Contains(m.Features, name) && !slices.Contains(m.OptionalFeatures, name) {
			add("sw_abi_v1 asks for the feature %s, which the manifest does not name", name)
		}
	}
	for _, n := range []struct {
		field string
		value uint32
		of    bool
	}{
		{"hold_max", m.HoldMax, m.Kind == abi.KindFilter},
		{"history", m.History, m.Kind == abi.KindSampler},
		{"candidates", m.Candidates, m.Kind == abi.KindSampler && m.Mode != abi.ModeMask},
		{"vocab", m.Vocab, m.Kind == abi.KindTokenizer},
	} {
		if n.value != 0 && !n.of {
			add("it states %s, which a %s of its mode does not have", n.field, m.Kind)
		}
	}
	if pages := c.report.Description.MemoryPages; m.Memory > 0 && pages > m.Memory {
		add("it states %d pages of memory and begins with %d", m.Memory, pages)
	}
	if err := c.agrees(); err != nil {
		wrong = errors.Join(wrong, err)
	}
	return "", wrong
}

// agrees compares the manifest in the section with the one that sw_manifest tells, where a
// plugin has both.
func (c *checker) agrees() error {
	section := c.section
	if section == nil || !c.has(abi.ExportManifest) {
		return nil
	}
	own, err := wasm.AskManifest(c.module)
	if err != nil {
		return fmt.Errorf("sw_manifest: %w", err)
	}
	if a, b := abi.AppendManifest(nil, section), abi.AppendManifest(nil, own); !bytes.Equal(a, b) {
		return errors.New("its section sw.manifest says something else than its sw_manifest: pack it anew (sandwarp plugin pack FILE)")
	}
	return nil
}

func functionsOf(capability string) (names []string) {
	for name, c := range abi.Imports {
		if c == capability {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// imports says whether the module imports any of the host's functions named; through
// WASI a Go guest has clock, chance and log.
func (c *checker) imports(names []string) bool {
	for _, im := range c.report.Description.Imports {
		if name, ok := strings.CutPrefix(im, abi.ImportModule+"."); ok && slices.Contains(names, name) {
			return true
		}
		if strings.HasPrefix(im, "wasi_snapshot_preview1.") && !slices.ContainsFunc(names, func(n string) bool {
			return n == "kv_get" || n == "vocab_map" || n == "metric" || strings.HasPrefix(n, "op_")
		}) {
			return true
		}
	}
	return false
}

// budget compares what the calls took with what the manifest allows.
func (c *checker) budget() (string, error) {
	s, m := c.p.Stats(), c.p.Manifest()
	if m.Fuel > mostFuel {
		return "", fmt.Errorf("it asks for %d instructions a call; hosts give at most %d", m.Fuel, uint64(mostFuel))
	}
	if m.FuelPerByte > mostFuelPerByte {
		return "", fmt.Errorf("it asks for %d instructions a byte; hosts give at most %d", m.FuelPerByte, uint64(mostFuelPerByte))
	}
	switch failed := s.Faults - c.expected; {
	case failed > 0 && len(c.report.Broken()) > 0:
		return "", errCounted
	case failed > 0:
		return "", fmt.Errorf("%d of %d calls failed", failed, s.Calls)
	}
	detail := fmt.Sprintf("%d calls of %d instructions on average; the largest used %.1f%% of what it may", s.Calls, s.Fuel/max(s.Calls, 1), 100*c.most)
	if c.most > 0 && c.most < 0.05 {
		detail += fmt.Sprintf("; unless other input takes more, a budget %d times smaller would do", int(0.5/c.most))
	}
	return detail, nil
}
