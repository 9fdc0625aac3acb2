//go:build cgo && ((darwin && (amd64 || arm64)) || (windows && amd64))

package wasmtime

// maxStack is the stack a guest may use, in bytes: Wasmtime's default, as the
// stacks of threads are small here.
func maxStack() int { return 512 << 10 }
