//go:build !linux

package wasm

// Rows are not shared; see the Linux file.

func rowAlign() uint32 { return 0 }

func rowBytes(int) int { return 0 }

func newRowFile(int) *rowFile { return nil }

func (*rowFile) open(int64) *sharedRow { return nil }

func (*rowFile) discard(*sharedRow) {}

func (*sharedRow) mapInto(*linear, uint32) bool { return false }

func unmapPages(*linear, uint32, int) bool { return true }
