// Package hook connects the packages that add optional exports to the plugin.
package hook

// What the exports call; package plugin sets them.
var (
	Plan     func(rows uint32) int32
	Fork     func(src, dst uint64) int32
	Rollback func(seq uint64, n uint32) int32
)
