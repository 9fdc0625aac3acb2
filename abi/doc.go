// Package abi is version 1 of the contract between sandwarp and a WebAssembly
// plugin: names, numbers, messages and the layout of the frame that both sides
// read and write. Host and Go guests (GOOS=wasip1) share it; guests in other
// languages follow docs/abi.md and test against testdata/golden.json.
//
// Everything is little-endian. The package imports nothing of sandwarp and no
// msgpack library: linking one would double the size of a Go guest (1.8 to
// 3.5 MB), and the few messages are read by a strict, bounded decoder instead.
//
// All functions are safe for concurrent use on separate data.
package abi
