//go:build !wasip1

package abi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
)

// MarshalConfig encodes a Go value as a configuration: nil stays nil, []byte is
// taken as one encoded value, and everything else goes through package msgpack.
// Guests do not have this function: the library would double their size.
func MarshalConfig(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if v == nil || ok && b == nil {
		return nil, nil
	}
	if !ok {
		var err error
		if b, err = msgpack.Marshal(v); err != nil {
			return nil, err
		}
	}
	return b, CheckValue("configuration", b)
}

// MarshalConfigJSON encodes one JSON value as a configuration. Numbers written without
// fraction and exponent are integers: what package encoding/json makes of them, floats,
// plugins refuse where they want an id or a count.
func MarshalConfigJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("offset %d: more than one JSON value", d.InputOffset())
	}
	if v == nil {
		return nil, nil
	}
	v, err := numbers(v, 0)
	if err != nil {
		return nil, err
	}
	return MarshalConfig(v)
}

// numbers puts integers and floats in the place of JSON's numbers.
func numbers(v any, depth int) (_ any, err error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(v.String()); err == nil {
			return i, nil // which is encoded in as few bytes as it needs
		}
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return u, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = numbers(v[k], depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", printable(k), err)
			}
		}
	}
	return v, nil
}
