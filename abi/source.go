//go:build !wasip1

package abi

import "embed"

// Source is this package as a guest needs it, for projects that carry it along.
//
//go:embed codes.go doc.go format.go frame.go layout.go manifest.go messages.go msgpack_read.go msgpack_write.go version.go
var Source embed.FS
