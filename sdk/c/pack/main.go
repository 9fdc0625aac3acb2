// Command pack writes a plugin's manifest into its module, as the custom section
// sw.manifest, in place of one that is there.
//
//	go run ./sdk/c/pack -manifest plugin.json [-o out.wasm] plugin.wasm
//
// The JSON object's keys are those of the manifest: name, version, description,
// kind, mode, capabilities, optional_capabilities, features, optional_features,
// fuel, fuel_per_byte, configure_fuel, hold_max, memory, history, candidates, vocab.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sandwarp/sandwarp/abi"
)

func main() {
	manifest := flag.String("manifest", "", "JSON file with the manifest (required)")
	out := flag.String("o", "", "file to write; the module itself if empty")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: pack -manifest plugin.json [-o out.wasm] plugin.wasm")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *manifest == "" {
		flag.Usage()
		os.Exit(2)
	}
	if *out == "" {
		*out = flag.Arg(0)
	}
	if err := pack(flag.Arg(0), *manifest, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(modulePath, manifestPath, outPath string) error {
	module, err := os.ReadFile(modulePath)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(manifestPath)
	if err != nil {
		return err
	}
	section, err := encode(text)
	if err != nil {
		return fmt.Errorf("%s: %w", manifestPath, err)
	}
	packed, err := replaceSection(module, abi.ManifestSection, section)
	if err != nil {
		return fmt.Errorf("%s: %w", modulePath, err)
	}
	return os.WriteFile(outPath, packed, 0o644)
}

// fields are the manifest as JSON.
type fields struct {
	Name                 string   `json:"name"`
	Version              string   `json:"version"`
	Description          string   `json:"description"`
	Kind                 abi.Kind `json:"kind"`
	Mode                 abi.Mode `json:"mode"`
	Capabilities         []string `json:"capabilities"`
	OptionalCapabilities []string `json:"optional_capabilities"`
	Features             []string `json:"features"`
	OptionalFeatures     []string `json:"optional_features"`
	Fuel                 uint64   `json:"fuel"`
	FuelPerByte          uint64   `json:"fuel_per_byte"`
	ConfigureFuel        uint64   `json:"configure_fuel"`
	HoldMax              uint32   `json:"hold_max"`
	Memory               uint32   `json:"memory"`
	History              uint32   `json:"history"`
	Candidates           uint32   `json:"candidates"`
	Vocab                uint32   `json:"vocab"`
}

// encode turns JSON into the section's bytes, and reads them back: what the host
// would refuse is refused here.
func encode(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var f fields
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("text after the manifest")
	}
	m := abi.Manifest(f)
	section := abi.AppendManifest(nil, &m)
	_, err := abi.ParseManifest(section)
	return section, err
}

// replaceSection returns module with a custom section at its end, and without
// others of that name (Wasm core specification 5.5.3).
func replaceSection(module []byte, name string, content []byte) ([]byte, error) {
	const magic = "\x00asm\x01\x00\x00\x00"
	if !bytes.HasPrefix(module, []byte(magic)) {
		return nil, errors.New("not a Wasm module of version 1")
	}
	out := []byte(magic)
	for off := len(magic); off < len(module); {
		size, n := length(module[off+1:])
		if n == 0 || size > uint64(len(module)-off-1-n) {
			return nil, fmt.Errorf("section at offset %d is cut off", off)
		}
		end := off + 1 + n + int(size)
		if module[off] != 0 || !named(module[off+1+n:end], name) {
			out = append(out, module[off:end]...)
		}
		off = end
	}
	body := append(append(appendLength(nil, len(name)), name...), content...)
	return append(appendLength(append(out, 0), len(body)), body...), nil
}

// named says whether a custom section's body begins with the name.
func named(body []byte, name string) bool {
	size, n := length(body)
	return n > 0 && size == uint64(len(name)) && bytes.HasPrefix(body[n:], []byte(name))
}

// length reads an unsigned LEB128 of 32 bits; n is 0 if there is none.
func length(b []byte) (v uint64, n int) {
	for n < len(b) && n < 5 {
		v |= uint64(b[n]&0x7f) << (7 * n)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

func appendLength(b []byte, v int) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}
