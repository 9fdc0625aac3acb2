// Package meter rewrites a scanned module so that it stops itself.
//
// A guest call in pure Go cannot be interrupted: the engine's own check on each
// back-edge costs 2.7 to 23 times, does not stop recursion, and a call without
// it delays every garbage collection. So the module counts for itself: each
// loop header, function entry and long branch subtracts the instructions that
// follow from a global and traps below zero; each function that calls takes its
// frame's size from another global while it runs. The host sets both before a
// call and reads them after it. The count depends on the module alone, so it is
// the same on every engine and machine.
//
// In a loop the global costs more than the loop: a store that the next round waits
// for. So a function with loops counts in a local, which it writes back at calls and at
// its end, and short loops pay for four rounds at once.
//
// The pass also caps what memory and tables can grow to, exports the mutable
// globals (with memory they are the instance's state), and drops custom
// sections, whose counts engines believe.
package meter
