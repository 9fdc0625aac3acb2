// Package wasmtime is a second engine for plugins: Wasmtime, through its Go
// bindings, which need cgo.
//
//	engine, err := wasmtime.New()
//	p, err := wasm.LoadFile(ctx, "redact.wasm", wasm.Options{Engine: engine})
//
// The default engine, wazero, is pure Go and the better choice for most: calls
// into a guest take 20 ns there and 1 to 3 us here. Wasmtime's code
// is faster inside (a vector sampler takes half the time), and a guest that runs
// in C does not hold up Go's garbage collector. Both give the same results and
// count the same fuel; this package's tests compare them call by call. Fuel and
// stack are counted by the metered module itself: Wasmtime's own fuel and epochs
// are off. So is its WASI: what a guest imports is the host's of package wasm,
// which has no files and no network.
//
// # What importing it costs
//
// Nothing to programs that do not import it: Go records the bindings in go.sum,
// and downloads them only for builds that need this package. Those download a
// module of 57 MB (207 MB unpacked: static libraries for five systems), link
// against the C library, and grow by about 20 MB. They need CGO_ENABLED=1 and a C
// compiler, on linux or darwin (amd64, arm64) or windows (amd64); elsewhere New
// returns an error that says so. `go mod tidy`, `go mod vendor` and `go mod
// download` without arguments consider all packages, and do download it; so do
// `go build ./...` and `go test ./...` in this repository with cgo enabled.
//
// # Advisories
//
// The newest bindings published as a Go module are of Wasmtime 39.0.1, while
// Wasmtime itself is further. Known for that version, as of November 2026:
// GHSA-852m (fixed in 40.0.4) and CVE-2026-34971, wrong addresses of loads and
// stores on arm64, through which a guest could leave its memory. Plugins from
// people you do not trust belong on wazero, on arm64 in any case.
//
// # Signals
//
// Wasmtime handles SIGSEGV, SIGFPE and SIGILL in its own code, and hands all
// others to the handlers it found, Go's. Recovering from nil dereferences and
// from faults in mapped files works as before.
package wasmtime
