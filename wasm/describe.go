package wasm

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
)

// Description is what a module says about itself, read without running it.
type Description struct {
	Hash        string        `json:"sha256"`
	Bytes       int           `json:"bytes"`
	Manifest    *abi.Manifest `json:"manifest"` // nil if only running the plugin would tell
	Imports     []string      `json:"imports"`
	Exports     []string      `json:"exports"`
	Functions   int           `json:"functions"`
	MemoryPages uint32        `json:"memory_pages"` // at the start, of 64 KiB
	Start       bool          `json:"start"`        // runs code when instantiated
	// Signature is what the module is signed with, nil if it is not.
	Signature *SignatureState `json:"signature"`
}

// SignatureState is a signature, and what is known of it.
type SignatureState struct {
	Key     string `json:"key"`     // id, as the signature says
	Where   string `json:"where"`   // "section", or "file" for a detached one
	Checked bool   `json:"checked"` // against keys that were given
	Valid   bool   `json:"valid"`   // one of them made it
	Reason  string `json:"reason,omitempty"`
}

// Verify looks at the signature: a detached one, nil for none, counts before the
// module's own only if a key fits it. Without keys nothing is checked.
func (d *Description) Verify(module []byte, detached *Signature, keys ...ed25519.PublicKey) {
	_, s := SplitSignature(module)
	where := "section"
	if s == nil {
		s, where = detached, "file"
	}
	if s == nil {
		d.Signature = nil
		return
	}
	d.Signature = &SignatureState{Key: s.Key.String(), Where: where, Checked: len(keys) > 0}
	if !d.Signature.Checked {
		return
	}
	key, err := Verify(module, detached, keys...)
	if err != nil {
		d.Signature.Reason = err.Error()
		return
	}
	d.Signature.Key, d.Signature.Valid = KeyIDOf(key).String(), true
	if s.Key != KeyIDOf(key) {
		d.Signature.Where = "file"
	}
}

func (s *SignatureState) String() string {
	switch {
	case s == nil:
		return "none"
	case !s.Checked:
		return "by key " + s.Key + ", not verified: no public key was given"
	case s.Valid:
		return "valid, by key " + s.Key
	}
	return "NOT VALID: " + s.Reason
}

// Describe scans a module and reads its manifest, if that is in a section.
func Describe(module []byte) (*Description, error) {
	scan, err := signedForm(module)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(module)
	d := &Description{
		Hash: hex.EncodeToString(hash[:]), Bytes: len(module), Functions: len(scan.Funcs), Start: scan.Start >= 0,
	}
	if scan.Memory != nil {
		d.MemoryPages = scan.Memory.Min
	}
	d.Verify(module, nil)
	for _, im := range scan.Imports {
		d.Imports = append(d.Imports, im.Module+"."+im.Name)
	}
	for _, e := range scan.Exports {
		d.Exports = append(d.Exports, e.Name)
	}
	if section, ok := scan.Custom(abi.ManifestSection); ok {
		if d.Manifest, err = abi.ParseManifest(section); err != nil {
			return nil, err
		}
	}
	if d.Manifest == nil && !slices.Contains(d.Exports, abi.ExportManifest) {
		return nil, fmt.Errorf("the module has neither a custom section %s nor an export %s: it is not a sandwarp plugin", abi.ManifestSection, abi.ExportManifest)
	}
	return d, nil
}

// ReadManifest returns a plugin's manifest: from its section, or by asking the
// plugin, which is interpreted for that within the default limits.
func ReadManifest(module []byte) (*abi.Manifest, error) {
	d, err := Describe(module)
	if err != nil || d.Manifest != nil {
		return d.manifest(), err
	}
	return AskManifest(module)
}

// AskManifest returns the manifest that the plugin's own sw_manifest tells, whatever
// stands in a section: the plugin is interpreted for that within the default limits.
func AskManifest(module []byte) (*abi.Manifest, error) {
	p, err := prepare(context.Background(), module, Options{
		Engine: WazeroInterpreter(), Grant: []string{abi.CapKV}, Vocab: []string{}, // nothing it might require may be missing
		ask: true,
	})
	if p != nil {
		defer p.Close()
	}
	if p != nil && p.manifest != nil {
		return p.manifest, nil
	}
	if err == nil {
		err = errors.New("the plugin returned no manifest")
	}
	return nil, err
}

func (d *Description) manifest() *abi.Manifest {
	if d == nil {
		return nil
	}
	return d.Manifest
}

// String is the description for humans.
func (d *Description) String() string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", key, fmt.Sprintf(format, args...))
	}
	if m := d.Manifest; m != nil {
		describeManifest(line, m)
	} else {
		line("manifest", "not in a section; the plugin tells when it runs (sandwarp plugin pack FILE puts it into one)")
	}
	line("sha256", "%s", d.Hash)
	line("signature", "%s", d.Signature)
	line("size", "%d bytes, %d functions, %d KiB of memory at the start", d.Bytes, d.Functions, d.MemoryPages*64)
	line("imports", "%s", orNone(d.Imports))
	line("exports", "%s", orNone(d.Exports))
	return b.String()
}

func describeManifest(line func(key, format string, args ...any), m *abi.Manifest) {
	kind := string(m.Kind)
	if m.Mode != "" {
		kind += ", sees " + map[abi.Mode]string{
			abi.ModeMask: "no logits", abi.ModeCandidates: "the best candidates", abi.ModeDense: "all logits",
		}[m.Mode]
	}
	line("plugin", "%s %s", m.Name, m.Version)
	if m.Description != "" {
		line("does", "%s", printable([]byte(m.Description)))
	}
	line("kind", "%s", kind)
	line("capabilities", "%s", orNone(m.Capabilities))
	if len(m.OptionalCapabilities) > 0 {
		line("if granted", "%s", orNone(m.OptionalCapabilities))
	}
	if len(m.Features) > 0 {
		line("features", "%s", orNone(m.Features))
	}
	if len(m.OptionalFeatures) > 0 {
		line("can use", "%s", orNone(m.OptionalFeatures))
	}
	describeSight(line, m)
	budget := orDefault(m.Fuel, defaultFuel) + " instructions a call"
	if m.Kind != abi.KindSampler {
		budget += ", " + orDefault(m.FuelPerByte, defaultByteFuel) + " a byte"
	}
	line("budget", "%s", budget)
	if m.ConfigureFuel > 0 {
		line("", "%d instructions to take its configuration", m.ConfigureFuel)
	}
	if m.Memory > 0 {
		line("memory", "at most %d KiB", m.Memory*64)
	}
	if m.Kind == abi.KindFilter {
		line("holds back", "%s bytes", orDefault(uint64(m.HoldMax), defaultHold))
	}
}

// describeSight says how much a sampler sees, and how many tokens a tokenizer has.
func describeSight(line func(key, format string, args ...any), m *abi.Manifest) {
	if m.Mode == abi.ModeCandidates {
		line("candidates", "%s", orDefault(uint64(m.Candidates), abi.DefaultCandidates))
	}
	if m.History > 0 {
		line("history", "the last %d tokens", m.History)
	}
	if m.Vocab > 0 {
		line("vocabulary", "%d tokens", m.Vocab)
	}
}

// orDefault is what the manifest says, or what hosts take where it does not.
func orDefault(n, otherwise uint64) string {
	if n == 0 {
		return fmt.Sprintf("%d (the default)", otherwise)
	}
	return fmt.Sprint(n)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}
