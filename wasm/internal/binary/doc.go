// Package binary reads a WebAssembly module before any engine sees it. A module
// of 45 bytes can make an engine allocate gigabytes or compile for a minute, so
// Scan believes no count that the remaining bytes do not cover, bounds what an
// engine's compile time depends on, and refuses what the host does not offer.
//
// It checks structure and stack heights, not types: the engine validates those.
// Everything the metering pass relies on is checked here, above all that code
// refers only to types, globals and locals of its own, because the pass adds
// some after them. Source: https://webassembly.github.io/spec/core/binary/ (2.0).
package binary
