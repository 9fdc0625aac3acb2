// Package sdk holds the guest side of sandwarp, in four languages: go, rust, c and
// assemblyscript. Plugin authors use those; this package is for tools.
package sdk

import "embed"

// Source is what a plugin's project needs of the SDKs, below the name of the language.
//
//go:embed c/sandwarp.h rust/Cargo.toml rust/src go/*.go go/fork go/plan go/rollback go/internal
//go:embed assemblyscript/assembly assemblyscript/transform.mjs
var Source embed.FS
