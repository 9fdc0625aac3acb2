// Package examples holds the example plugins written in C, compiled, for programs
// that want to carry them along. They are a few KB each.
package examples

import _ "embed"

// Redact is an output filter that replaces e-mail addresses, phone, card and US
// social security numbers.
//
//go:embed redact.wasm
var Redact []byte

// Banlist is a sampler that excludes tokens or makes them more or less likely.
//
//go:embed banlist.wasm
var Banlist []byte
