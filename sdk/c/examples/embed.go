// Package examples holds the compiled example plugins written in C, a few KB
// each. Their sources lie beside this file; make in the folder above builds them.
package examples

import _ "embed"

// Redact is a filter that replaces e-mail addresses, phone numbers, payment card
// numbers and US social security numbers by [email], [phone], [card] and [ssn],
// wherever the text is cut into chunks. Unless configured otherwise it lets
// prompts pass: {"prompts": true, "phone": "***", "ssn": nil}.
//
//go:embed redact.wasm
var Redact []byte

// PII is Redact with more kinds: bank accounts (IBAN), IP addresses, and URLs if asked
// to, {"url": "[url]"}.
//
//go:embed pii.wasm
var PII []byte

// Banlist is a sampler that excludes tokens, or makes them more or less likely:
// {"ban": [5], "allow": [1, 2, 3], "bias": {"7": -1.5}}.
//
//go:embed banlist.wasm
var Banlist []byte

// Constrain is a sampler that lets a model write only what a JSON schema or a
// regular expression allows: {"json": true}, {"schema": "{...}"} or {"regex": "..."}.
// It needs the model's vocabulary (wasm.Options.Vocab).
//
//go:embed constrain.wasm
var Constrain []byte

// Bytes is a tokenizer whose ids are the bytes, and from 256 on the control tokens
// of its configuration: {"special": ["<|begin|>", "<|end|>"]}.
//
//go:embed bytes.wasm
var Bytes []byte

// Norepeat is a sampler that lets no run of n tokens come twice in an answer: {"n": 3}.
//
//go:embed norepeat.wasm
var Norepeat []byte

// Dry is a sampler that makes tokens less likely that go on with a repetition, the
// more the longer it is: {"multiplier": 0.8, "base": 1.75, "allowed_length": 2,
// "penalty_last_n": 0, "breakers": ["\n"]}.
//
//go:embed dry.wasm
var Dry []byte

// Watermark is a sampler that leaves a watermark in what it writes, which package
// sdk/go/watermark detects: {"key": "secret", "gamma": 0.25, "delta": 2, "window": 1}.
//
//go:embed watermark.wasm
var Watermark []byte

// Guard is a filter that looks at prompts for injections, jailbreaks and requests to
// do harm, and stops them or logs them: {"action": "log", "injection": 7,
// "jailbreak": 7, "request": nil}. A sieve of words, see docs/plugin-gallery.md.
//
//go:embed guard.wasm
var Guard []byte

// BPE is a tokenizer: byte-level BPE with a vocabulary that package sdk/go/bpetable
// makes a configuration of, {"table": bytes, "pre": "gpt-2"}.
//
//go:embed bpe.wasm
var BPE []byte
