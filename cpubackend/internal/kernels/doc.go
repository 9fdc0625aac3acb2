// Package kernels is the arithmetic of the CPU backend: matrix products over
// every weight format, and the small vector operations between them.
//
// Each operation has a plain Go version that is its meaning, and versions in
// assembly that are speed; one table per instruction set picks them at start-up
// (features.go), and one test runs every variant the machine has beside the
// plain one. The package knows nothing of plans, threads or caches.
package kernels
