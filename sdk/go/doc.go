// Package plugin is the guest side of sandwarp for Go: a plugin is a value with
// a few methods, handed over in an init function.
//
//	func init() { plugin.ServeFilter(manifest, redactor{}) }
//	func main() {}
//
// It is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o my.wasm .
//
// On other systems the same code compiles, so that it can be tested as plain Go.
//
// The host calls from one goroutine at a time. There are no files, no network
// and no real time: the clock is virtual, random numbers are seeded by request
// and position, and what is printed goes to the host's log. Byte slices and rows
// that the host hands in are valid during the call only.
package plugin
