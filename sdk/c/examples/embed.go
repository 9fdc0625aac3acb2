// Package examples holds the compiled example plugins written in C. Their
// sources lie beside this file; make in the folder above builds them.
package examples

import _ "embed"

// Redact is a filter that replaces e-mail addresses, phone numbers and payment
// card numbers by [email], [phone] and [card], wherever the text is cut. It leaves
// prompts alone unless configured otherwise: {"prompts": true, "phone": "***"}.
//
//go:embed redact.wasm
var Redact []byte
