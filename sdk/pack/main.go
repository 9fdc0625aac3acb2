// Command pack writes a manifest into a WebAssembly module, as the custom section
// sw.manifest, where the host reads it before any code runs:
//
//	go run github.com/sandwarp/sandwarp/sdk/pack manifest.json plugin.wasm
//
// The JSON has the keys of the msgpack manifest (docs/abi.md).
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/sandwarp/sandwarp/abi"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack manifest.json plugin.wasm")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(manifestPath, modulePath string) error {
	text, err := os.ReadFile(manifestPath)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var m abi.Manifest
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("%s: %w", manifestPath, err)
	}
	if err := m.Validate(); err != nil {
		return fmt.Errorf("%s: %w", manifestPath, err)
	}
	module, err := os.ReadFile(modulePath)
	if err != nil {
		return err
	}
	packed, err := replace(module, abi.AppendManifest(nil, &m))
	if err != nil {
		return fmt.Errorf("%s: %w", modulePath, err)
	}
	return os.WriteFile(modulePath, packed, 0o644)
}

// replace returns the module with the manifest as its only section of that name,
// in front, so that a reader finds it soon.
func replace(module, manifest []byte) ([]byte, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("not a WebAssembly module of version 1")
	}
	body := append(appendName(nil, abi.ManifestSection), manifest...)
	out := append(bytes.Clone(module[:8]), 0)
	out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	own := append([]byte(nil), appendName(nil, abi.ManifestSection)...)
	for at := 8; at < len(module); {
		size, n := binary.Uvarint(module[at+1:])
		end := uint64(at+1+n) + size
		if n <= 0 || size > uint64(len(module)) || end > uint64(len(module)) {
			return nil, fmt.Errorf("section at offset %d is cut off", at)
		}
		if module[at] != 0 || !bytes.HasPrefix(module[at+1+n:end], own) {
			out = append(out, module[at:end]...)
		}
		at = int(end)
	}
	return out, nil
}

func appendName(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
