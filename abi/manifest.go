package abi

import (
	"errors"
	"slices"
)

// Kind is what a plugin does.
type Kind string

// The kinds.
const (
	KindSampler   Kind = "sampler"
	KindFilter    Kind = "filter"
	KindTokenizer Kind = "tokenizer"
)

// Mode is how a sampler sees the logits.
type Mode string

// The modes.
const (
	ModeMask       Mode = "mask"       // writes the set of allowed tokens, sees no logits
	ModeCandidates Mode = "candidates" // sees the K best, picks or reweights them
	ModeDense      Mode = "dense"      // sees and edits all logits in its own memory
)

// Limits of a manifest's numbers.
const (
	MaxManifestBytes = 64 << 10
	MaxCandidates    = 4096
	MaxHistory       = 1 << 16
	MaxHold          = 1 << 20
	MaxPages         = 32767 // 2 GiB less a page, so that packed results stay positive
	MaxVocab         = 1 << 22
	MaxFuel          = 1 << 50

	DefaultCandidates = 256
)

// Manifest says what a plugin is and wants. It stands in the custom section
// sw.manifest, where the host reads it before any code runs, or is returned by
// sw_manifest. Zero values mean "not stated; the host's default".
type Manifest struct {
	Name        string `json:"name"`                  // letters, digits and -_./, at most 128 bytes; required
	Version     string `json:"version,omitempty"`     // free form, at most 64 bytes
	Description string `json:"description,omitempty"` // one line for humans, at most 1 KiB
	Kind        Kind   `json:"kind"`                  // required
	Mode        Mode   `json:"mode,omitempty"`        // samplers: required

	Capabilities         []string `json:"capabilities,omitempty"`          // it refuses to load without them
	OptionalCapabilities []string `json:"optional_capabilities,omitempty"` // calls return ENOSYS where not granted
	Features             []string `json:"features,omitempty"`              // names the host must know (FeatureNames)
	OptionalFeatures     []string `json:"optional_features,omitempty"`     // and those it can do without; also imports, as sw1.name

	Fuel          uint64 `json:"fuel,omitempty"`           // per call, in instructions
	FuelPerByte   uint64 `json:"fuel_per_byte,omitempty"`  // filters and tokenizers: added per byte of input
	ConfigureFuel uint64 `json:"configure_fuel,omitempty"` // for _initialize and sw_configure

	HoldMax    uint32 `json:"hold_max,omitempty"`   // filters: most bytes held back
	Memory     uint32 `json:"memory,omitempty"`     // most 64 KiB pages
	History    uint32 `json:"history,omitempty"`    // samplers: last tokens wanted in the frame
	Candidates uint32 `json:"candidates,omitempty"` // samplers in candidates mode: K
	Vocab      uint32 `json:"vocab,omitempty"`      // tokenizers: number of ids
}

// Validate reports the first field that is missing or out of range.
func (m *Manifest) Validate() error {
	switch {
	case !validName(m.Name):
		return errorf("manifest: name %q: want 1 to 128 letters, digits or -_./", m.Name)
	case m.Kind != KindSampler && m.Kind != KindFilter && m.Kind != KindTokenizer:
		return errorf("manifest: kind %q: want sampler, filter or tokenizer", m.Kind)
	case m.Kind == KindSampler && m.Mode != ModeMask && m.Mode != ModeCandidates && m.Mode != ModeDense:
		return errorf("manifest: mode %q: a sampler's is mask, candidates or dense", m.Mode)
	case m.Kind != KindSampler && m.Mode != "":
		return errorf("manifest: mode %q: only samplers have one", m.Mode)
	}
	for _, n := range []struct {
		field  string
		v, max uint64
	}{
		{"fuel", m.Fuel, MaxFuel}, {"fuel_per_byte", m.FuelPerByte, MaxFuel >> 32},
		{"configure_fuel", m.ConfigureFuel, MaxFuel}, {"hold_max", uint64(m.HoldMax), MaxHold},
		{"memory", uint64(m.Memory), MaxPages}, {"history", uint64(m.History), MaxHistory},
		{"candidates", uint64(m.Candidates), MaxCandidates}, {"vocab", uint64(m.Vocab), MaxVocab},
	} {
		if n.v > n.max {
			return errorf("manifest: %s %d: at most %d", n.field, n.v, n.max)
		}
	}
	return nil
}

// MissingFeature returns the first required feature this version does not offer.
func (m *Manifest) MissingFeature() (string, bool) {
	for _, f := range m.Features {
		if !slices.Contains(FeatureNames, f) {
			return f, true
		}
	}
	return "", false
}

func validName(s string) bool {
	for _, c := range []byte(s) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '/'
		if !ok {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 128
}

// AppendManifest appends m as a msgpack map; zero fields are left out.
func AppendManifest(b []byte, m *Manifest) []byte {
	n := 0
	fields := []byte{}
	text := func(key, v string) {
		if v != "" {
			n++
			fields = AppendString(AppendString(fields, key), v)
		}
	}
	list := func(key string, v []string) {
		if len(v) > 0 {
			n++
			fields = AppendArray(AppendString(fields, key), len(v))
			for _, s := range v {
				fields = AppendString(fields, s)
			}
		}
	}
	number := func(key string, v uint64) {
		if v != 0 {
			n++
			fields = AppendUint(AppendString(fields, key), v)
		}
	}
	text("name", m.Name)
	text("version", m.Version)
	text("description", m.Description)
	text("kind", string(m.Kind))
	text("mode", string(m.Mode))
	list("capabilities", m.Capabilities)
	list("optional_capabilities", m.OptionalCapabilities)
	list("features", m.Features)
	list("optional_features", m.OptionalFeatures)
	number("fuel", m.Fuel)
	number("fuel_per_byte", m.FuelPerByte)
	number("configure_fuel", m.ConfigureFuel)
	number("hold_max", uint64(m.HoldMax))
	number("memory", uint64(m.Memory))
	number("history", uint64(m.History))
	number("candidates", uint64(m.Candidates))
	number("vocab", uint64(m.Vocab))
	return append(AppendMap(b, n), fields...)
}

// ParseManifest reads and validates a manifest. Unknown keys are skipped, so
// that later minor versions can add some; what a plugin cannot do without goes
// into Features, where an unknown name is an error at load.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifestBytes {
		return nil, errorf("manifest: %d bytes, at most %d allowed", len(b), MaxManifestBytes)
	}
	if len(b) == 0 {
		return nil, errors.New("manifest: empty")
	}
	m := &Manifest{}
	r := NewReader("manifest", b)
	r.Fields(64, func(key string) { m.field(r, key) })
	if err := r.Done(); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manifest) field(r *Reader, key string) {
	const names, nameLen = 64, 64
	number := func() uint32 { return uint32(r.Uint(1<<32 - 1)) }
	switch key {
	case "name":
		m.Name = r.String(128)
	case "version":
		m.Version = r.String(64)
	case "description":
		m.Description = r.String(1 << 10)
	case "kind":
		m.Kind = Kind(r.String(nameLen))
	case "mode":
		m.Mode = Mode(r.String(nameLen))
	case "capabilities":
		m.Capabilities = r.Strings(names, nameLen)
	case "optional_capabilities":
		m.OptionalCapabilities = r.Strings(names, nameLen)
	case "features":
		m.Features = r.Strings(names, nameLen)
	case "optional_features":
		m.OptionalFeatures = r.Strings(names, nameLen)
	case "fuel":
		m.Fuel = r.Uint(MaxFuel)
	case "fuel_per_byte":
		m.FuelPerByte = r.Uint(MaxFuel)
	case "configure_fuel":
		m.ConfigureFuel = r.Uint(MaxFuel)
	case "hold_max":
		m.HoldMax = number()
	case "memory":
		m.Memory = number()
	case "history":
		m.History = number()
	case "candidates":
		m.Candidates = number()
	case "vocab":
		m.Vocab = number()
	default:
		r.Skip()
	}
}
