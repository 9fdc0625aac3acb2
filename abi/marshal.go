//go:build !wasip1

package abi

import "github.com/vmihailenco/msgpack/v5"

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
