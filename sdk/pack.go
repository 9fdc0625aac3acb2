package sdk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/sandwarp/sandwarp/abi"
)

// Pack returns the module with a manifest in its custom section sw.manifest, where the
// host reads it before any code runs; one that is there is replaced. The manifest is
// JSON with the keys of docs/abi.md.
func Pack(module, manifest []byte) ([]byte, error) {
	m, err := readJSON(manifest)
	if err != nil {
		return nil, err
	}
	return PackManifest(module, m)
}

// PackManifest is Pack of a manifest that is at hand.
func PackManifest(module []byte, m *abi.Manifest) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return replaceSection(module, abi.AppendManifest(nil, m))
}

// readJSON reads a manifest; errors name the key.
func readJSON(b []byte) (*abi.Manifest, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var m abi.Manifest
	err := d.Decode(&m)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return nil, fmt.Errorf("manifest: a JSON %s, want an object", kind.Value)
	case errors.As(err, &kind):
		return nil, fmt.Errorf("manifest: %s: a JSON %s, want %s", kind.Field, kind.Value, kindNames[kind.Type.Kind()])
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("manifest: the JSON object has no end")
	case err != nil:
		return nil, fmt.Errorf("manifest: %w", err)
	case d.More():
		return nil, fmt.Errorf("manifest: offset %d: more behind the JSON object", d.InputOffset())
	}
	return &m, nil
}

var kindNames = map[reflect.Kind]string{
	reflect.String: "text", reflect.Slice: "a list of text", reflect.Uint64: "an integer of 0 or more", reflect.Uint32: "an integer of 0 or more",
}

// replaceSection returns the module with the manifest as its only section of that name,
// in front, so that a reader finds it soon.
func replaceSection(module, manifest []byte) ([]byte, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("not a WebAssembly module of version 1")
	}
	own := appendName(nil, abi.ManifestSection)
	body := append(bytes.Clone(own), manifest...)
	out := append(bytes.Clone(module[:8]), 0)
	out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
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
