// Package binary reads a WebAssembly module before any engine sees it. A module
// of 45 bytes can make an engine allocate gigabytes or compile for a minute, so
// Scan believes no count that the remaining bytes do not cover, bounds what an
// engine's compile time depends on, and refuses what the host does not offer.
//
// It validates in full, code included: what is not valid never reaches an engine,
// whose compiler would work for milliseconds before it finds out, and whose own
// checks may have gaps. Everything the metering pass relies on is checked here, too,
// above all that code refers only to types, globals and locals of its own, because
// the pass adds some after them. What is valid but makes every instance fail, a
// segment beyond its memory or table, is refused as well.
//
// Sources: https://www.w3.org/TR/wasm-core-2/, chapters Binary Format and Validation,
// and the appendix "Validation Algorithm".
package binary
