package main

// Where the parts of a cell of activations are (type cell in act.go).
const (
	cellQ  = 0
	cellD  = 32
	cellC  = 36
	cellM  = 40
	cellC2 = 48
	cellM2 = 56
)

// ratio is a float32 by its bits.
const (
	bitsHalf = 0x3f000000 // 0.5
	bits127  = 0x42fe0000
	bitsTiny = 0x0554ad2e // 1e-35
)
